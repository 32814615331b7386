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
