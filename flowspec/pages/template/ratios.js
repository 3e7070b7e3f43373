// Diagrams of line ratios: the grid, all objects, the posterior's prediction, and the object.

const diagrams = {
  coverage: null,
  start() {
    this.coverage = unpacked(page.coverage);
    page.diagrams.forEach((_, i) => byId("diagrams").append(element("div", "", { id: `diagram-${i}`, class: "plot", role: "img" })));
    if (!page.diagrams.length) byId("diagrams").append(element("p", "The model lacks the lines of the usual diagrams."));
  },
  draw() {
    const predicted = unpacked(state.row.predicted);
    page.diagrams.forEach((diagram, i) => this.one(diagram, i, predicted));
    const { colours } = theme, entries = [["this object", colours.chosen, "●"], ["others, where measured", colours.soft, "●"], ["boundaries", colours.absorbed, "–"]];
    if (this.coverage) entries.unshift(["grid of the model", colours.fillGrid, "▒"]);
    if (predicted) entries.push(["its posterior", colours.model, "∘"]);
    byId("legend").replaceChildren(...entries.map(([text, color, sign]) => {
      const item = element("li"), mark = element("b", sign, { "aria-hidden": "true" });
      mark.style.color = color;
      item.append(mark, document.createTextNode(text));
      return item;
    }));
  },
  one(diagram, i, predicted) {
    const { colours } = theme, index = state.current, many = page.diagrams.length;
    const pairs = (flat) => [0, 1].map((axis) => flat.filter((_, k) => Math.floor(k / 2) % many === i && k % 2 === axis));
    const dots = (x, y, color, size, opacity, more = {}) => ({ type: "scatter", mode: "markers", x, y, hoverinfo: "skip", marker: { color, size, opacity }, ...more });
    const traces = [];
    const ranges = { x: reach(diagram.x.value, pairs(this.coverage || [])[0], diagram.x.value[index]),
      y: reach(diagram.y.value, pairs(this.coverage || [])[1], diagram.y.value[index]) };
    if (this.coverage) traces.push(shaded(pairs(this.coverage), ranges));
    const others = page.table.map((_, k) => k).filter((k) => diagram.x.value[k] !== null && diagram.y.value[k] !== null && !diagram.x.limit[k] && !diagram.y.limit[k]);
    traces.push(dots(others.map((k) => diagram.x.value[k]), others.map((k) => diagram.y.value[k]), colours.soft, 3.5, 0.8,
      { hoverinfo: "text", text: others.map((k) => plain(table.value(k, "name"))) }));
    for (const { name, a, b, c } of diagram.curves) {
      const x = Array.from({ length: 80 }, (_, k) => -3 + k * (b - 0.03 + 3) / 79);
      traces.push({ type: "scatter", mode: "lines", x, y: x.map((v) => a / (v - b) + c), name, hoverinfo: "name",
        line: { color: colours.absorbed, width: 1.3, dash: name.startsWith("Kewley") ? "solid" : "dash" } });
    }
    if (predicted) traces.push(dots(...pairs(predicted), colours.model, 4, 0.6, { marker: { color: "rgba(0,0,0,0)", size: 5, line: { color: colours.model, width: 1 } } }));
    const at = (axis) => ({ value: diagram[axis].value[index], error: diagram[axis].error[index], limit: diagram[axis].limit[index] });
    const x = at("x"), y = at("y"), known = x.value !== null && y.value !== null, annotations = [];
    if (known) {
      traces.push({ type: "scatter", mode: "markers", x: [x.value], y: [y.value], error_x: bar(x), error_y: bar(y), hovertemplate: "%{x:.3f}, %{y:.3f}<extra></extra>",
        marker: { color: colours.chosen, size: 11, line: { color: colours.paper, width: 1.5 } } });
      if (x.limit) annotations.push(arrow(x.value, y.value, x.limit, 0));
      if (y.limit) annotations.push(arrow(x.value, y.value, 0, y.limit));
    } else {
      annotations.push({ xref: "paper", yref: "paper", x: 0.5, y: 0.03, yanchor: "bottom", showarrow: false, font: { color: colours.chosen, size: 11 },
        text: "a line of this object is not measured here" });
    }
    const title = ([above, below]) => `log ${printed(above)} / ${printed(below)}`;
    byId(`diagram-${i}`).setAttribute("aria-label", `${title(diagram.lines.y)} against ${title(diagram.lines.x)}${known ? `: ${x.value}, ${y.value}` : ": no point"}`);
    Plotly.react(`diagram-${i}`, traces, layout({
      margin: { l: 48, r: 6, t: 6, b: 38 }, annotations,
      xaxis: axis({ range: ranges.x, title: { text: title(diagram.lines.x), font: { size: 11 }, standoff: 4 } }),
      yaxis: axis({ range: ranges.y, title: { text: title(diagram.lines.y), font: { size: 11 }, standoff: 4 } }),
    }), PLOT);
  },
};

// Where a grid has points, the darker the more: a picture, which is fast to draw.
function shaded([x, y], ranges) {
  const { paper, fillGrid } = theme.colours, bins = ([start, end]) => ({ start, end, size: (end - start) / 50 });
  return { type: "histogram2d", x, y, autobinx: false, autobiny: false, xbins: bins(ranges.x), ybins: bins(ranges.y), showscale: false, hoverinfo: "skip",
    zmin: 0, zmax: 6, colorscale: [[0, paper], [0.001, `${fillGrid}70`], [1, fillGrid]] };
}

function bar({ error, limit }) {
  return { type: "data", array: [limit ? 0 : error], visible: true, color: theme.colours.chosen, thickness: 1.5 };
}

function arrow(x, y, byX, byY) {
  return { x, y, ax: -28 * byX, ay: 28 * byY, axref: "pixel", ayref: "pixel", arrowhead: 0, arrowside: "none", showarrow: false, text: byX ? (byX > 0 ? "→" : "←") : (byY > 0 ? "↑" : "↓"),
    font: { size: 22, color: theme.colours.chosen }, xshift: 16 * byX, yshift: 16 * byY };
}

// A name as Plotly shows it: its own few tags are not read out of it.
function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

// The middle 99 % of objects and of the grid, and the object itself.
function reach(values, grid, own) {
  const known = values.filter((v) => v !== null), all = [...known, ...grid];
  const low = Math.min(quantile(all, 0.03), quantile(known, 0.01) || Infinity, own ?? Infinity);
  const high = Math.max(quantile(all, 0.97), quantile(known, 0.99) || -Infinity, own ?? -Infinity);
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [-2, 1];
  const room = 0.08 * (high - low) + 0.02;
  return [low - room, high + room];
}

// [OIII]5007 as it is printed: [O III] 5007; Halpha: Hα.
function printed(name) {
  const greek = { alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε" };
  const letters = Object.entries(greek).reduce((text, [word, letter]) => text.replace(word, letter), name).replace(",", "+");
  return letters.replace(/^(\[?[A-Z][a-z]?)([IVX]+\]?)(?=\d)/, "$1 $2 ");
}
