// The keyboard: one table of keys, which is also the help.

const KEYS = {
  n: ["next object of the table", () => step(1)],
  p: ["previous object", () => step(-1)],
  ...Object.fromEntries(Object.entries(QUALITIES).map(([number, words]) =>
    [number, [`quality ${number}: ${words} (again: take it back)`, () => verdicts.judge(Number(number))]])),
  c: ["write a comment (Escape leaves it)", () => byId("comment").focus()],
  ...kind.keys,
  "/": ["filter the table", () => byId("filter").focus()],
  d: ["dark or light", () => byId("theme").click()],
  e: ["export verdicts as CSV", () => verdicts.export()],
  "?": ["this help", () => help()],
};

function listenToKeys() {
  byId("keys").replaceChildren(...Object.entries(KEYS).flatMap(([key, [about]]) => {
    const term = element("dt");
    term.append(element("kbd", key));
    return [term, element("dd", about)];
  }));
  document.addEventListener("keydown", (event) => {
    const { target } = event, writing = target.matches("textarea, input[type=search], input[type=number], select");
    if (event.key === "Escape") {
      target.blur();
      if (byId("corner-panel").classList.contains("large")) corner.large(false);
    }
    if (writing || event.ctrlKey || event.metaKey || event.altKey || byId("about").open) return;
    if (KEYS[event.key]) {
      event.preventDefault();
      KEYS[event.key][1]();
    }
  });
}

function help() {
  if (byId("about").open) byId("about").close(); else byId("about").showModal();
}
