// Line catalogues: from a row of the page to its panels.

const kind = {
  keys: {
    f: ["fluxes as numbers, or residuals", () => byId("lines-switch").click()],
  },
  start() {
    diagrams.start();
    byId("lines-switch").addEventListener("click", () => {
      const numbers = byId("fluxes").hidden;
      byId("fluxes").hidden = !numbers;
      byId("residuals").hidden = numbers;
      byId("lines-switch").setAttribute("aria-pressed", String(numbers));
      if (!numbers) this.residuals();
    });
  },
  show(index) {
    heading(index, ["source", "oh_p50", "log_u_p50", "snr", "lines", "limits", "misfit"]);
    if (emptiness(index)) return;
    state.arrays = { draws: unpacked(state.row.draws) };
    this.draw();
  },
  draw() {
    if (byId("object").classList.contains("empty")) return;
    diagrams.draw();
    this.numbers();
    this.sources();
    later(() => { if (!byId("residuals").hidden) this.residuals(); corner.draw(); });
  },
  order() {
    return page.lines.map((_, i) => i).filter((i) => state.row.flux[i] !== null).sort((a, b) => page.waves[a] - page.waves[b]);
  },
  residuals() {
    const { chosen, model, band } = theme.colours, { row } = state, places = this.order().reverse();
    const names = places.map((i) => printed(page.lines[i])), text = (i) => row.limit[i] ? "limit" : row.residual[i] === null ? "below 2σ" : "";
    const values = places.map((i) => row.residual[i]), cut = values.map((v) => v === null ? null : Math.max(-6, Math.min(6, v)));
    Plotly.react("residuals", [
      { type: "bar", orientation: "h", y: names, x: cut, hovertemplate: "%{y}: %{customdata:.2f} σ<extra></extra>", customdata: values,
        marker: { color: values.map((v) => Math.abs(v) > 3 ? chosen : model) } },
    ], layout({
      annotations: places.map((i, k) => ({ x: 0.1, y: names[k], xanchor: "left", showarrow: false, font: { size: 10 }, text: text(i) })).filter((a) => a.text),
      margin: { l: 112, r: 8, t: 4, b: 34 }, dragmode: false, bargap: 0.35,
      xaxis: axis({ range: [-6.2, 6.2], fixedrange: true, title: { text: "residual / σ, from all other lines", font: { size: 11 }, standoff: 2 } }),
      yaxis: axis({ fixedrange: true, tickfont: { size: places.length > 14 ? 8.5 : 10 }, dtick: 1, gridcolor: "rgba(0,0,0,0)" }),
      shapes: [{ type: "rect", x0: -1, x1: 1, yref: "paper", y0: 0, y1: 1, fillcolor: band, line: { width: 0 }, layer: "below" },
        { type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: { width: 1, color: theme.colours.soft } }],
    }), PLOT);
  },
  numbers() {
    const { row } = state, order = page.lines.map((_, i) => i).sort((a, b) => page.waves[a] - page.waves[b]);
    byId("fluxes").querySelector("tbody").replaceChildren(...order.map((i) => {
      const line = element("tr"), limit = row.limit[i], flux = row.flux[i];
      line.append(element("td", printed(page.lines[i])), ...[flux === null ? "–" : `${limit ? "< " : ""}${written(flux)}`,
        flux === null || limit ? "–" : written(row.error[i]), flux === null || limit ? "–" : written(flux / row.error[i])]
        .map((text) => element("td", text, { class: `number${text === "–" ? " absent" : ""}` })));
      return line;
    }));
  },
  sources() {
    const shares = state.row.shares.filter((s) => s.share !== null).sort((a, b) => b.share - a.share);
    byId("sources").replaceChildren(...(shares.length ? [element("h3", "Ionising source")] : []), ...shares.map(({ source, share }) => {
      const line = element("div", "", { class: "share" }), meter = element("meter", "", { min: 0, max: 1, value: share, "aria-label": `${source}` });
      line.append(element("span", source), meter, element("span", `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`));
      return line;
    }));
  },
};
