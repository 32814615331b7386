// A native line of text, named.
function render({ model, el }) {
  const id = uniqueId();
  const label = create("label", { htmlFor: id });
  const field = create("input", { id, type: "text", autocomplete: "off", spellcheck: false });

  function update() {
    label.textContent = model.get("label");
    label.title = field.title = model.get("help");
    field.value = model.get("value");
    field.disabled = model.get("disabled");
  }
  field.addEventListener("change", () => {
    model.set("value", field.value);
    model.save_changes();
  });
  el.classList.add("gradwidgets-text-field");
  el.append(label, field);
  const freeKeys = keepKeys(el);
  const freeModel = whenever(model, ["label", "help", "value", "disabled"], update);
  return () => {
    freeKeys();
    freeModel();
  };
}

export default { render };
