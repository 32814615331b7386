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
  model.on("change:label change:help change:texts change:index change:disabled", update);
  el.classList.add("gradwidgets-choice");
  el.append(label, list);
  const freeKeys = keepKeys(el);
  update();
  return () => {
    freeKeys();
    model.off(null, update);
  };
}

export default { render };
