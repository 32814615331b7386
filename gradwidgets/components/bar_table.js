// A table with bars behind its numbers, a sentence and notes.
function heading({ name, help, ticks }) {
  const node = create("th", { scope: "col", title: help ?? "" }, name);
  if (!ticks?.length) return node;
  const scale = create("div", { className: "gradwidgets-ticks" });
  for (const [place, textContent] of ticks) {
    const tick = create("span", { textContent });
    tick.style.left = `${100 * place}%`;
    scale.append(tick);
  }
  node.append(scale);
  return node;
}

function track(share, wide = false) {
  const length = create("div", { className: "gradwidgets-bar" });
  length.style.width = `${100 * share}%`;
  const node = create("div", { className: "gradwidgets-track" }, length);
  node.dataset.wide = wide;
  return node;
}

function tableCell({ text, bar, mark, beside }, wide) {
  const node = create("td", {}, create("span", { textContent: text }));
  node.dataset.mark = mark;
  if (bar !== null) node.append(track(bar, wide));
  for (const [textContent, share] of beside) {
    const other = create("div", { className: "gradwidgets-beside" });
    other.append(create("small", { textContent }), track(share));
    node.append(other);
  }
  return node;
}

function tableRow({ name, detail, cells }, columns) {
  const head = create("th", { scope: "row" }, ...prose(name));
  if (detail) head.append(create("br"), create("small", {}, ...prose(detail)));
  const wide = (i) => Boolean(columns[i].ticks);
  return create("tr", {}, head, ...cells.map((cell, i) => tableCell(cell, wide(i))));
}

function table({ caption, columns, rows }) {
  const corner = create("td");
  const heads = create("tr", {}, corner, ...columns.map(heading));
  const body = create("tbody", {}, ...rows.map((row) => tableRow(row, columns)));
  const title = create("caption", { textContent: caption });
  return create("table", {}, title, create("thead", {}, heads), body);
}

function render({ model, el }) {
  const region = create("div", { tabIndex: 0 });
  region.setAttribute("role", "region");
  const status = create("p");
  status.setAttribute("role", "status");
  status.setAttribute("aria-live", "polite");
  const notes = create("ul");

  function update() {
    const page = model.get("page");
    if (!page.columns) return;
    region.setAttribute("aria-label", page.caption);
    region.replaceChildren(table(page));
    status.replaceChildren(...prose(page.sentence));
    notes.replaceChildren(...page.notes.map((note) => create("li", {}, ...prose(note))));
    notes.hidden = !page.notes.length;
  }
  el.classList.add("gradwidgets-bars");
  el.append(region, status, notes);
  const freeKeys = keepKeys(el);
  const freeModel = whenever(model, ["page"], update);
  return () => {
    freeKeys();
    freeModel();
  };
}

export default { render };
