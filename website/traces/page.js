// Lets the widgets' own views show what was recorded, and goes from one recorded place to another.

// The array or object in place of whose parts their numbers in the list stood.
function joined(list) {
  const values = [];
  for (const one of list) {
    if (Array.isArray(one)) values.push(one.map((number) => values[number]));
    else if (one && typeof one === "object")
      values.push(Object.fromEntries(Object.entries(one).map(([name, at]) => [name, values[at]])));
    else values.push(one);
  }
  return values.at(-1);
}

async function unpacked() {
  const packed = JSON.parse(document.getElementById("data").textContent);
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return joined(JSON.parse(await new Response(stream).text()));
}

function open([views, places]) {
  let here = 0;
  const statesOf = (place) => places[place][0];
  const models = views.map(([, chosen], part) => modelOf(part, chosen));

  // Of the places where a control stands so, the one where most of the others stand as they do now.
  function nearest(part, value) {
    let [found, most] = [here, -1];
    places.forEach(([states], place) => {
      if (states[part][views[part][1]] !== value) return;
      const same = views.filter(
        ([, chosen], other) => chosen && states[other][chosen] === statesOf(here)[other][chosen],
      ).length;
      if (same > most) [found, most] = [place, same];
    });
    return found;
  }

  function go(place) {
    const before = statesOf(here);
    here = place;
    models.forEach((model, part) => {
      for (const [name, value] of Object.entries(statesOf(here)[part]))
        if (value !== before[part][name]) model.changed(name);
    });
  }

  // As much of a widget's model as its view uses.
  function modelOf(part, chosen) {
    const listeners = new Map();
    let asked = {};
    const moves = () => places[here][1];
    const model = {
      get: (name) => statesOf(here)[part][name],
      set: (name, value) => (asked[name] = value),
      on: (event, f) => listeners.set(event, [...(listeners.get(event) ?? []), f]),
      off: (event, f) => listeners.set(event, (listeners.get(event) ?? []).filter((g) => g !== f)),
      changed: (name) => listeners.get(`change:${name}`)?.forEach((f) => f()),
      save_changes() {
        const value = asked[chosen];
        asked = {};
        if (value !== undefined && value !== model.get(chosen)) go(nearest(part, value));
      },
      send(message) {
        const by = moves()[JSON.stringify(message)];
        if (by !== undefined) go(here + by);
      },
      allows: (message) => JSON.stringify(message) in moves(),
    };
    return model;
  }

  for (const box of document.querySelectorAll("[data-part]")) {
    const part = Number(box.dataset.part);
    VIEWS[views[part][0]].render({ model: models[part], el: box });
  }
  document.getElementById("still").hidden = true;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = (isDark) => {
  document.documentElement.dataset.jpThemeLight = !isDark;
};
let told = false;
dark.addEventListener("change", ({ matches }) => told || paint(matches));
// A page that holds this one in a frame says which theme its reader chose.
addEventListener("message", ({ source, data }) => {
  if (source !== parent || data?.gradwidgets !== "theme") return;
  told = true;
  paint(data.theme === "dark");
});
paint(dark.matches);
unpacked().then(open);
// A page that holds this one in a frame makes it as high as it is.
new ResizeObserver(() => {
  const { height } = document.documentElement.getBoundingClientRect();
  if (parent !== window) parent.postMessage({ gradwidgets: "height", height: Math.ceil(height) }, "*");
}).observe(document.documentElement);
