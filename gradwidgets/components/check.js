// A native checkbox inside its label.
function render({ model, el }) {
  const box = create("input", { type: "checkbox" });
  const name = create("span");
  const label = create("label", {}, box, name);

  function update() {
    name.textContent = model.get("label");
    label.title = box.title = model.get("help");
    box.checked = model.get("value");
    box.disabled = model.get("disabled");
  }
  box.addEventListener("change", () => {
    model.set("value", box.checked);
    model.save_changes();
  });
  el.classList.add("gradwidgets-check");
  el.append(label);
  const freeKeys = keepKeys(el);
  const freeModel = whenever(model, ["label", "help", "value", "disabled"], update);
  return () => {
    freeKeys();
    freeModel();
  };
}

export default { render };
