// A native list, named, which the arrow keys and letters operate in every front end.
function render({ model, el }) {
  const id = uniqueId();
  const name = create("label", { htmlFor: id });
  const control = create("select", { id });
  el.classList.add("gradwidgets-choice");
  el.append(name, control);
  return nativeControl(model, el, control, name, {
    values: ["texts", "index"],
    show() {
      const texts = model.get("texts");
      const shown = [...control.options].map((option) => option.text);
      if (texts.length !== shown.length || texts.some((text, i) => text !== shown[i]))
        control.replaceChildren(...texts.map((textContent) => create("option", { textContent })));
      control.selectedIndex = model.get("index");
    },
    changed() {
      model.set("index", control.selectedIndex);
    },
  });
}

export default { render };
