// A program to read and copy; some of its lines are marked.
function render({ model, el }) {
  const button = create("button", { type: "button" });
  const code = create("pre", { tabIndex: 0 });
  code.setAttribute("role", "region");

  button.addEventListener("click", async () => {
    const text = model.get("lines").map(([line]) => line).join("\n") + "\n";
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(code);
    button.textContent = copied ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  function update() {
    button.textContent = "Copy";
    code.setAttribute("aria-label", model.get("label"));
    code.replaceChildren(
      ...model.get("lines").map(([text, marked]) =>
        create(marked ? "mark" : "span", { textContent: text + "\n" })
      )
    );
    el.hidden = !model.get("lines").length;
  }
  model.on("change:lines change:label", update);
  el.classList.add("gradwidgets-listing");
  el.append(button, code);
  update();
  return () => model.off(null, update);
}

export default { render };
