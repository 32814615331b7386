// A question with a native radio group, or a number of hands for each choice; the answer is asked
// for with the button, once.
// How many hands went up, as a bar and in words.
function barOf(hands, all) {
  const share = all ? Math.round((100 * hands) / all) : 0;
  const fill = create("span");
  fill.style.width = `${share}%`;
  const bar = create("span", { className: "gradwidgets-hands-bar" }, fill);
  return [bar, `${hands} hand${hands === 1 ? "" : "s"}, ${share} %`];
}

function render({ model, el }) {
  const id = uniqueId();
  const legend = create("legend");
  const fieldset = create("fieldset", {}, legend);
  const tally = model.get("tally");
  const button = tally ? "Run the experiment" : "Commit";
  const commit = create("button", { type: "submit", textContent: button });
  const status = create("p");
  status.setAttribute("role", "status");
  status.setAttribute("aria-live", "polite");
  const program = create("code");
  const summary = create("summary", { textContent: "The experiment, as code" });
  const experiment = create("details", { hidden: true }, summary, create("pre", {}, program));
  const parts = [fieldset, commit, status, experiment];
  const form = create("form", { className: "gradwidgets-predict" }, ...parts);
  let waiting = false;
  let held = false; // whether the keyboard was here when "Commit" took it away

  form.toggleAttribute("data-tally", tally);
  const freeKeys = keepKeys(el);
  form.addEventListener("keydown", ({ key }) => key === "Escape" && slide()?.focus());

  const rows = model.get("choices").map((text, index) => {
    const kind = tally
      ? { type: "number", min: 0, value: model.get("votes")[index] }
      : { type: "radio", name: id, value: index };
    const input = create("input", { ...kind, id: `${id}-${index}` });
    const label = create("label", { htmlFor: input.id }, ...prose(text));
    const mark = create("span", { className: "gradwidgets-mark" });
    const hands = create("p", { id: `${id}-hands-${index}`, className: "gradwidgets-hands" });
    const why = create("p", { id: `${id}-why-${index}` });
    input.setAttribute("aria-describedby", `${hands.id} ${why.id}`);
    label.append(mark);
    fieldset.append(create("div", {}, input, label, hands, why));
    return { input, mark, hands, why };
  });
  const counted = () => rows.map(({ input }) => Math.max(0, Math.floor(input.valueAsNumber) || 0));
  function picked() {
    if (!tally) return rows.findIndex(({ input }) => input.checked);
    const most = Math.max(...counted());
    return most ? counted().indexOf(most) : -1;
  }

  form.addEventListener("input", () => {
    if (tally) {
      model.set("votes", counted());
      model.save_changes();
    }
    update();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const choice = picked();
    if (choice < 0 || waiting || model.get("chosen") >= 0) return;
    waiting = true;
    held = form.contains(focusedIn(el));
    update();
    const votes = tally ? counted() : []; // what was just typed may still be on its way
    model.send({ kind: "commit", choice: model.get("choices")[choice], votes });
  });

  function update() {
    const chosen = model.get("chosen");
    const answered = chosen >= 0;
    legend.replaceChildren(...prose(model.get("question")));
    const all = counted().reduce((sum, votes) => sum + votes, 0);
    rows.forEach(({ input, hands }, index) => {
      if (answered && !tally) input.checked = index === chosen;
      input.disabled = waiting || answered;
      if (tally) hands.replaceChildren(...barOf(counted()[index], all));
    });
    commit.disabled = waiting || picked() < 0;
    commit.hidden = answered;
    form.dataset.state = answered ? (model.get("shown").right ? "right" : "wrong") : "open";
    if (answered) reveal(chosen, model.get("shown"));
    else status.textContent = waiting ? "The experiment is running ..." : model.get("error");
  }

  function reveal(chosen, shown) {
    rows.forEach(({ mark, why }, index) => {
      const whose = tally ? "most hands" : "your choice";
      const marks = [index === chosen && whose, index === shown.answer && "measured"];
      mark.textContent = marks.filter(Boolean).join(" and ");
      mark.dataset.measured = index === shown.answer;
      why.replaceChildren(...prose(shown.why[index]));
    });
    status.replaceChildren(...prose(shown.verdict));
    program.textContent = shown.experiment;
    experiment.hidden = !shown.experiment;
  }

  // In a deck of slides the arrow keys are the deck's again once the cell is in focus.
  const slide = () => document.body.dataset.jpDeckMode && form.closest(".jp-Cell");

  function settle() {
    if (model.get("chosen") >= 0 && !("answer" in model.get("shown"))) return; // it comes later
    waiting = false;
    update();
    if (held && [document.body, null].includes(focusedIn(el))) (slide() || status).focus();
    held = false;
  }

  status.tabIndex = -1;
  el.append(form);
  const freeModel = whenever(model, ["chosen", "shown", "error"], settle);
  return () => {
    freeKeys();
    freeModel();
  };
}

export default { render };
