// Shows the run that the dials stand at. Words, curves and tables were made when the page was saved.
const byId = (id) => document.getElementById(id);
const { runs, bars, lines, programs, texts } = JSON.parse(byId("data").textContent);
const dials = [...document.querySelectorAll(".dial")].map((box, number) => ({
  input: box.querySelector("input, select"),
  value: box.querySelector(".value"),
  strip: box.querySelector(".strip"),
  label: box.querySelector("label").textContent,
  texts: texts[number],
}));
const layers = document.querySelectorAll("#picture .now");
const system = matchMedia("(prefers-color-scheme: dark)");

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function name({ input, value, label, texts }) {
  const text = texts[input.value];
  write(value, text);
  if (input.type === "range") input.setAttribute("aria-valuetext", text);
  return `${label} ${text}`;
}

// The place of a run among all, from where the dials stand: the last one's changes fastest.
function place(stands) {
  return dials.reduce((sum, { texts }, number) => sum * texts.length + stands[number], 0);
}

function bar(stands, number, stop) {
  const node = document.createElement("i");
  const run = place(stands.map((stand, each) => (each === number ? stop : stand)));
  const [height, unstable] = bars[run];
  node.style.height = `${100 * height}%`;
  node.classList.toggle("unstable", Boolean(unstable));
  node.classList.toggle("here", stop === stands[number]);
  return node;
}

function update() {
  const stands = dials.map(({ input }) => Number(input.value));
  const at = place(stands);
  const run = runs[at];
  dials.forEach(({ strip, texts }, number) =>
    strip?.replaceChildren(...texts.map((_, stop) => bar(stands, number, stop))),
  );
  write(byId("values"), dials.map(name).join(", "));
  run.curves.forEach((markup, panel) => (layers[panel].innerHTML = markup));
  byId("picture").setAttribute("aria-label", run.picture);
  byId("rows").innerHTML = run.rows;
  write(byId("program"), programs[at].map((line) => lines[line]).join("\n"));
  write(byId("sentence"), run.sentence);
}

function paint(dark) {
  byId("theme").setAttribute("aria-pressed", dark);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

byId("dials").addEventListener("input", update);
byId("dials").addEventListener("submit", (event) => event.preventDefault());
byId("dials").addEventListener("reset", () => setTimeout(update));
byId("theme").addEventListener("click", () =>
  paint(document.documentElement.dataset.theme !== "dark"),
);
system.addEventListener("change", ({ matches }) => paint(matches));
byId("theme").hidden = false;
byId("still").hidden = true;
paint(system.matches);
update();
