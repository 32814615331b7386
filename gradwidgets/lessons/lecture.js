// A lecture: Page Down, which is all that a clicker sends, goes through slides and scenes, Page Up
// back, wherever the focus is. Slides are those of JupyterLab's deck, or the cells of the page that
// our template of Voila makes. A page has one lecture; walkthroughs and questions are its members:
// { el, model, whole, title, scenes, at, go, takeStep }, where whole is the box whose keys are the
// member's. A question has no scenes; its takeStep says whether it has used a step forward.
const STEPS = { PageDown: 1, PageUp: -1 };
const TYPED = "input:not([type=checkbox], [type=radio], [type=range]), select, textarea";
const TAKES_LETTERS = `${TYPED}, [contenteditable=true]`;
const TAKES_ARROWS = `${TAKES_LETTERS}, input:not([type=checkbox])`;
const TAKES_SPACE = `${TAKES_LETTERS}, input, button, summary, a[href]`;
const PATIENCE = 500; // milliseconds that a deck may take to show its first slide
const SUPPRESS = "data-lm-suppress-shortcuts"; // Jupyter leaves keys alone on such an element

const all = (place) => [...document.querySelectorAll(place)];
const presenting = () => document.body.dataset.jpDeckMode === "presenting";

// Slides of JupyterLab and Notebook 7. The deck shows the slide of the notebook's active cell, and a
// cell becomes that when the notebook hears that it has got the focus.
function deckOf(members) {
  const shown = () => all(".jp-Deck .jp-Cell.jp-deck-mod-visible");
  const panelOf = ({ el }) => el.closest(".jp-NotebookPanel"); // a deck shows one of them
  const mine = () => [...members].find((member) => panelOf(member)?.checkVisibility());
  const activate = (node) => node.dispatchEvent(new FocusEvent("focusin", { bubbles: true }));
  const stops = () => cells().filter(({ kind }) => !["skip", "notes"].includes(kind));

  // A deck that has just started shows nothing yet. After "Run All" a cell may be active that is on
  // no slide: the deck would stay empty, and begins.
  function ready(waited) {
    const [first] = stops();
    if (first && waited && !shown().length) activate(first.node);
    return !first || shown().length > 0;
  }
  function step(by) {
    const before = shown();
    const places = stops();
    const at = places.findLastIndex(({ node }) => before.includes(node));
    for (let i = at + by; places[i] && same(before, shown()); i += by) activate(places[i].node);
  }
  // The notebook says of its cells what the page does not: "slide", "skip", "notes" ...
  function cells() {
    const nodes = [...panelOf(mine()).querySelectorAll(".jp-Cell")];
    const { cells: models } = mine().model.widget_manager.context.model;
    return nodes.map((node, i) => {
      const cell = models.get(i);
      const layer = cell.getMetadata("jupyterlab-slideshow")?.layer;
      const kind = layer ? "skip" : cell.getMetadata("slideshow")?.slide_type;
      return { node, kind, source: cell.sharedModel.getSource() };
    });
  }
  return {
    there: () => presenting() && Boolean(mine()),
    owns: (node) => Boolean(node.closest(".jp-Deck, .jp-Deck-Remote")),
    shown,
    ready,
    step,
    cells,
  };
}

const same = (these, those) => these.length === those.length && these.every((n, i) => n === those[i]);

// Slides of Voila: its page is one column of cells, of which one slide at a time is shown.
function pageOf() {
  const nodes = all(".gradwidgets-slide");
  const begins = (node, i) => !i || ["slide", "subslide"].includes(node.dataset.slideType);
  const slides = [];
  for (const [i, node] of nodes.entries()) {
    if (begins(node, i)) slides.push([]);
    slides.at(-1).push(node);
  }
  const show = (index) => {
    at = index;
    for (const node of nodes) node.classList.toggle("gradwidgets-shown", slides[at].includes(node));
  };
  const said = (node) => node.content?.textContent; // of a template, which holds a note
  const step = (by) => show(Math.min(Math.max(at + by, 0), slides.length - 1));
  let at = 0;
  if (slides.length) show(0);
  return {
    there: () => slides.length > 0,
    owns: () => true,
    shown: () => slides[at],
    ready: () => true,
    step,
    cells: () => nodes.map((node) => ({ node, kind: node.dataset.slideType, source: said(node) })),
  };
}

function lectureOf() {
  const members = new Set();
  const deck = deckOf(members);
  const page = pageOf();
  const black = create("div", { className: "gradwidgets-black" });
  const lecture = { slides, on, step, pressed, darken, join, used: null };
  const presenter = presenterOf(lecture);

  function slides() {
    return [deck, page].find((kind) => kind.there());
  }
  function on(nodes) {
    const inside = [...members].filter(({ el }) => nodes.some((node) => node.contains(el)));
    return inside.sort((a, b) => (a.el.compareDocumentPosition(b.el) & 4 ? -1 : 1));
  }
  // A scene, or else a slide, forward or back. A walkthrough is entered at the end that is nearer.
  function step(by, waited = false) {
    black.remove();
    if (!slides()) return move(lecture.used, by);
    if (!slides().ready(waited)) return setTimeout(step, PATIENCE, by, true);
    const before = slides().shown();
    const walks = by > 0 ? on(before) : on(before).reverse();
    const uses = (one) => by > 0 && one.takeStep?.();
    const walk = walks.find((one) => uses(one) || within(one, one.at() + by));
    if (walk) return move(walk, by);
    slides().step(by);
    const come = slides().shown().filter((node) => !before.includes(node));
    for (const one of on(come)) move(one, by > 0 ? -Infinity : Infinity);
    fit();
    presenter.update();
  }
  // A walkthrough has the height that the rest of its slide leaves.
  function fit() {
    if (!slides()) return;
    const nodes = slides().shown().filter((node) => node.offsetHeight);
    const edge = (side, end) => end(...nodes.map((node) => node.getBoundingClientRect()[side]));
    const height = edge("bottom", Math.max) - edge("top", Math.min);
    for (const { whole } of on(nodes)) {
      const others = height - whole().offsetHeight;
      whole().style.setProperty("--gradwidgets-others", `${others}px`);
    }
  }
  function within({ scenes }, index) {
    return index >= 0 && index < scenes.length;
  }
  function move(member, by) {
    const index = Math.min(Math.max(member.at() + by, 0), member.scenes.length - 1);
    if (within(member, index) && index !== member.at()) member.go(index);
    presenter.update();
  }
  function darken() {
    if (black.isConnected) black.remove();
    else document.body.append(black);
  }

  // What a key does, if it is the lecture's. `own` is the walkthrough that it was pressed in.
  function actionOf(key, target, own) {
    const walk = own ?? (slides() ? on(slides().shown()) : []).find(({ scenes }) => scenes.length);
    if (key.startsWith("Page")) return () => step(STEPS[key]);
    const elsewhere = target.ownerDocument !== document || target === document.body;
    if (!own && !elsewhere && !slides().owns(target)) return null; // a menu, say
    const actions = [
      [TAKES_SPACE, slides() && { " ": () => step(1) }],
      [TAKES_ARROWS, { ArrowRight: () => step(1), ArrowLeft: () => step(-1) }],
      [TAKES_ARROWS, walk && { Home: () => move(walk, -Infinity), End: () => move(walk, Infinity) }],
      [TAKES_LETTERS, { p: presenter.open }],
      [TAKES_LETTERS, slides() && { b: darken, ".": darken }],
    ];
    return actions.find(([takes, keys]) => keys?.[key] && !target.matches(takes))?.[1][key];
  }
  // Before anybody else sees the key.
  function pressed(event) {
    const { key } = event;
    const target = beginningOf(event);
    if (!target.matches) return;
    const own = [...members].find(({ scenes, whole }) => scenes.length && whole().contains(target));
    if (own) lecture.used = own;
    const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
    const ours = plain && (own || slides() || target.ownerDocument !== document);
    const action = ours && actionOf(key, target, own);
    if (own) target.toggleAttribute(SUPPRESS, !(presenting() && key === "Escape"));
    if (!action) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    action();
  }

  // Large type, and nothing beside the slides, while there are any.
  function dress() {
    const { classList } = document.body;
    classList.toggle("gradwidgets-lecture", members.size > 0 && (presenting() || page.there()));
    if (classList.contains("gradwidgets-lecture")) setTimeout(begin, PATIENCE);
  }
  function begin() {
    if (slides()?.ready(true) === false) setTimeout(begin, PATIENCE);
    fit();
  }
  function join(member) {
    members.add(member);
    dress();
    const leave = () => {
      members.delete(member);
      dress();
    };
    return { lecture, leave };
  }
  // Deck has a remote control for the mouse; here is one for Voila.
  function remote() {
    const button = (textContent, name, by) => {
      const made = create("button", { type: "button", textContent });
      made.setAttribute("aria-label", name);
      made.addEventListener("click", () => step(by));
      return made;
    };
    const buttons = [button("‹", "Back in the lecture", -1), button("›", "On in the lecture", 1)];
    return create("nav", { className: "gradwidgets-remote" }, ...buttons);
  }
  if (page.there()) document.body.append(remote());
  window.addEventListener("keydown", pressed, true);
  window.addEventListener("resize", fit);
  new MutationObserver(dress).observe(document.body, {
    attributes: true,
    attributeFilter: ["data-jp-deck-mode"],
  });
  return Object.assign(lecture, { open: presenter.open, update: presenter.update });
}

const joinLecture = (member) => (window.gradwidgetsLecture ??= lectureOf()).join(member);
