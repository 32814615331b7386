// The present scene in large type, and the way to the others; their keys are those of a lecture.
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
  const notes = create("button", { type: "button", textContent: "Presenter" });
  notes.title = "Notes, the next scene and the clock, in a window of their own (p)";
  notes.setAttribute("aria-keyshortcuts", "p");
  nav.append(back, place, next, jump, animate, notes);
  const stage = create("section", { tabIndex: 0 }, words);

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
    if (model.get("moved")) kept.set(index);
    lecture.update();
  }

  const whole = () => el.closest(".gradwidgets-walkthrough") ?? el;
  const member = { el, model, whole, scenes, at: () => model.get("index"), go };
  const { lecture, leave } = joinLecture(member);

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
  notes.addEventListener("click", () => lecture.open(member));
  jump.addEventListener("change", () => go(Number(jump.value)));
  motion.addEventListener("change", () => setMotion(motion.checked));
  calm.addEventListener("change", calmed);
  window.addEventListener("focusin", focused);
  el.classList.add("gradwidgets-stage");
  el.append(stage, nav);
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
    leave();
    window.removeEventListener("focusin", focused);
    freeMotion();
    freeScene();
  };
}

export default { render };
