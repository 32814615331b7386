// A native checkbox inside its label.
function render({ model, el }) {
  const control = create("input", { type: "checkbox" });
  const name = create("span");
  el.classList.add("gradwidgets-check");
  el.append(create("label", {}, control, name));
  return nativeControl(model, el, control, name, {
    values: ["value"],
    show() {
      control.checked = model.get("value");
    },
    changed() {
      model.set("value", control.checked);
    },
  });
}

export default { render };
