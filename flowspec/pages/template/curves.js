// Curves of spectra: what is smoothed, left, shaded, and shown of them. Pure functions of arrays.

// Runs of consecutive pixels for which a test holds, as pairs of first and last.
function runs(count, test) {
  const found = [];
  for (let i = 0; i < count; i++) {
    if (!test(i)) continue;
    const last = found.at(-1);
    if (last && last[1] === i - 1) last[1] = i; else found.push([i, i]);
  }
  return found;
}

// Half way to the neighbours: where a pixel begins and ends.
function edge(wave, i, side) {
  const j = i + side;
  return j < 0 || j >= wave.length ? wave[i] + (wave[i] - wave[i - side]) / 2 : (wave[i] + wave[j]) / 2;
}

// Polygons over the pixels without data, from 0 to 1.
function masks(wave, error) {
  const x = [], y = [];
  for (const [first, last] of runs(wave.length, (i) => !Number.isFinite(error[i]))) {
    const low = edge(wave, first, -1), high = edge(wave, last, 1);
    x.push(low, low, high, high, low, null);
    y.push(0, 1, 1, 0, 0, null);
  }
  return { x, y };
}

// Polygons of a curve plus and minus its error, one for each run of pixels with data.
function around(wave, curve, error) {
  const x = [], y = [];
  for (const [first, last] of runs(wave.length, (i) => Number.isFinite(curve[i]) && Number.isFinite(error[i]))) {
    for (let i = first; i <= last; i++) { x.push(wave[i]); y.push(curve[i] + error[i]); }
    for (let i = last; i >= first; i--) { x.push(wave[i]); y.push(curve[i] - error[i]); }
    x.push(null);
    y.push(null);
  }
  return { x, y };
}

// A mean by a normal kernel and inverse variance; nothing where there is no data.
function smoothed(flux, error, sigma) {
  if (!sigma) return flux;
  const reach = Math.ceil(3 * sigma), out = new Float64Array(flux.length).fill(NaN);
  for (let i = 0; i < flux.length; i++) {
    if (!Number.isFinite(error[i])) continue;
    let sum = 0, total = 0;
    for (let j = Math.max(i - reach, 0); j <= Math.min(i + reach, flux.length - 1); j++) {
      if (!Number.isFinite(error[j])) continue;
      const weight = Math.exp(-0.5 * ((i - j) / sigma) ** 2) / error[j] ** 2;
      sum += weight * flux[j];
      total += weight;
    }
    out[i] = sum / total;
  }
  return out;
}

// (data - model) / error; smoothed so that white noise keeps a standard deviation of one.
function residuals({ flux, error }, model, sigma) {
  if (!model) return null;
  const left = flux.map((value, i) => (value - model[i]) / error[i]);
  if (!sigma) return left;
  const reach = Math.ceil(3 * sigma);
  return left.map((value, i) => {
    if (!Number.isFinite(value)) return NaN;
    let sum = 0, square = 0;
    for (let j = Math.max(i - reach, 0); j <= Math.min(i + reach, left.length - 1); j++) {
      if (!Number.isFinite(left[j])) continue;
      const weight = Math.exp(-0.5 * ((i - j) / sigma) ** 2);
      sum += weight * left[j];
      square += weight * weight;
    }
    return sum / Math.sqrt(square);
  });
}

// Triangles at the edge for residuals beyond it.
function beyond(wave, left) {
  const rows = runs(left.length, (i) => Math.abs(left[i]) > REACH).flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, i) => a + i));
  return { type: "scatter", mode: "markers", yaxis: "y2", x: rows.map((i) => wave[i]), y: rows.map((i) => Math.sign(left[i]) * (REACH + 0.2)),
    customdata: rows.map((i) => left[i]), hovertemplate: "%{x:.1f} Å: %{customdata:.1f} σ<extra></extra>",
    marker: { symbol: rows.map((i) => left[i] > 0 ? "triangle-up" : "triangle-down"), size: 6, color: theme.colours.chosen } };
}

// First and last wavelength with data, with a little room; all of them where there is none.
function seen(wave, error) {
  const good = runs(wave.length, (i) => Number.isFinite(error[i]));
  const [low, high] = good.length ? [wave[good[0][0]], wave[good.at(-1)[1]]] : [wave[0], wave.at(-1)];
  const room = 0.01 * (high - low);
  return [low - room, high + room];
}

// Limits of flux that neither single pixels nor noisy ends set.
function limits({ flux, error }, model) {
  const typical = 3 * quantile(error, 0.5), values = flux.filter((_, i) => error[i] < typical);
  if (!values.length) return [0, 1];
  const lines = model ? model.filter((_, i) => error[i] < typical) : values;
  const low = quantile(values, 0.003), high = Math.max(quantile(values, 0.9985), Math.min(quantile(lines, 1), quantile(values, 1)));
  const room = Math.max(high - low, 1e-12);
  return [low - 0.06 * room, high + 0.08 * room];
}
