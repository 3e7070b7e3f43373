// The table of all objects: sorted by a column, filtered by words and comparisons.

const table = {
  columns: [],
  order: [],
  sorted: { name: "", down: false },
  start() {
    const names = page.columns.map((column) => column.name);
    const first = page.kind === "spectra" ? ["name", "class", "z_best", "z_prob", "snr", "flag_names"]
      : ["name", "source", "oh_p50", "lines", "snr", "flag_names"];
    this.columns = ["quality", ...first.filter((name) => names.includes(name))];
    byId("add-column").append(element("option", "+ column", { value: "" }),
      ...["comment", ...names].filter((name) => !this.columns.includes(name)).map((name) => element("option", name, { value: name })));
    byId("add-column").addEventListener("change", (event) => {
      if (event.target.value && !this.columns.includes(event.target.value)) this.columns.push(event.target.value);
      event.target.value = "";
      this.draw();
    });
    byId("filter").addEventListener("input", () => this.draw());
    byId("table").tBodies[0].addEventListener("click", (event) => {
      const line = event.target.closest("tr");
      if (line) show(Number(line.dataset.index));
    });
    byId("list-toggle").addEventListener("click", () => {
      const open = byId("list").classList.toggle("open");
      byId("list-toggle").setAttribute("aria-expanded", String(open));
      if (open) this.reveal(state.current);
    });
    this.draw();
  },
  place(name) {
    return page.columns.findIndex((column) => column.name === name);
  },
  numeric(name) {
    return this.place(name) >= 0 && !page.columns[this.place(name)].text;
  },
  // A column's value, of verdicts too; null where there is none.
  value(index, name) {
    if (name === "quality") return verdicts.of(index).quality || 0;
    if (name === "comment") return verdicts.of(index).comment || "";
    const place = this.place(name);
    return place < 0 ? null : page.table[index][place];
  },
  draw() {
    const { tests, wrong } = this.tests(byId("filter").value);
    const order = page.table.map((_, index) => index).filter((index) => tests.every((test) => test(index)));
    const { name, down } = this.sorted;
    if (name) {
      const known = (value) => value !== null && value !== "";
      order.sort((a, b) => {
        const [x, y] = [this.value(a, name), this.value(b, name)];
        if (!known(x) || !known(y)) return known(y) - known(x);  // what is not known comes last
        const way = typeof x === "number" ? x - y : String(x).localeCompare(String(y));
        return (down ? -way : way) || a - b;
      });
    }
    this.order = order;
    byId("filter-note").textContent = wrong || `${order.length} of ${page.table.length} shown`;
    byId("filter-note").classList.toggle("wrong", Boolean(wrong));
    byId("table").tHead.replaceChildren(this.head());
    byId("table").tBodies[0].replaceChildren(...order.map((index) => this.line(index)));
    this.mark(state.current);
  },
  head() {
    const line = element("tr");
    for (const name of this.columns) {
      const about = page.columns[this.place(name)] || { about: name, text: name === "comment", unit: "" };
      const arrow = this.sorted.name === name ? (this.sorted.down ? " ▾" : " ▴") : "";
      const cell = element("th", "", { scope: "col", class: this.numeric(name) ? "number" : "" });
      if (arrow) cell.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
      const button = element("button", ({ quality: "Q", flag_names: "flags" }[name] || name) + arrow,
        { type: "button", title: [about.about, about.unit && `[${about.unit}]`].filter(Boolean).join(" ") });
      button.addEventListener("click", () => {
        this.sorted = { name, down: this.sorted.name === name && !this.sorted.down };
        this.draw();
      });
      cell.append(button);
      line.append(cell);
    }
    return line;
  },
  line(index) {
    const line = element("tr", "", { "data-index": index });
    for (const name of this.columns) {
      const value = this.value(index, name);
      const text = name === "quality" ? (value || "·") : name === "flag_names" ? flagged(value) : written(value, name);
      const cell = element("td", text, { class: `${this.numeric(name) ? "number" : ""}${value === null ? " absent" : ""}` });
      if (typeof value === "string") cell.title = value;
      if (name === "name") {  // its end tells one file from another: it is cut at its beginning
        cell.classList.add("name");
        cell.replaceChildren(element("bdi", text));
      }
      line.append(cell);
    }
    return line;
  },
  refresh(index) {
    const old = byId("table").tBodies[0].querySelector(`tr[data-index="${index}"]`);
    if (old) old.replaceWith(this.line(index));
    this.mark(state.current);
  },
  mark(index) {
    for (const line of byId("table").tBodies[0].querySelectorAll("tr[aria-selected]")) line.removeAttribute("aria-selected");
    byId("table").tBodies[0].querySelector(`tr[data-index="${index}"]`)?.setAttribute("aria-selected", "true");
  },
  reveal(index) {
    this.mark(index);
    byId("table").tBodies[0].querySelector(`tr[data-index="${index}"]`)?.scrollIntoView({ block: "nearest" });
  },
  // The one so many lines further; where the current one is filtered away, the first or last.
  further(step) {
    const place = this.order.indexOf(state.current);
    if (place < 0) return this.order.at(step > 0 ? 0 : -1);
    return this.order[place + step];
  },
  tests(text) {
    const tests = [];
    for (const word of text.trim().split(/\s+/).filter(Boolean)) {
      const match = /^([A-Za-z_]\w*)(<=|>=|!=|<|>|=)(.+)$/.exec(word);
      if (!match) {
        const wanted = word.toLowerCase();
        tests.push((index) => ["name", "flag_names", "notes", "source", "comment"]
          .some((name) => String(this.value(index, name) ?? "").toLowerCase().includes(wanted)));
        continue;
      }
      const [, name, sign, limit] = match;
      if (!["quality", "comment"].includes(name) && this.place(name) < 0) return { tests: [], wrong: `There is no column ${name}.` };
      tests.push((index) => compared(this.value(index, name), sign, limit));
    }
    return { tests, wrong: "" };
  },
};

function compared(value, sign, limit) {
  if (value === null) return false;
  const other = typeof value === "number" ? Number(limit) : limit;
  return { "<": value < other, ">": value > other, "<=": value <= other, ">=": value >= other, "=": value === other,
    "!=": value !== other }[sign];
}

// How many flags there are, and which.
function flagged(names) {
  return names ? `${names.split(",").length} · ${names.replaceAll(",", ", ")}` : "";
}

// A number as a reader wants it: redshifts to five decimals, others to three or four digits.
function written(value, name = "") {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (/^z(_best|_p\d+)?$/.test(name)) return value.toFixed(5);
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3 ? value.toExponential(2) : value.toPrecision(value >= 1000 ? 5 : 3);
}
