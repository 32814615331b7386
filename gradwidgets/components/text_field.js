// A native line of text, named.
function render({ model, el }) {
  const id = uniqueId();
  const name = create("label", { htmlFor: id });
  const control = create("input", { id, type: "text", autocomplete: "off", spellcheck: false });
  el.classList.add("gradwidgets-text-field");
  el.append(name, control);
  return nativeControl(model, el, control, name, {
    values: ["value"],
    show() {
      control.value = model.get("value");
    },
    changed() {
      model.set("value", control.value);
    },
  });
}

export default { render };
