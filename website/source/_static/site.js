// Questions, labs and the table of claims. Everything works without the browser's storage, too.
(() => {
  "use strict";

  // What the learner has answered, by question. A browser may refuse to keep it.
  const STORE = "gradwidgets.answers";
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {
    kept = {};
  }
  function keep(key, choice) {
    kept[key] = choice;
    try {
      localStorage.setItem(STORE, JSON.stringify(kept));
    } catch {
      // then it is kept until the page is left
    }
  }

  function decoded(base64) {
    const bytes = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  // As much of a widget's model as predict.js uses. The experiment ran when the site was built.
  function modelOf(box) {
    const { question, choices } = JSON.parse(box.dataset.asked);
    const values = { question, choices, votes: [], tally: false, chosen: -1, shown: {}, error: "" };
    Object.assign(values, { class_votes: [], class_line: "", class_button: "" });
    const listeners = new Map();
    function commit(choice) {
      values.shown = decoded(box.dataset.answers)[choice];
      values.chosen = choice;
      for (const name of ["shown", "chosen"]) listeners.get(`change:${name}`)?.forEach((f) => f());
    }
    const before = choices.indexOf(kept[box.dataset.key]);
    if (before >= 0) commit(before);
    return {
      get: (name) => values[name],
      set: (name, value) => (values[name] = value),
      save_changes() {},
      on: (event, f) => listeners.set(event, [...(listeners.get(event) ?? []), f]),
      off: (event, f) => listeners.set(event, (listeners.get(event) ?? []).filter((g) => g !== f)),
      send({ choice }) {
        keep(box.dataset.key, choice);
        commit(choices.indexOf(choice));
      },
    };
  }

  for (const box of document.querySelectorAll(".gw-question")) {
    const model = modelOf(box);
    box.replaceChildren();
    window.gradwidgetsPredict.render({ model, el: box });
  }

  // A lab says how high it is, and is told the theme.
  const frames = [...document.querySelectorAll(".gw-lab iframe")];
  const theme = () => document.documentElement.dataset.theme;
  const tell = (frame) =>
    frame.contentWindow?.postMessage({ gradwidgets: "theme", theme: theme() }, "*");
  addEventListener("message", ({ source, data }) => {
    const frame = frames.find(({ contentWindow }) => contentWindow === source);
    if (!frame || data?.gradwidgets !== "height" || !(data.height > 0)) return;
    frame.height = Math.min(Math.ceil(data.height), 6000);
    tell(frame);
  });
  for (const frame of frames) frame.addEventListener("load", () => tell(frame));
  new MutationObserver(() => frames.forEach(tell)).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });

  // On a phone a list of places covers the page: it goes away when a place is chosen.
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.("dialog a[href*='#']")) target.closest("dialog").close();
  });

  // The table of claims: words and a verdict, which the address keeps.
  const table = document.querySelector("[data-gw-search]");
  if (table) search(table);

  function search(table) {
    const rows = [...table.querySelectorAll("tbody tr")];
    const plain = (text) => text.toLowerCase().replace(/[\W_]+/g, " ");
    const texts = rows.map((row) => plain(row.textContent));
    const asked = new URLSearchParams(location.search);
    const form = document.createElement("form");
    form.className = "gw-search";
    form.innerHTML =
      '<label>Words <input type="search" name="words" autocomplete="off"></label>' +
      '<label>Verdict <select name="verdict"><option>all</option></select></label>' +
      '<p role="status"></p>';
    const { words, verdict } = form.elements;
    const verdicts = new Set(rows.map(({ dataset }) => dataset.verdict));
    verdict.append(...[...verdicts].map((text) => new Option(text)));
    words.value = asked.get("words") ?? "";
    verdict.value = asked.get("verdict") ?? "all";
    if (verdict.selectedIndex < 0) verdict.value = "all";
    function show() {
      const wanted = plain(words.value).split(" ").filter(Boolean);
      let count = 0;
      rows.forEach((row, index) => {
        const right = ["all", row.dataset.verdict].includes(verdict.value);
        const found = right && wanted.every((word) => texts[index].includes(word));
        row.hidden = !found;
        count += found;
      });
      form.querySelector("p").textContent = `${count} of ${rows.length} claims`;
    }
    function remember() {
      const query = new URLSearchParams();
      if (words.value) query.set("words", words.value);
      if (verdict.value !== "all") query.set("verdict", verdict.value);
      try {
        history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
      } catch {
        // of a file, some browsers refuse it
      }
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      show();
      remember();
    });
    table.before(form);
    show();
  }
})();
