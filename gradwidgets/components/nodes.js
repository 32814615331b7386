// What all widgets make their pages of; it stands before each one's own module.
function create(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// Words between backticks are set as code.
function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? create("code", { textContent: part }) : part));
}

// Not crypto.randomUUID: over plain http a browser has it for its own machine only.
function uniqueId() {
  return `gradwidgets-${Math.random().toString(36).slice(2)}`;
}

// Calls `update` now, and whenever one of the model's values of these names changes. One name at a
// time: not every front end knows several in one string. Returns a function that ends this.
function whenever(model, names, update) {
  for (const name of names) model.on(`change:${name}`, update);
  update();
  return () => names.forEach((name) => model.off(`change:${name}`, update));
}

// Whether a message leads anywhere. To a kernel each does; a page without one has a model that knows.
const allows = (model, message) => model.allows?.(message) ?? true;

// Where an event began, and what holds the keyboard, also inside a shadow root, as in marimo.
const beginningOf = (event) => event.composedPath()[0];
const focusedIn = (el) => el.getRootNode().activeElement;

// Jupyter takes keys for itself: "d d" on a button or a checkbox would delete the cell. Inside the
// box that `el` stands in it does not act on them, and nobody outside sees them. A walkthrough
// decides for itself. Returns a function that ends this.
function keepKeys(el) {
  const stop = (event) => event.stopPropagation();
  function pressed(event) {
    const target = beginningOf(event);
    const box = el.closest(".widget-vbox") ?? el;
    if (!box.contains(target) || el.closest(".gradwidgets-walkthrough")) return;
    target.setAttribute("data-lm-suppress-shortcuts", "true");
    box.addEventListener("keydown", stop, { once: true });
  }
  window.addEventListener("keydown", pressed, true); // before Jupyter, which listens on the document
  return () => window.removeEventListener("keydown", pressed, true);
}
