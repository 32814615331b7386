// Native buttons.
function render({ model, el }) {
  function update() {
    const helps = model.get("helps");
    const buttons = model.get("labels").map((textContent, i) => {
      const button = create("button", { type: "button", textContent, title: helps[i] });
      button.addEventListener("click", () => model.send({ pressed: textContent }));
      return button;
    });
    el.replaceChildren(...buttons);
  }
  el.classList.add("gradwidgets-button-row");
  const freeKeys = keepKeys(el);
  const freeModel = whenever(model, ["labels", "helps"], update);
  return () => {
    freeKeys();
    freeModel();
  };
}

export default { render };
