// Light and dark, and what plots share.

const THEMES = {
  light: { paper: "#ffffff", ink: "#16191d", soft: "#5a6169", grid: "#e3e6ea", data: "#5f666d", band: "rgba(110,118,126,0.28)",
    smooth: "#16191d", model: "#0072b2", modelBand: "rgba(86,180,233,0.35)", emitted: "#b34700", absorbed: "#8d3f70",
    mask: "rgba(120,120,120,0.55)", odd: "rgba(230,159,0,0.30)", chosen: "#d55e00", fill: "rgba(0,114,178,0.30)", fillGrid: "#b4bcc5" },
  dark: { paper: "#14171a", ink: "#e8eaed", soft: "#a3abb4", grid: "#2a2f35", data: "#9aa2ab", band: "rgba(160,168,176,0.28)",
    smooth: "#ffffff", model: "#56b4e9", modelBand: "rgba(86,180,233,0.30)", emitted: "#f0a35e", absorbed: "#dd9cc0",
    mask: "rgba(150,150,150,0.55)", odd: "rgba(230,159,0,0.32)", chosen: "#e69f00", fill: "rgba(86,180,233,0.35)", fillGrid: "#4d555e" },
};
const PLOT = { displaylogo: false, displayModeBar: false, doubleClick: "reset" };
const COARSE = matchMedia("(pointer: coarse)").matches || innerWidth <= 800;

const theme = {
  name: "light",
  get colours() { return THEMES[this.name]; },
  start() {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const set = (name) => {
      this.name = name;
      document.documentElement.dataset.theme = name;
      byId("theme").setAttribute("aria-pressed", String(name === "dark"));
    };
    set(recall("flowspec-theme") || (system.matches ? "dark" : "light"));
    system.addEventListener("change", (event) => {
      if (!recall("flowspec-theme")) { set(event.matches ? "dark" : "light"); redraw(); }
    });
    byId("theme").addEventListener("click", () => {
      set(this.name === "dark" ? "light" : "dark");
      keep("flowspec-theme", this.name);
      redraw();
    });
  },
};

// The browser's memory, which it may refuse.
function recall(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}
function keep(key, value) {
  try { localStorage.setItem(key, value); return true; } catch { return false; }
}

function axis(more = {}) {
  const { ink, soft, grid } = theme.colours;
  return { color: ink, gridcolor: grid, zeroline: false, linecolor: soft, showline: true, mirror: true, ticks: "outside", ticklen: 3,
    tickfont: { size: 11 }, automargin: false, ...more };
}

function layout(more = {}) {
  const { paper, ink } = theme.colours;
  return { paper_bgcolor: paper, plot_bgcolor: paper, font: { color: ink, size: 12 }, showlegend: false, hovermode: "closest",
    dragmode: COARSE ? false : "zoom", ...more };
}
