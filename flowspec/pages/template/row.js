// What all kinds of objects have: a heading, flags in words, all numbers.

function heading(index, names) {
  byId("name").textContent = table.value(index, "name");
  const place = `${Math.max(table.order.indexOf(index) + 1, 0) || "–"} of ${table.order.length}`;
  const parts = names.filter((name) => table.place(name) >= 0).map((name) => [name, written(table.value(index, name), name)]);
  byId("numbers").replaceChildren(document.createTextNode(`${place} `), ...parts.flatMap(([name, value]) =>
    [document.createTextNode(` · ${name} `), element("b", value)]));
}

function flagList(row) {
  const items = row.reasons.map(({ flag, why, what }) => {
    const item = element("li");
    item.append(element("b", flag), document.createTextNode(` ${why}`), element("i", what));
    return item;
  });
  byId("flags").replaceChildren(...(items.length ? items : [element("li", "None: nothing speaks against this row.", { class: "none" })]));
}

function allNumbers(index) {
  byId("all-numbers").replaceChildren(...page.columns.flatMap(({ name, about, unit }) => [
    element("dt", name, { title: about }),
    element("dd", `${written(table.value(index, name), name)} ${unit}`),
  ]));
}

function emptiness(index) {
  const none = state.row.reasons.some(({ flag }) => flag === "no_data");
  byId("object").classList.toggle("empty", none);
  byId("no-data").hidden = !none;
  byId("no-data").textContent = none ? `No data: ${table.value(index, "notes") || "no reason is known"}` : "";
  return none;
}
