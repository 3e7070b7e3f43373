// A small corner plot of the parameters that the reader chooses.

const corner = {
  chosen: [],
  start() {
    this.chosen = page.parameters.filter((p) => p.first).map((p) => p.name).slice(0, 4);
    for (const { name, label, about, unit } of page.parameters) {
      const button = element("button", label, { type: "button", "data-name": name, title: `${about}${unit ? ` [${unit}]` : ""}` });
      button.addEventListener("click", () => {
        const others = this.chosen.filter((other) => other !== name);
        if (others.length === this.chosen.length) others.push(name);
        if (others.length) this.chosen = page.parameters.map((p) => p.name).filter((p) => others.includes(p));
        this.draw();
      });
      byId("corner-choice").append(button);
    }
    byId("corner-large").addEventListener("click", () => this.large());
  },
  large(on = !byId("corner-panel").classList.contains("large")) {
    byId("corner-panel").classList.toggle("large", on);
    byId("corner-large").setAttribute("aria-pressed", String(on));
    byId("corner-large").textContent = on ? "Smaller" : "Larger";
    this.draw();
    Plotly.Plots.resize("corner");
  },
  column(name) {
    const place = page.parameters.findIndex((p) => p.name === name), count = page.parameters.length;
    return state.arrays.draws.filter((_, i) => i % count === place);
  },
  // What this row's kind of object has of what is chosen; where that is next to nothing, its first.
  shown() {
    const own = page.parameters.map((p) => p.name).filter((name) => this.column(name).some(Number.isFinite));
    const chosen = own.filter((name) => this.chosen.includes(name));
    return chosen.length > 2 || chosen.length === this.chosen.length ? chosen : own.slice(0, 4);
  },
  draw() {
    for (const button of byId("corner-choice").children) button.setAttribute("aria-pressed", String(this.chosen.includes(button.dataset.name)));
    const names = this.shown(), columns = names.map((name) => this.column(name)), many = names.length;
    const { model, fill } = theme.colours, traces = [], axes = {};
    const labels = names.map((name) => page.parameters.find((p) => p.name === name).label);
    const key = (letter, i, j) => { const n = i * many + j + 1; return `${letter}${n > 1 ? n : ""}`; };
    const gap = 0.015, span = (k) => [k / many + (k ? gap / 2 : 0), (k + 1) / many - (k < many - 1 ? gap / 2 : 0)];
    const titled = (text) => ({ text, font: { size: 10.5 }, standoff: 3 });
    for (let i = 0; i < many; i++) {
      for (let j = 0; j <= i; j++) {
        const own = { xaxis: key("x", i, j), yaxis: key("y", i, j), hoverinfo: "skip" }, bottom = i === many - 1, left = j === 0 && i > 0;
        traces.push(i === j
          ? { type: "histogram", x: columns[i], nbinsx: 18, marker: { color: fill, line: { color: model, width: 0.8 } }, ...own }
          : { type: "scatter", mode: "markers", x: columns[j], y: columns[i], marker: { size: many > 2 ? 2.5 : 4, color: model, opacity: 0.5 }, ...own });
        const shared = { fixedrange: true, tickfont: { size: 8.5 }, exponentformat: "none", ticklen: 2 };
        axes[own.xaxis.replace("x", "xaxis")] = axis({ ...shared, domain: span(j), anchor: own.yaxis, range: ends(columns[j]), tickangle: -40,
          ...ticks(columns[j]), showticklabels: bottom, ticks: bottom ? "outside" : "", title: bottom ? titled(labels[j]) : undefined });
        axes[own.yaxis.replace("y", "yaxis")] = axis({ ...shared, domain: span(many - 1 - i), anchor: own.xaxis,
          ...(i === j ? {} : { range: ends(columns[i]), ...ticks(columns[i]) }),
          showticklabels: left, ticks: left ? "outside" : "", title: left ? titled(labels[i]) : undefined });
      }
    }
    const annotations = [{ xref: "paper", yref: "paper", x: 1, y: 1, xanchor: "right", yanchor: "top", align: "right", showarrow: false,
      font: { size: columns.length < 4 && byId("corner").clientWidth < 500 ? 8.5 : 10.5 },  // of few, the first panel is wide
      text: columns.map((column, i) => interval(column, labels[i])).join("<br>") }];
    Plotly.react("corner", traces, layout({ margin: { l: 58, r: 8, t: 4, b: 56 }, bargap: 0, dragmode: false, annotations, ...axes }), PLOT);
  },
};

// Two round numbers on an axis, with as many digits as tell them apart.
function ticks(values) {
  const [low, high] = ends(values), step = 10 ** Math.floor(Math.log10((high - low) / 2)), size = [5, 2, 1].find((n) => n * step <= (high - low) / 2) * step;
  const first = Math.ceil(low / size + 0.2), tickvals = [first, first + 1].map((n) => n * size).filter((v) => v < high);
  const digits = Math.max(0, -Math.floor(Math.log10(size) + 1e-9));
  return { tickmode: "array", tickvals, ticktext: tickvals.map((v) => v.toFixed(digits).replace("-", "−")) };
}

function ends(values) {
  const [low, high] = [quantile(values, 0.003), quantile(values, 0.997)], room = 0.08 * (high - low) || 1e-6;
  return [low - room, high + room];
}

// Median and the central 68 %, with two digits of the error.
function interval(values, name) {
  const [low, middle, high] = [0.16, 0.5, 0.84].map((share) => quantile(values, share));
  if (!Number.isFinite(middle)) return `${name} –`;
  const width = Math.max((high - low) / 2, 1e-9), digits = Math.min(Math.max(1 - Math.floor(Math.log10(width)), 0), 7);
  return `${name} = ${middle.toFixed(digits)}<sup>+${(high - middle).toFixed(digits)}</sup><sub>−${(middle - low).toFixed(digits)}</sub>`.replace("= -", "= −");
}
