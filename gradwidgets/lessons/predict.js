// A question with a native radio group, or a number of hands for each choice; the answer is asked
// for with the button, once.
// How many hands went up, or answers came, as a bar and in words.
function barOf(hands, all, kind) {
  const share = all ? Math.round((100 * hands) / all) : 0;
  const fill = create("span");
  fill.style.width = `${share}%`;
  const bar = create("span", { className: "gradwidgets-hands-bar" }, fill);
  return [bar, `${hands} ${kind}${hands === 1 ? "" : "s"}, ${share} %`];
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
  const classText = create("span");
  const classButton = create("button", { type: "button" });
  const classLine = create("p", { className: "gradwidgets-class" }, classText, classButton);
  const parts = [fieldset, commit, classLine, status, experiment];
  const form = create("form", { className: "gradwidgets-predict" }, ...parts);
  let waiting = false;
  let held = false; // whether the keyboard was here when "Commit" took it away
  let asked = false; // whether somebody has asked the class

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
  const voted = () => counted().map((hands, index) => hands + (model.get("class_votes")[index] ?? 0));
  function picked() {
    if (!tally) return rows.findIndex(({ input }) => input.checked);
    const most = Math.max(...voted());
    return most ? voted().indexOf(most) : -1;
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
    const all = voted().reduce((sum, votes) => sum + votes, 0);
    const kind = model.get("class_votes").some(Boolean) ? "answer" : "hand";
    rows.forEach(({ input, hands }, index) => {
      if (answered && !tally) input.checked = index === chosen;
      input.disabled = waiting || answered;
      if (tally) hands.replaceChildren(...barOf(voted()[index], all, kind));
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

  // A clicker asks the class, then runs the experiment once there is an answer, then goes on.
  function takeStep() {
    const open = tally && model.get("class_button") && model.get("chosen") < 0;
    if (!open || waiting) return false;
    const first = !asked;
    asked = true;
    if (first) model.send({ kind: "ask" });
    else if (picked() >= 0) form.requestSubmit();
    return first || waiting;
  }

  classButton.addEventListener("click", () => {
    asked = true;
    model.send({ kind: "class" });
  });
  function showClass() {
    classText.textContent = model.get("class_line");
    classButton.textContent = model.get("class_button");
    classButton.hidden = !model.get("class_button");
    classLine.hidden = classButton.hidden && !model.get("class_line");
  }

  status.tabIndex = -1;
  el.append(form);
  const title = model.get("question");
  const place = { el, model, whole: () => form, title, scenes: [], at: () => 0 };
  const { leave } = joinLecture({ ...place, takeStep });
  const freeModel = whenever(model, ["chosen", "shown", "error"], settle);
  const freeVotes = whenever(model, ["class_votes"], update);
  const freeClass = whenever(model, ["class_line", "class_button"], showClass);
  return () => {
    freeKeys();
    freeModel();
    freeVotes();
    freeClass();
    leave();
  };
}

export default { render };
