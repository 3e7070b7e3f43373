// The start: state, and going from object to object.

const state = { current: 0, row: null, arrays: null, z: NaN };

function show(index) {
  if (index === undefined || index < 0) return;
  if (!byId(`row-${index}`)) {  // it is still being read
    document.addEventListener("DOMContentLoaded", () => show(index), { once: true });
    return;
  }
  state.current = index;
  state.row = rowOf(index);
  verdicts.show(index);
  flagList(state.row);
  allNumbers(index);
  table.reveal(index);
  kind.show(index);
  const place = table.order.indexOf(index);
  byId("previous").disabled = place === 0;
  byId("next").disabled = place === table.order.length - 1;
}

function step(by) {
  show(table.further(by));
}

function redraw() {
  kind.draw();
}

// What may come after the next frame, unless it is overtaken by the next object.
function later(draw) {
  clearTimeout(later.waiting);
  later.waiting = setTimeout(draw, 20);
}

// Plots follow their boxes.
const sizes = new WeakMap();
const boxes = new ResizeObserver((entries) => {
  for (const { target, contentRect: { width, height } } of entries) {
    const size = `${width} ${height}`, changed = sizes.has(target) && sizes.get(target) !== size;
    sizes.set(target, size);
    if (changed && target.layout && height > 40) requestAnimationFrame(() => Plotly.Plots.resize(target));
  }
});

theme.start();
verdicts.start();
table.start();
corner.start();
kind.start();
listenToKeys();
byId("next").addEventListener("click", () => step(1));
byId("previous").addEventListener("click", () => step(-1));
byId("about-toggle").addEventListener("click", () => help());
byId("made").textContent = `${page.made}.`;
byId("notes").replaceChildren(...page.notes.map((note) => element("li", note)));
for (const plot of document.querySelectorAll(".plot")) boxes.observe(plot);
show(table.order[0]);
document.documentElement.dataset.ready = "true";
