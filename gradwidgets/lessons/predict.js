// A question with a native radio group; the answer is asked for with "Commit", once.
function create(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// Words between backticks are set as code.
function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? create("code", { textContent: part }) : part));
}

function render({ model, el }) {
  const id = `gradwidgets-${crypto.randomUUID()}`;
  const legend = create("legend", {});
  const fieldset = create("fieldset", {}, legend);
  const commit = create("button", { type: "submit", textContent: "Commit" });
  const status = create("p", {});
  status.setAttribute("role", "status");
  status.setAttribute("aria-live", "polite");
  const form = create("form", { className: "gradwidgets-predict" }, fieldset, commit, status);
  let waiting = false;
  let held = false; // whether the keyboard was here when "Commit" took it away

  // Jupyter would take arrows and letters for itself: it must neither act on them nor see them.
  form.setAttribute("data-lm-suppress-shortcuts", "true");
  form.addEventListener("keydown", (event) => event.stopPropagation());

  const rows = model.get("choices").map((text, index) => {
    const radio = create("input", { type: "radio", name: id, id: `${id}-${index}`, value: index });
    const label = create("label", { htmlFor: radio.id }, ...prose(text));
    const mark = create("span", { className: "gradwidgets-mark" });
    const why = create("p", { id: `${id}-why-${index}` });
    radio.setAttribute("data-lm-suppress-shortcuts", "true");
    label.append(mark);
    fieldset.append(create("div", {}, radio, label, why));
    return { radio, mark, why };
  });

  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const picked = rows.findIndex(({ radio }) => radio.checked);
    if (picked < 0 || waiting || model.get("chosen") >= 0) return;
    waiting = true;
    held = form.contains(document.activeElement);
    update();
    model.send({ kind: "commit", choice: model.get("choices")[picked] });
  });

  function update() {
    const chosen = model.get("chosen");
    const answered = chosen >= 0;
    legend.replaceChildren(...prose(model.get("question")));
    rows.forEach(({ radio }, index) => {
      if (answered) radio.checked = index === chosen;
      radio.disabled = waiting || answered;
    });
    commit.disabled = waiting || !rows.some(({ radio }) => radio.checked);
    commit.hidden = answered;
    form.dataset.state = answered ? (model.get("shown").right ? "right" : "wrong") : "open";
    if (answered) reveal(chosen, model.get("shown"));
    else status.textContent = waiting ? "The experiment is running ..." : model.get("error");
  }

  function reveal(chosen, shown) {
    rows.forEach(({ mark, why, radio }, index) => {
      const marks = [index === chosen && "your choice", index === shown.answer && "measured"];
      mark.textContent = marks.filter(Boolean).join(" and ");
      mark.dataset.measured = index === shown.answer;
      why.replaceChildren(...prose(shown.why[index]));
      radio.setAttribute("aria-describedby", why.id);
    });
    status.replaceChildren(...prose(shown.verdict));
  }

  function settle() {
    waiting = false;
    update();
    if (held && [document.body, null].includes(document.activeElement)) status.focus();
    held = false;
  }

  status.tabIndex = -1;
  model.on("change:chosen change:error", settle);
  el.append(form);
  update();
  return () => model.off(null, settle);
}

export default { render };
