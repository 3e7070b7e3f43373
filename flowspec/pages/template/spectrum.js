// The spectrum with its error and masks, a model, and what is left in standard deviations.

const REACH = 5;  // standard deviations shown of residuals; those beyond are marked at the edge
const spectrum = {
  wave: null,
  start() {
    this.wave = unpacked(page.wave);
    byId("smooth").addEventListener("input", () => { this.draw(); });
    byId("model-kind").addEventListener("change", (event) => { state.kind = event.target.value; this.draw(); });
    byId("show-lines").addEventListener("change", () => this.mark());
    byId("whole").addEventListener("click", () => this.whole());
    byId("drag").addEventListener("click", () => {
      state.drag = !state.drag;
      byId("drag").setAttribute("aria-pressed", String(state.drag));
      Plotly.relayout("spectrum", { dragmode: state.drag ? "zoom" : false });
    });
    state.drag = !COARSE;
    byId("drag").setAttribute("aria-pressed", String(state.drag));
  },
  // The models of a row that the reader may choose from.
  kinds() {
    return [...new Set(state.row.models.map((model) => model.kind))];
  },
  // The one of the chosen kind whose redshift is nearest to the slider's.
  model() {
    const kinds = this.kinds(), kind = kinds.includes(state.kind) || state.kind === "none" ? state.kind : kinds[0];
    const models = state.row.models.filter((model) => model.kind === kind);
    return models.sort((a, b) => Math.abs(a.z - state.z) - Math.abs(b.z - state.z))[0] || null;
  },
  offer() {
    const names = { fit: "best fit", reconstruction: "reconstruction", none: "none" };
    const kinds = [...this.kinds(), "none"], kind = this.model()?.kind || "none";
    byId("model-kind").replaceChildren(...kinds.map((name) => element("option", names[name], { value: name })));
    byId("model-kind").value = kind;
  },
  draw() {
    this.offer();
    const { row, arrays } = state, model = this.model(), colours = theme.colours;
    const flux = model && unpacked(model.flux), band = model && unpacked(model.band);
    const away = Boolean(model) && Math.abs(model.z - state.z) > 0.003 * (1 + state.z);
    const sigma = Number(byId("smooth").value);
    byId("smooth-value").value = sigma ? `σ = ${sigma} px` : "off";
    const data = smoothed(arrays.flux, arrays.error, sigma);
    const left = residuals(arrays, flux, sigma);
    const line = (y, color, more = {}) => ({ type: "scatter", mode: "lines", x: this.wave, y, hoverinfo: "skip",
      line: { color, width: 1, ...more.line }, ...more.rest });
    const area = (shape, fillcolor, more = {}) => ({ type: "scatter", mode: "lines", ...shape, fill: "toself", fillcolor,
      line: { width: 0 }, hoverinfo: "skip", ...more });
    const traces = [
      area(masks(this.wave, arrays.error), "rgba(0,0,0,0)", { yaxis: "y3",
        fillpattern: { shape: "/", size: 5, solidity: 0.25, fgcolor: colours.mask } }),
      area(around(this.wave, arrays.flux, arrays.error), colours.band),
      line(arrays.flux, colours.data, { line: { shape: "hvh", width: sigma ? 0.5 : 0.9 }, rest: { opacity: sigma ? 0.55 : 1,
        hoverinfo: "x+y", xhoverformat: ".1f", yhoverformat: ".3g", name: "" } }),
    ];
    if (sigma) traces.push(line(data, colours.smooth, { line: { width: 1.2 } }));
    if (band) traces.push(area(around(this.wave, flux, band), colours.modelBand));
    if (flux) {
      traces.push(line(flux, colours.model, { line: { width: 1.2, dash: away ? "dot" : "solid" } }));
      traces.push(line(left.map((x) => Math.abs(x) > REACH ? NaN : x), colours.data,
        { line: { width: 0.8, shape: "hvh" }, rest: { yaxis: "y2", hoverinfo: "x+y", xhoverformat: ".1f", yhoverformat: ".2f", name: "" } }));
      traces.push(beyond(this.wave, left));
    }
    this.range = limits(arrays, flux);
    this.all = seen(this.wave, arrays.error);
    if (this.index !== state.current) this.view = null;  // a zoom stays while the object does
    this.index = state.current;
    Plotly.react("spectrum", traces, this.layout(Boolean(flux)), PLOT).then(() => this.listen());
    this.words(model, away);
    this.legend(sigma, flux, band, away);
  },
  layout(left) {
    const x = this.view?.x || this.all, y = this.view?.y || this.range;
    return layout({
      margin: { l: 58, r: 8, t: 40, b: 34 },
      xaxis: axis({ range: x, anchor: left ? "y2" : "y", exponentformat: "none", separatethousands: false, title: { text: "observed wavelength in vacuum [Å]", standoff: 4, font: { size: 12 } } }),
      yaxis3: { domain: left ? [0.3, 1] : [0, 1], range: [0, 1], visible: false, fixedrange: true },
      yaxis: axis({ domain: left ? [0.3, 1] : [0, 1], range: y, overlaying: "y3", side: "left", tickmode: "auto",
        title: { text: "F<sub>λ</sub> [10<sup>−17</sup> erg s<sup>−1</sup> cm<sup>−2</sup> Å<sup>−1</sup>]", font: { size: 11 }, standoff: 4 } }),
      ...(left && { yaxis2: axis({ domain: [0, 0.26], range: [-REACH - 0.6, REACH + 0.6], fixedrange: true, tickvals: [-4, -2, 0, 2, 4],
        title: { text: "residual / σ", font: { size: 11 }, standoff: 4 } }) }),
      ...this.marks(x, left),
    });
  },
  // Lines at the slider's redshift, the strip of ±1 standard deviation, and where the data are odd.
  marks(range, left = Boolean(this.model())) {
    const colours = theme.colours, width = Math.max(byId("spectrum").clientWidth - 66, 200), shapes = [], annotations = [];
    if (left) shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, yref: "y2", y0: -1, y1: 1, fillcolor: colours.band, line: { width: 0 }, layer: "below" });
    if (state.row.window) {
      const [low, high] = state.row.window, least = 2 * (range[1] - range[0]) / width;
      shapes.push({ type: "rect", xref: "x", x0: low - least, x1: high + least, yref: "paper", y0: 0, y1: 1, fillcolor: colours.odd,
        line: { width: 1, color: colours.chosen, dash: "dot" }, layer: "below" });
    }
    if (byId("show-lines").checked && Number.isFinite(state.z)) {
      const ends = [-9, -9, -9];
      const inside = page.marks.map((mark) => ({ ...mark, at: mark.wave * (1 + state.z) }))
        .filter((mark) => mark.at > range[0] && mark.at < range[1]);
      const pixel = (wave) => width * (wave - range[0]) / (range[1] - range[0]);
      // the middle of a label: at its line, but no part of it beyond the edges
      for (const mark of inside) {
        mark.half = 3.2 * mark.label.length + 2;
        mark.middle = Math.min(Math.max(pixel(mark.at), mark.half - 4), width + 4 - mark.half);
      }
      const named = new Set(roomy(inside));
      for (const mark of inside) {
        const color = mark.emitted ? colours.emitted : colours.absorbed, main = named.has(mark);
        shapes.push({ type: "line", xref: "x", x0: mark.at, x1: mark.at, yref: "paper", y0: left ? 0.3 : 0, y1: 1,
          line: { color, width: main ? 1 : 0.7, dash: mark.emitted ? "dash" : "dot" }, opacity: 0.75, layer: "below" });
        if (!main) continue;
        const level = ends.findIndex((end) => mark.middle - mark.half > end);
        ends[level] = mark.middle + mark.half;
        annotations.push({ x: mark.at, xref: "x", xshift: mark.middle - pixel(mark.at), yref: "paper", y: 1, yshift: 1 + 12 * level, yanchor: "bottom", text: mark.label, showarrow: false,
          font: { size: 10.5, color } });
      }
    }
    return { shapes, annotations };
  },
  mark() {
    const range = byId("spectrum").layout?.xaxis?.range || this.all;
    if (range) Plotly.relayout("spectrum", this.marks(range));
  },
  listen() {
    if (this.listening) return;
    this.listening = true;
    byId("spectrum").on("plotly_relayout", (change) => {
      const moved = Object.keys(change).some((key) => /^[xy]axis\.(range|autorange)/.test(key));
      if (!moved) return;
      const { xaxis, yaxis } = byId("spectrum").layout;
      this.view = { x: [...xaxis.range], y: [...yaxis.range] };
      this.mark();
    });
  },
  whole() {
    this.view = null;
    this.draw();
  },
  words(model, away) {
    byId("model-words").textContent = !model ? (state.row.models.length ? "No model shown." : "There is no model of this spectrum.")
      : away ? `Dotted: the model at its own redshift, z = ${model.z.toFixed(5)}; the slider is at z = ${state.z.toFixed(5)}.` : model.words;
  },
  legend(sigma, flux, band, away) {
    const colours = theme.colours;
    const entries = [["data ± σ", colours.data, 1.2, colours.band], ["no data", null, 0, "hatch"]];
    if (sigma) entries.push(["smoothed", colours.smooth, 1.6]);
    if (flux) entries.push([away ? "model, at its own z" : "model", colours.model, 2, band && colours.modelBand, away ? "2 2" : ""]);
    if (state.row.window) entries.push(["least like simulations", null, 0, colours.odd]);
    if (byId("show-lines").checked) entries.push(["emission", colours.emitted, 1.2, null, "4 2"], ["absorption", colours.absorbed, 1.2, null, "1 2"]);
    byId("legend").replaceChildren(...entries.map((entry) => swatch(...entry)));
  },
};

// Those of some lines that there is room to name, on three levels: the main ones before others.
function roomy(marks) {
  const chosen = [];
  for (const mark of [...marks].sort((a, b) => a.rank - b.rank)) {
    const tried = [...chosen, mark].sort((a, b) => a.at - b.at), ends = [-9, -9, -9];
    const fits = tried.every((one) => {
      const level = ends.findIndex((end) => one.middle - one.half > end);
      if (level >= 0) ends[level] = one.middle + one.half;
      return level >= 0;
    });
    if (fits) chosen.push(mark);
  }
  return chosen;
}

function swatch(text, color, width, fill, dash = "") {
  const space = "http://www.w3.org/2000/svg", item = element("li"), drawing = document.createElementNS(space, "svg");
  const add = (tag, attributes) => {
    const shape = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    drawing.append(shape);
  };
  drawing.setAttribute("aria-hidden", "true");
  if (fill === "hatch") for (const x of [0, 5, 10, 15]) add("line", { x1: x, y1: 12, x2: x + 5, y2: 0, stroke: theme.colours.mask, "stroke-width": 1.2 });
  else if (fill) add("rect", { x: 0, y: 1, width: 20, height: 10, fill });
  if (color) add("line", { x1: 0, y1: 6, x2: 20, y2: 6, stroke: color, "stroke-width": width, "stroke-dasharray": dash });
  item.append(drawing, document.createTextNode(text));
  return item;
}
