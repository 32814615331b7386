// A native range input over a list of stops: named, keyboard-operable, in every front end.
function render({ model, el }) {
  const id = `gradwidgets-${crypto.randomUUID()}`;
  const label = document.createElement("label");
  const value = document.createElement("output");
  const input = document.createElement("input");
  label.htmlFor = id;
  Object.assign(input, { id, type: "range", min: 0, step: 1 });
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
  input.addEventListener("input", () => {
    show(input.valueAsNumber);
    model.set("index", input.valueAsNumber);
    model.save_changes();
  });
  model.on("change:label change:help change:texts change:index change:disabled", update);
  el.classList.add("gradwidgets-slider");
  el.append(label, value, input);
  update();
  return () => model.off(null, update);
}

export default { render };
