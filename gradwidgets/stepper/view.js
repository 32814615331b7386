// The loop's lines with their switches on the left; what they do to the numbers on the right.
const SIGNS = { next: "▶ next", failed: "✗ failed" };
const RUN = "Run";
const CANCEL = "Cancel";
const KEYS = { ArrowRight: "next", ArrowLeft: "previous", End: "finish", Home: "restart" };

// Jupyter would take arrows and letters for itself: it must neither act on them nor see them.
function guard(node) {
  node.setAttribute("data-lm-suppress-shortcuts", "true");
  return node;
}

function button(textContent, title, act) {
  const node = guard(create("button", { type: "button", textContent, title }));
  node.addEventListener("click", act);
  return node;
}

function toolbar(send) {
  const updates = guard(create("input", { type: "number", min: 1, value: 10 }));
  updates.setAttribute("aria-label", "number of updates to run");
  const number = () => Math.max(1, updates.valueAsNumber || 1);
  const running = () => buttons.run.textContent === CANCEL;
  const run = () => (running() ? send("cancel") : send("run", { number: number() }));
  const buttons = {
    restart: button("Start", "Back to the start of the run", () => send("restart")),
    previous: button("◀ Previous line", "Undo the last line", () => send("previous")),
    next: button("Next line ▶", "Execute the next line", () => send("next")),
    finish: button("Finish update", "Execute the rest of this update", () => send("finish")),
    run: button(RUN, "Run that many updates, or end the run under way", run),
  };
  const reset = button("Reset lines", "Put all lines back as they were", () => send("reset"));
  const group = create("span", {}, buttons.run, " ", updates, " updates");
  const { restart, previous, next, finish } = buttons;
  const node = create("div", { className: "gradwidgets-buttons" });
  node.append(restart, previous, next, finish, group, reset);
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", "run the loop");
  return { node, buttons, updates, number };
}

// A line that lasts as long as its key does, so that what is focused stays so.
function createLine(key, send) {
  const toggle = guard(create("input", { type: "checkbox" }));
  toggle.addEventListener("click", (event) => {
    if (toggle.ariaDisabled === "true") event.preventDefault();
  });
  toggle.addEventListener("change", () => send("switch", { key }));
  const tools = {
    up: button("↑", "", () => send("move", { key, number: -1 })),
    down: button("↓", "", () => send("move", { key, number: 1 })),
    twice: button("×2", "", () => send("repeat", { key })),
  };
  const mark = create("span", { className: "gradwidgets-sign" });
  const code = create("code");
  const node = create("li", {}, toggle, mark, code, ...Object.values(tools));
  node.dataset.key = key;
  return { node, toggle, tools, mark, code };
}

function name(node, text) {
  node.title = text;
  node.setAttribute("aria-label", text);
}

function updateLine(model, line, data) {
  const first = data.text.split("\n")[0];
  line.toggle.checked = data.on;
  name(line.toggle, `switch ${data.on ? "off" : "on"}: ${first}`);
  name(line.tools.up, `move up: ${first}`);
  name(line.tools.down, `move down: ${first}`);
  name(line.tools.twice, `repeat: ${first}`);
  // What is of no use stays where it is for the keyboard, and says so.
  const can = (action, more) => allows(model, { action, key: data.key, ...more });
  line.toggle.setAttribute("aria-disabled", !can("switch"));
  line.tools.up.setAttribute("aria-disabled", !data.up || !can("move", { number: -1 }));
  line.tools.down.setAttribute("aria-disabled", !data.down || !can("move", { number: 1 }));
  line.tools.twice.setAttribute("aria-disabled", !can("repeat"));
  line.mark.textContent = SIGNS[data.mark] ?? (data.last ? "✓ last" : "");
  if (data.mark && data.last) line.mark.textContent = `${SIGNS[data.mark]}, last`;
  if (data.mark === "failed") line.mark.textContent = SIGNS.failed;
  line.code.textContent = data.text;
  line.code.style.marginLeft = `${4 * (data.depth - 1)}ch`;
  line.node.dataset.mark = data.mark || (data.last ? "last" : "");
  line.node.dataset.on = data.on;
  if (data.mark === "next") line.node.setAttribute("aria-current", "step");
  else line.node.removeAttribute("aria-current");
}

// One line's controls are in the tab order; the arrow keys go from line to line.
function listing(model, send) {
  const lines = new Map();
  const list = guard(create("ol"));
  list.setAttribute("role", "list");
  list.setAttribute("aria-label", "lines of one update");
  let held = null;
  const inside = (node) => [...node.querySelectorAll("input, button")];

  function hold(item) {
    held = item;
    for (const node of list.children)
      for (const control of inside(node)) control.tabIndex = node === item ? 0 : -1;
  }
  function onKey(event) {
    const item = event.target.closest("li");
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (by && event.altKey) send("move", { key: Number(item.dataset.key), number: by });
    else if (by) {
      const place = inside(item).indexOf(event.target);
      const other = by < 0 ? item.previousElementSibling : item.nextElementSibling;
      if (other) inside(other)[place].focus();
    } else if (KEYS[event.key] && !event.altKey && !event.ctrlKey) send(KEYS[event.key]);
    else return;
    event.preventDefault();
  }
  function update() {
    const data = model.get("page").lines;
    const focused = list.getRootNode().activeElement;
    const kept = list.contains(focused) ? focused : null;
    const items = data.map((each) => {
      if (!lines.has(each.key)) lines.set(each.key, createLine(each.key, send));
      updateLine(model, lines.get(each.key), each);
      return lines.get(each.key).node;
    });
    if (items.some((item, i) => item !== list.children[i]) || items.length < list.children.length)
      list.replaceChildren(...items);
    hold(items.includes(held) ? held : items[0]);
    if (kept) (list.contains(kept) ? kept : inside(items[0])[0]).focus();
  }
  list.addEventListener("keydown", onKey);
  list.addEventListener("focusin", (event) => hold(event.target.closest("li")));
  return { node: list, update };
}

function badge(changed) {
  return changed ? [create("span", { className: "gradwidgets-changed", textContent: "✱ changed" })] : [];
}

function tableRow(row) {
  const shape = create("small", { textContent: row.shape });
  const head = create("th", { scope: "row" }, row.name, create("br"), shape);
  const cells = row.cells.map(({ summary, numbers, changed }) => {
    const cell = create("td", {}, create("b", { textContent: summary }), ...badge(changed));
    cell.dataset.changed = changed;
    if (numbers) cell.append(create("pre", { textContent: numbers }));
    return cell;
  });
  return create("tr", {}, head, ...cells);
}

function table({ columns, rows }) {
  const heads = columns.map((textContent) => create("th", { scope: "col", textContent }));
  const body = create("tbody", {}, ...rows.map(tableRow));
  return create("table", {}, create("thead", {}, create("tr", {}, ...heads)), body);
}

function variables(all) {
  return all.map(({ name: textContent, text, changed }) => {
    const value = create("span", {}, create("code", { textContent }), ` = ${text} `, ...badge(changed));
    value.dataset.changed = changed;
    return value;
  });
}

function region(label) {
  const node = guard(create("div", { className: "gradwidgets-numbers", tabIndex: 0 }));
  node.setAttribute("role", "region");
  node.setAttribute("aria-label", label);
  return node;
}

const HINT =
  "In the lines: ↑ ↓ go from line to line, Space switches, Alt+↑ ↓ move; " +
  "→ next line, ← previous line, End finishes the update, Home goes back to the start.";

function status() {
  const node = create("p");
  node.setAttribute("role", "status");
  node.setAttribute("aria-live", "polite");
  return node;
}

function explained(failure) {
  if (!failure) return [];
  const error = create("pre", { textContent: failure.error });
  return [error, create("p", {}, ...prose(failure.explanation))];
}

function layOut(el, model) {
  const send = (action, more = {}) => model.send({ action, ...more });
  const parts = {
    bar: toolbar(send),
    lines: listing(model, send),
    head: create("code"),
    where: create("span", { className: "gradwidgets-where" }),
    status: status(),
    failure: create("div", { className: "gradwidgets-failure" }),
    values: create("p", { className: "gradwidgets-variables" }),
    numbers: region("parameters, gradients and optimizer state"),
  };
  const hint = create("p", { className: "gradwidgets-hint", textContent: HINT });
  const { head, where, lines, values, numbers } = parts;
  const left = create("div", {}, create("div", {}, head, where), lines.node, hint);
  const sides = create("div", { className: "gradwidgets-sides" }, left);
  sides.append(create("div", {}, values, numbers));
  el.classList.add("gradwidgets-stepper");
  el.append(parts.bar.node, parts.status, parts.failure, sides);
  guard(el).addEventListener("keydown", (event) => event.stopPropagation());
  return parts;
}

function render({ model, el }) {
  const { bar, lines, head, where, status, failure, values, numbers } = layOut(el, model);
  function update() {
    const page = model.get("page");
    lines.update();
    head.textContent = page.head;
    where.textContent = page.where;
    status.replaceChildren(...prose(page.sentence));
    failure.hidden = !page.failure;
    failure.replaceChildren(...explained(page.failure));
    values.replaceChildren(...variables(page.variables));
    numbers.replaceChildren(table(page));
    bar.buttons.run.textContent = page.running ? CANCEL : RUN;
    offer();
  }
  function offer() {
    const { first, over, running } = model.get("page");
    const idle = { restart: first, previous: first, reset: false };
    for (const [action, button] of Object.entries(bar.buttons)) {
      const more = action === "run" && !running ? { number: bar.number() } : {};
      const useless = (idle[action] ?? over) || !allows(model, { action, ...more });
      button.setAttribute("aria-disabled", useless);
    }
  }
  bar.updates.addEventListener("input", offer);
  return whenever(model, ["page"], update);
}

export default { render };
