// The density of the redshift, its peaks to click, and a slider of the redshift of the lines.

const redshift = {
  edges: null,
  start() {
    this.edges = unpacked(page.edges);
    if (!this.edges) { byId("redshift").hidden = true; return; }
    const [low, high] = [this.edges[0], this.edges.at(-1)];
    const step = 10 ** Math.floor(Math.log10((high - low) / 2000));
    Object.assign(byId("z"), { min: low, max: high, step });
    Object.assign(byId("z-number"), { min: low, max: high, step: 0.0001 });
    this.reach = (high - low) / 100;
    byId("z").addEventListener("input", (event) => this.move(Number(event.target.value)));
    byId("z-number").addEventListener("change", (event) => this.move(Number(event.target.value)));
    byId("z-fine").addEventListener("input", (event) => this.move(this.middle + this.reach * event.target.value / 100, true));
    byId("take").addEventListener("click", () => this.take());
  },
  // The sliders at a redshift.
  set(z, fine = false) {
    state.z = z;
    byId("z").value = z;
    byId("z").setAttribute("aria-valuetext", `z = ${z.toFixed(5)}`);
    byId("z-number").value = z.toFixed(5);
    if (!fine) { this.middle = z; byId("z-fine").value = 0; }
  },
  // To another redshift: sliders follow at once, plots with the next frame.
  move(z, fine = false) {
    if (!Number.isFinite(z)) return;
    const was = spectrum.model();
    this.set(z, fine);
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => {
      if (spectrum.model() !== was || this.away !== this.isAway()) spectrum.draw(); else spectrum.mark();
      this.away = this.isAway();
      spectrum.words(spectrum.model(), this.away);
      this.point();
    });
  },
  isAway() {
    const model = spectrum.model();
    return Boolean(model) && Math.abs(model.z - state.z) > 0.003 * (1 + state.z);
  },
  take() {
    verdicts.set(state.current, { z: Number(state.z.toFixed(6)) });
  },
  // To the next of the peaks.
  cycle() {
    const { peaks } = state.row;
    if (peaks.length) this.go((this.peak + 1) % peaks.length);
  },
  go(number) {
    this.peak = number;
    this.move(state.row.peaks[number].z);
    this.draw();
  },
  draw() {
    if (!this.edges) return;
    const { row, arrays } = state, { soft, model, fill, chosen } = theme.colours;
    const density = unpacked(row.pdf), top = quantile(density, 1), draws = this.near();
    const [low, high] = [this.edges[0], this.edges.at(-1)];
    const floor = top * 1e-5;
    const traces = [
      { type: "scatter", mode: "lines", x: Array.from(this.edges), y: [...Array.from(density, (p) => Math.max(p, floor)), floor],
        line: { shape: "hv", color: model, width: 1.2 }, fill: "tozeroy", fillcolor: fill,
        hovertemplate: "z = %{x:.4f}<br>p = %{y:.3g}<extra></extra>" },
      { type: "scatter", mode: "markers+text", x: row.peaks.map((p) => p.z), y: row.peaks.map(() => top * 1.6), text: row.peaks.map((_, i) => String(i + 1)),
        textposition: "top center", textfont: { size: 10, color: chosen }, marker: { symbol: "triangle-down", size: 8, color: chosen }, cliponaxis: false,
        hovertemplate: "peak %{text}: z = %{x:.5f}<extra></extra>" },
    ];
    if (draws.length) {
      traces.push({ type: "histogram", x: draws, xaxis: "x2", yaxis: "y2", nbinsx: 24, marker: { color: fill, line: { color: model, width: 1 } },
        hovertemplate: "%{x}: %{y} draws<extra></extra>" });
    }
    Plotly.react("pdf", traces, layout({
      margin: { l: 44, r: 16, t: 14, b: 48 }, dragmode: false, bargap: 0,
      xaxis: axis({ domain: [0, 0.6], range: [low, high], fixedrange: true, nticks: 5, title: { text: "z", standoff: 0, font: { size: 11 } } }),
      yaxis: axis({ type: "log", range: [Math.log10(floor), Math.log10(top) + 1.3], fixedrange: true, exponentformat: "power", dtick: 2, tickfont: { size: 9 },
        title: { text: "p(z)", standoff: 0, font: { size: 11 } } }),
      xaxis2: axis({ domain: [0.7, 1], anchor: "y2", fixedrange: true, ...(draws.length ? { range: ends(draws), ...ticks(draws) } : {}), tickangle: -40, tickfont: { size: 9 } }),
      yaxis2: axis({ anchor: "x2", fixedrange: true, showticklabels: false, ticks: "" }),
      annotations: [{ xref: "x2 domain", yref: "paper", x: 0.5, y: 1, yanchor: "bottom", showarrow: false, font: { size: 10, color: soft },
        text: draws.length ? `${draws.length} draws, peak ${this.peak + 1}` : "no draws here" }],
      shapes: this.pointers(),
    }), PLOT).then(() => this.listen());
    this.buttons();
  },
  listen() {
    if (this.listening) return;
    this.listening = true;
    byId("pdf").on("plotly_click", ({ points: [point] }) => {
      if (point.curveNumber === 1) this.go(point.pointNumber); else if (point.curveNumber === 0) this.move(point.x);
    });
  },
  pointers() {
    const { chosen } = theme.colours, line = { color: chosen, width: 1.6 };
    const at = (ref) => ({ type: "line", xref: ref, x0: state.z, x1: state.z, yref: "paper", y0: 0, y1: 1, line });
    const draws = this.near(), inside = draws.length && state.z >= Math.min(...draws) && state.z <= Math.max(...draws);
    return inside ? [at("x"), at("x2")] : [at("x")];
  },
  point() {
    Plotly.relayout("pdf", { shapes: this.pointers() });
    for (const button of byId("peaks").children) {
      button.setAttribute("aria-pressed", String(Math.abs(state.row.peaks[button.dataset.peak].z - state.z) < 1e-6));
    }
  },
  // Redshifts drawn about the peak in view.
  near() {
    const peak = state.row.peaks[this.peak], place = page.parameters.findIndex((p) => p.name === "z"), { draws } = state.arrays;
    if (!peak || place < 0) return [];
    const count = page.parameters.length;
    return Array.from(draws).filter((z, i) => i % count === place && Math.abs(z - peak.z) < 0.01);
  },
  buttons() {
    byId("peaks").replaceChildren(...state.row.peaks.map((peak, i) => {
      const share = peak.prob === null ? "probability not told" : `${(100 * peak.prob).toFixed(peak.prob < 0.1 ? 1 : 0)} %`;
      const button = element("button", `${i + 1}: ${peak.kind ? `${peak.kind}, ` : ""}${peak.z.toFixed(4)}, ${share}`,
        { type: "button", "data-peak": i, title: `z = ${peak.z} ± ${written(peak.sigma)}` });
      button.addEventListener("click", () => this.go(i));
      return button;
    }));
    this.point();
  },
};
