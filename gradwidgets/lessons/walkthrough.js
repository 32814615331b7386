// The present scene in large type, the way to the others, and the notes of the speaker.
// The keyboard belongs to the whole walkthrough, lab included: see `pressed`.
const KEYS = {
  ArrowRight: (at) => at + 1,
  PageDown: (at) => at + 1,
  ArrowLeft: (at) => at - 1,
  PageUp: (at) => at - 1,
  Home: () => 0,
  End: (_, last) => last,
};
const TAKES_ARROWS = "input:not([type=checkbox]), select, textarea, [contenteditable]";
const SUPPRESS = "data-lm-suppress-shortcuts"; // Jupyter leaves keys alone on such an element

// The browser's tab remembers the scene; where a page must not remember, it does not.
function memory(name) {
  const key = `gradwidgets-walkthrough-${name}`;
  const attempt = (action) => {
    try {
      return action();
    } catch {
      return null;
    }
  };
  return {
    get: () => Number(attempt(() => sessionStorage.getItem(key))),
    set: (index) => attempt(() => sessionStorage.setItem(key, index)),
  };
}

function render({ model, el }) {
  const scenes = model.get("scenes");
  const last = scenes.length - 1;
  const kept = memory(model.get("name"));
  const title = create("p", { className: "gradwidgets-title" });
  const text = create("p", { className: "gradwidgets-text" });
  const words = create("div", {}, title, text);
  words.setAttribute("role", "status");
  words.setAttribute("aria-live", "polite");
  const back = create("button", { type: "button", textContent: "Back" });
  const next = create("button", { type: "button", textContent: "Next" });
  const jump = create("select", {}, ...scenes.map(option));
  jump.setAttribute("aria-label", "Go to scene");
  const place = create("span");
  const motion = create("input", { type: "checkbox" });
  const animate = create("label", {}, motion, " animate");
  const nav = create("div", { className: "gradwidgets-scenes" });
  const notes = create("div");
  const fold = create("details", {}, create("summary", { textContent: "Speaker notes" }), notes);
  nav.append(back, place, next, jump, animate, fold);
  const stage = create("section", { tabIndex: 0 }, words, nav);

  function option({ title: name }, index) {
    const label = `${index + 1}. ${name.replaceAll("`", "")}`;
    return create("option", { value: index, textContent: label });
  }
  function go(index) {
    const inside = Math.min(Math.max(index, 0), last);
    model.set({ index: inside, moved: true });
    model.save_changes();
  }
  function show() {
    const index = model.get("index");
    const scene = scenes[index];
    title.replaceChildren(...prose(scene.title));
    text.replaceChildren(...prose(scene.text));
    place.textContent = `scene ${index + 1} of ${scenes.length}`;
    stage.setAttribute("aria-label", `Walkthrough, ${place.textContent}`);
    jump.value = index;
    back.setAttribute("aria-disabled", index === 0); // stays in focus, unlike a disabled one
    next.setAttribute("aria-disabled", index === last);
    notes.replaceChildren(...[scene.plan, scene.notes].filter(Boolean).map(note));
    fold.hidden = !notes.childElementCount;
    if (model.get("moved")) kept.set(index);
  }
  function note(said) {
    return create("p", {}, ...prose(said));
  }

  const whole = () => el.closest(".gradwidgets-walkthrough") ?? el;
  const presenting = () => document.body.dataset.jpDeckMode === "presenting";

  // Before anybody else sees the key. A deck of slides goes on where the walkthrough ends.
  function pressed(event) {
    if (!whole().contains(event.target)) return;
    const { key, target } = event;
    const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
    const ours = plain && key in KEYS && (key.startsWith("Page") || !target.matches(TAKES_ARROWS));
    const index = ours ? KEYS[key](model.get("index"), last) : 0;
    const leaves = presenting() && (key === "Escape" || index < 0 || index > last);
    target.toggleAttribute(SUPPRESS, !leaves);
    if (leaves || !ours) return;
    event.preventDefault();
    event.stopPropagation();
    go(index);
  }
  function bubbled(event) {
    if (event.target.hasAttribute(SUPPRESS)) event.stopPropagation();
  }
  // A deck puts the focus on the cell of a new slide; the keys should be here.
  function focused({ target }) {
    const cell = presenting() && target instanceof Element && target.matches(".jp-Cell");
    if (cell && target.contains(el)) stage.focus();
  }
  function clicked() {
    if (!whole().contains(document.activeElement)) stage.focus({ preventScroll: true });
  }

  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  function setMotion(wanted) {
    model.set("animate", wanted);
    model.save_changes();
  }
  const calmed = () => setMotion(!calm.matches);
  const moving = () => (motion.checked = model.get("animate"));

  back.addEventListener("click", () => go(model.get("index") - 1));
  next.addEventListener("click", () => go(model.get("index") + 1));
  jump.addEventListener("change", () => go(Number(jump.value)));
  motion.addEventListener("change", () => setMotion(motion.checked));
  calm.addEventListener("change", calmed);
  window.addEventListener("keydown", pressed, true);
  window.addEventListener("focusin", focused);
  el.classList.add("gradwidgets-stage");
  el.append(stage);
  const attached = requestAnimationFrame(() => {
    whole().addEventListener("keydown", bubbled);
    whole().addEventListener("click", clicked);
  });
  if (calm.matches && model.get("animate")) setMotion(false);
  if (!model.get("moved") && kept.get() > 0) model.send({ kind: "restore", index: kept.get() });
  const freeMotion = whenever(model, ["animate"], moving);
  const freeScene = whenever(model, ["index"], show);
  return () => {
    cancelAnimationFrame(attached);
    calm.removeEventListener("change", calmed);
    window.removeEventListener("keydown", pressed, true);
    window.removeEventListener("focusin", focused);
    freeMotion();
    freeScene();
  };
}

export default { render };
