// A native list, named, which the arrow keys and letters operate in every front end.
function render({ model, el }) {
  const id = uniqueId();
  const label = create("label", { htmlFor: id });
  const list = create("select", { id });

  function update() {
    label.textContent = model.get("label");
    label.title = list.title = model.get("help");
    list.disabled = model.get("disabled");
    const texts = model.get("texts");
    if (texts.some((text, i) => text !== list.options[i]?.text) || texts.length < list.length)
      list.replaceChildren(...texts.map((textContent) => create("option", { textContent })));
    list.selectedIndex = model.get("index");
  }
  list.addEventListener("change", () => {
    model.set("index", list.selectedIndex);
    model.save_changes();
  });
  el.classList.add("gradwidgets-choice");
  el.append(label, list);
  const freeKeys = keepKeys(el);
  const freeModel = whenever(model, ["label", "help", "texts", "index", "disabled"], update);
  return () => {
    freeKeys();
    freeModel();
  };
}

export default { render };
