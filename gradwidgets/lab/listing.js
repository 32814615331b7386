// A program to read and copy; some of its lines are marked.
function render({ model, el }) {
  const title = create("span");
  const button = create("button", { type: "button" });
  const bar = create("div", { className: "gradwidgets-listing-bar" }, title, button);
  const code = create("pre", { tabIndex: 0 });
  code.setAttribute("role", "region");
  el.setAttribute("data-lm-suppress-shortcuts", "true");

  const isOpen = () => model.get("lines").length > 0;
  let opener = null;
  let shown = isOpen() && model.get("label");

  button.addEventListener("click", async () => {
    const text = model.get("lines").map(([line]) => line).join("\n") + "\n";
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(code);
    button.textContent = copied ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  el.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") model.send({ kind: "close" });
  });
  // In the view whose button was pressed; a cell that asks for the lines takes no focus.
  function open() {
    const asked = document.activeElement;
    const pressed = asked instanceof HTMLButtonElement && !el.contains(asked);
    if (!pressed || !el.closest(".widget-vbox")?.contains(asked)) return;
    opener = asked;
    el.scrollIntoView({ block: "nearest" });
    code.focus({ preventScroll: true });
  }
  function showMark() {
    const mark = code.querySelector("mark");
    const seen = (y) => y >= code.scrollTop && y < code.scrollTop + code.clientHeight;
    if (mark && !seen(mark.offsetTop)) code.scrollTop = mark.offsetTop - code.clientHeight / 2;
  }
  function update() {
    const label = isOpen() && model.get("label");
    const focused = el.contains(document.activeElement);
    button.textContent = "Copy";
    title.textContent = model.get("label");
    code.setAttribute("aria-label", model.get("label"));
    code.dataset.wrap = model.get("lines").length === 1;
    code.replaceChildren(
      ...model.get("lines").map(([text, marked]) =>
        create(marked ? "mark" : "span", { textContent: text + "\n" })
      )
    );
    el.hidden = !label;
    if (label && label !== shown) open();
    if (!label && focused) opener?.focus();
    if (label) showMark();
    shown = label;
  }
  el.classList.add("gradwidgets-listing");
  el.append(bar, code);
  return whenever(model, ["lines", "label"], update);
}

export default { render };
