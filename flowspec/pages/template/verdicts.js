// Verdicts on objects: kept in the browser by the content of the data, exported as CSV.

const QUALITIES = page.kind === "spectra"
  ? { 1: "wrong or unknown", 2: "doubtful", 3: "probable", 4: "secure" }
  : { 1: "bad", 2: "doubtful", 3: "fair", 4: "good" };

const verdicts = {
  key: `flowspec-verdicts-${page.id}`,
  all: {},
  kept: true,
  start() {
    try { this.all = JSON.parse(recall(this.key)) || {}; } catch { this.all = {}; }
    for (const [number, words] of Object.entries(QUALITIES)) {
      const button = element("button", `${number} ${words}`, { type: "button", role: "radio", "data-quality": number });
      button.addEventListener("click", () => this.judge(Number(number)));
      byId("quality").append(button);
    }
    byId("comment").addEventListener("input", (event) => this.set(state.current, { comment: event.target.value }));
    byId("export").addEventListener("click", () => this.export());
  },
  of(index) {
    return this.all[index] || {};
  },
  set(index, change) {
    const next = { ...this.of(index), ...change, time: new Date().toISOString() };
    if (next.quality || next.comment || next.z !== undefined) this.all[index] = next;
    else delete this.all[index];
    this.kept = keep(this.key, JSON.stringify(this.all));
    this.show(index);
    table.refresh(index);
  },
  // The same quality again takes it back.
  judge(quality) {
    this.set(state.current, { quality: this.of(state.current).quality === quality ? 0 : quality });
  },
  show(index) {
    const verdict = this.of(index);
    for (const button of byId("quality").children) {
      button.setAttribute("aria-checked", String(Number(button.dataset.quality) === verdict.quality));
    }
    if (byId("comment").value !== (verdict.comment || "")) byId("comment").value = verdict.comment || "";
    const redshift = verdict.z === undefined ? "" : `Kept with z = ${verdict.z}. `;
    byId("kept").textContent = this.kept ? redshift
      : "This browser keeps nothing for this page: export before you close it.";
    const count = Object.values(this.all).filter((v) => v.quality).length;
    byId("progress").textContent = `${count} of ${page.table.length} judged`;
  },
  csv() {
    const columns = ["name", ...["z_best", "z_prob", "class", "source", "flag_names"].filter((name) => table.place(name) >= 0)];
    const quoted = (value) => value === null || value === undefined ? ""
      : /[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
    const lines = page.table.map((row, index) => {
      const { quality, comment, z, time } = this.of(index);
      const words = quality ? QUALITIES[quality] : "";
      const own = page.kind === "spectra" ? [z] : [];
      return [index, ...columns.map((name) => row[table.place(name)]), quality || "", words, ...own, comment, time, page.id]
        .map(quoted).join(",");
    });
    const head = ["row", ...columns, "quality", "quality_words", ...(page.kind === "spectra" ? ["z_kept"] : []), "comment", "time", "page"];
    return `${head.join(",")}\n${lines.join("\n")}\n`;
  },
  export() {
    const link = element("a", "", { download: `verdicts-${page.id}.csv`,
      href: URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  },
};
