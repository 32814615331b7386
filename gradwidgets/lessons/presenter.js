// The window of the speaker, on another screen than the slides: what to say now, what comes next,
// and the clock beside the plan. It is written from here and asks nobody for anything.
const LATE = 0.5; // minutes, from which somebody is ahead or behind
const STYLE = `
  :root { color-scheme: light dark; }
  body { max-width: 46em; margin: 1em auto; padding: 0 1em; font: 22px/1.45 system-ui, sans-serif; }
  h1 { margin: 0.4em 0 0; font-size: 1.25em; }
  h2 { margin: 1.2em 0 0; font-size: 0.8em; }
  p { margin: 0.4em 0; white-space: pre-line; }
  header, nav { display: flex; flex-wrap: wrap; gap: 0.3em 1.2em; align-items: baseline; }
  header strong { font-size: 2em; font-variant-numeric: tabular-nums; }
  code { font-size: 0.9em; }
  button { font: inherit; padding: 0.2em 0.9em; }
  .next { opacity: 0.85; }`;

function presenterOf(lecture) {
  let other = null;
  let began = null; // when the clock did
  let places = {};
  let tick = null;

  function open(member) {
    lecture.used = member ?? lecture.used;
    other = window.open("", "gradwidgets-presenter", "popup,width=980,height=720");
    if (!other) return alert("The browser has not let the presenter's window open. Allow it, then press p.");
    clearInterval(tick);
    write(other.document);
    other.addEventListener("keydown", lecture.pressed, true);
    tick = setInterval(update, 500); // the deck's own arrows lead on, too
    update();
    other.focus();
  }
  function write(page) {
    page.title = "Presenter";
    page.documentElement.lang = "en";
    const words = (tag, className = "") => create(tag, { className });
    places = {
      clock: words("strong"),
      plan: words("span"),
      title: words("h1"),
      text: words("p"),
      notes: words("p"),
      next: words("p", "next"),
    };
    const { clock, plan, title, text, notes, next } = places;
    const press = (textContent, action) => {
      const button = create("button", { type: "button", textContent });
      button.addEventListener("click", action);
      return button;
    };
    const nav = create(
      "nav",
      {},
      press("Back", () => lecture.step(-1)),
      press("Next", () => lecture.step(1)),
      press("Black", lecture.darken),
      press("Clock from 0", () => startClock(Date.now()))
    );
    const heading = (textContent) => create("h2", { textContent });
    page.head.replaceChildren(create("title", { textContent: "Presenter" }), create("style", { textContent: STYLE }));
    page.body.replaceChildren(
      create("header", {}, clock, plan),
      create("main", {}, title, text, heading("Notes"), notes, heading("Next"), next),
      nav
    );
  }
  function startClock(time) {
    began = time;
    update();
  }

  // All slides and scenes in order, with the minutes of the plan: what has none lasts until the next.
  function stops() {
    const slides = lecture.slides();
    const found = slides ? slides.cells().flatMap(stopsOf).reduce(withNotes, []) : scenesOf(lecture.used);
    let end = 0;
    found.forEach((stop, i) => {
      const after = found.slice(i + 1).find(({ begins }) => begins !== undefined);
      stop.begins ??= end;
      stop.ends ??= after?.begins;
      end = stop.ends ?? end;
    });
    return found;
  }
  function stopsOf({ node, kind, source }) {
    if (kind === "skip") return [];
    if (kind === "notes") return [{ kind, notes: source }];
    const members = lecture.on([node]);
    if (members.length) return members.flatMap(scenesOf);
    const title = node.querySelector("h1, h2, h3")?.firstChild?.textContent;
    return title ? [{ title, here: () => lecture.slides().shown().includes(node) }] : [];
  }
  function withNotes(stops, stop) {
    if (stop.kind !== "notes") return [...stops, stop];
    if (stops.length) stops.at(-1).notes = [stops.at(-1).notes, stop.notes].filter(Boolean).join("\n");
    return stops;
  }
  function scenesOf(member) {
    const shown = () => !lecture.slides() || lecture.on(lecture.slides().shown()).includes(member);
    if (!member.scenes.length) return [{ title: member.title, here: shown }];
    const scene = (one, index) => ({ ...one, here: () => shown() && member.at() === index });
    return member.scenes.map(scene);
  }

  function update() {
    if (!other || other.closed) return clearInterval(tick);
    const all = stops();
    const at = all.findLastIndex(({ here }) => here());
    if (at === 0) began = null; // the clock starts with the first step
    else if (!began) return startClock(Date.now());
    if (at !== places.at) say(all[at] ?? {}, all[at + 1]);
    places.at = at;
    const seconds = began ? Math.floor((Date.now() - began) / 1000) : 0;
    const minutes = Math.floor(seconds / 60);
    places.clock.textContent = `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
    places.plan.textContent = planned(all[at] ?? {}, seconds / 60);
  }
  function say(now, next) {
    const after = next ? [next.title, next.text].filter(Boolean).join("\n") : "The end.";
    places.title.replaceChildren(...prose(now.title ?? ""));
    places.text.replaceChildren(...prose(now.text ?? ""));
    places.notes.replaceChildren(...prose(now.notes || "None."));
    places.next.replaceChildren(...prose(after));
  }
  function planned({ begins, ends }, minutes) {
    if (begins === undefined || (!begins && !ends)) return "";
    const plan = ends > begins ? `planned for minutes ${begins} to ${ends}` : `planned from minute ${begins}`;
    const behind = ends > begins ? minutes - ends : 0;
    const ahead = begins - minutes;
    const by = (time, word) => `${plan}; ${time.toFixed(1)} minutes ${word}`;
    if (behind > LATE) return by(behind, "behind");
    return ahead > LATE && began ? by(ahead, "ahead") : plan;
  }
  window.addEventListener("pagehide", () => other?.close());
  return { open, update };
}
