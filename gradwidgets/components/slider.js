// A native range input over a list of stops: named, keyboard-operable, in every front end.
// Under it, once some are known, a bar for each stop: where the loss ends, and what is unstable.
// A stop that is not known yet has a dot instead, at half the height, where no bar looks like it.
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function barsOf(bars) {
  const picture = shape("svg", { viewBox: `0 0 ${bars.length} 1`, preserveAspectRatio: "none" });
  picture.setAttribute("aria-hidden", "true"); // the words beside it say the same
  if (!bars.some(Boolean)) return picture;
  bars.forEach((bar, x) => {
    if (!bar) {
      const dot = { x1: x + 0.5, x2: x + 0.5, y1: 0.5, y2: 0.5, class: "unknown" };
      picture.append(shape("line", dot)); // a line without length, whose ends are round
      return;
    }
    const [height, unstable] = bar;
    const size = { x: x + 0.1, y: 1 - height, width: 0.8, height };
    picture.append(shape("rect", { ...size, class: unstable ? "unstable" : "stable" }));
    if (!unstable) return;
    const cross = { x1: x + 0.1, x2: x + 0.9, class: "mark" }; // not by colour alone
    picture.append(shape("line", { ...cross, y1: 1, y2: unstable === "diverges" ? 0 : 0.5 }));
  });
  return picture;
}

function render({ model, el }) {
  const id = uniqueId();
  const label = create("label", { htmlFor: id });
  const value = create("output");
  const input = create("input", { id, type: "range", min: 0, step: 1 });
  const outcomes = create("div", { className: "gradwidgets-outcome-bars" });
  const words = create("span", { id: `${id}-words`, className: "gradwidgets-words" });
  // Jupyter would take the arrow keys for itself: it must neither act on them nor see them.
  input.setAttribute("data-lm-suppress-shortcuts", "true");
  input.addEventListener("keydown", (event) => event.stopPropagation());

  function update() {
    const texts = model.get("texts");
    label.textContent = model.get("label");
    label.title = input.title = model.get("help");
    input.max = texts.length - 1;
    input.disabled = model.get("disabled");
    show(model.get("index"));
  }
  function show(index) {
    const text = model.get("texts")[index];
    input.value = index;
    input.setAttribute("aria-valuetext", text);
    value.textContent = text;
  }
  function draw() {
    const bars = model.get("bars");
    outcomes.replaceChildren(...(bars.length ? [barsOf(bars)] : []));
    outcomes.title = words.textContent = model.get("bars_text");
    if (words.textContent) input.setAttribute("aria-describedby", words.id);
    else input.removeAttribute("aria-describedby");
  }
  function tell(state) {
    for (const name in state) model.set(name, state[name]);
    model.save_changes();
  }
  input.addEventListener("input", () => {
    const index = input.valueAsNumber;
    const moved_at = Math.max(Date.now(), model.get("moved_at") + 1);
    show(index);
    tell({ index, moved_at });
    const move = { slider: model.get("name"), index, moved_at };
    el.dispatchEvent(new CustomEvent("gradwidgets-moved", { bubbles: true, detail: move }));
  });
  input.addEventListener("focus", () => tell({ focused: true }));
  input.addEventListener("blur", () => tell({ focused: false }));
  el.classList.add("gradwidgets-slider");
  el.append(label, value, input, outcomes, words);
  const freeModel = whenever(model, ["label", "help", "texts", "index", "disabled"], update);
  const freeBars = whenever(model, ["bars", "bars_text"], draw);
  return () => {
    freeModel();
    freeBars();
  };
}

export default { render };
