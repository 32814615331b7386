// Draws the run that the dials stand at. Everything was trained when the page was saved: the page
// holds the runs as whole numbers, and the words about them.
const byId = (id) => document.getElementById(id);
const { layout, dials: told, start, panels, heights: tall, places: wide, shapes, packed } = JSON.parse(
  byId("data").textContent,
);
const dials = [...document.querySelectorAll(".dial")].map((box, number) => ({
  ...told[number],
  input: box.querySelector("input, select"),
  value: box.querySelector(".value"),
  strip: box.querySelector(".strip"),
}));
const pictures = [...document.querySelectorAll("#picture > svg")];
const system = matchMedia("(prefers-color-scheme: dark)");
// A page that holds this one in a frame says which theme its reader chose: perhaps before there is
// anything to paint, and again and again.
let chosen = "";
let dark = system.matches;
let repaint = () => {};
addEventListener("message", ({ source, data }) => {
  if (source !== parent || data?.gradwidgets !== "theme" || data.theme === chosen) return;
  chosen = data.theme;
  dark = chosen === "dark";
  repaint(dark);
});
const NAMESPACE = "http://www.w3.org/2000/svg";
const PINS = 4;

async function unpacked() {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Tables of codes: all low bytes, then all high ones; each row holds differences.
function tablesOf(bytes) {
  let begin = 0;
  const tables = shapes.map(([rows, columns]) => {
    const size = rows * columns;
    const codes = new Uint16Array(size);
    for (let at = 0; at < size; at++) {
      const before = at % columns ? codes[at - 1] : 0;
      codes[at] = before + bytes[begin + at] + 256 * bytes[begin + size + at];
    }
    begin += 2 * size;
    return { rows, row: (number) => codes.subarray(number * columns, (number + 1) * columns) };
  });
  return { tables, rest: bytes.subarray(begin) };
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function element(parent, name, attributes, text) {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

// The runs by where the dials stand, in the order in which they were trained: first all
// combinations of the stops that the dials share, then the rest of each dial.
function numbersByPlace(index) {
  const numbers = new Map();
  const begin = dials.map(({ at }) => at);
  let next = 0;
  (function combine(head) {
    if (head.length === dials.length) numbers.set(head.join(), index[next++]);
    else for (const stop of dials[head.length].shared) combine([...head, stop]);
  })([]);
  dials.forEach(({ texts, shared }, number) => {
    for (let stop = 0; stop < texts.length; stop++)
      if (!shared.includes(stop)) numbers.set(begin.with(number, stop).join(), index[next++]);
  });
  return numbers;
}

function nearest(stops, stop) {
  return stops.reduce((best, each) => (Math.abs(each - stop) < Math.abs(best - stop) ? each : best));
}

// Curves

const across = (share) => layout.left + share * layout.across;
const upward = (share) => layout.top + (1 - share) * layout.up;
const shareOf = (code, [steps, spill]) => ((code - 1) / (steps - 1)) * (1 + 2 * spill) - spill;

function pathOf(points) {
  let path = "";
  let drawing = false;
  for (const [x, y] of points) {
    if (Number.isNaN(y)) drawing = false;
    else {
      path += drawing ? ` ${x.toFixed(1)} ${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}l0 0L`;
      if (!drawing) path += `${x.toFixed(1)} ${y.toFixed(1)}`;
      drawing = true;
    }
  }
  return path;
}

// The points of a curve; one that is measured now and then is drawn through what was measured.
function pointsOf(curve, codes, end, updates, last) {
  const points = [];
  const put = (x, code) => {
    if (code) points.push([across(x / last), upward(shareOf(code, tall))]);
    else if (!curve.sparse && x < updates) points.push([across(x / last), NaN]);
  };
  curve.x.forEach((x, at) => x < end && put(x, codes[at]));
  put(end, codes[curve.x.length]);
  return points;
}

function drawLines(panel, tables, runs, over) {
  const labels = [];
  const window = element(over, "svg", {
    x: layout.left - 3,
    y: layout.top - 3,
    width: layout.across + 6,
    height: layout.up + 6,
    viewBox: `${layout.left - 3} ${layout.top - 3} ${layout.across + 6} ${layout.up + 6}`,
  });
  for (const run of runs) {
    if (panel.onlyLive && run.role !== "live") continue;
    const here = panel.curves
      .map((curve, number) => ({
        ...curve,
        codes: tables[2 * number].row(run.number),
        end: tables[2 * number + 1].row(run.number)[0],
      }))
      .filter(({ codes }) => codes.some(Boolean));
    if (panel.unmeasured && run.role === "live" && !here.length) {
      const x = layout.left + layout.across / 2;
      const y = layout.top + layout.up / 2;
      element(over, "text", { class: "below", x, y }, panel.unmeasured);
    }
    for (const curve of here) {
      const points = pointsOf(curve, curve.codes, curve.end, run.updates, panel.last);
      element(window, "path", {
        class: `${run.role} ${curve.dash} width-${Math.round(10 * curve.width)}`,
        d: pathOf(points),
      });
      const known = points.filter(([, y]) => !Number.isNaN(y)).at(-1);
      if (!known) continue;
      if (run.diverged && !curve.sparse) {
        const ends = curve.codes.at(-1) ? known[1] : layout.top;
        const x = across(curve.end / panel.last);
        const y = Math.min(Math.max(ends, layout.top), layout.top + layout.up);
        const cross = `M${(x - 4).toFixed(1)} ${(y - 4).toFixed(1)}l8 8m0-8l-8 8`;
        element(over, "path", { class: `${run.role} cross`, d: cross });
      }
      labels.push({ curve, run, y: known[1], here });
    }
  }
  drawLabels(panel, labels, over);
}

// The names at the ends of the curves, moved apart where they would overlap. Further curves of
// other runs look like those of the live one, and have no name.
function drawLabels(panel, labels, over) {
  const wanted = [];
  for (const { curve, run, y, here } of labels) {
    const unnamed = here.filter(({ name }) => !name.length);
    const named = unnamed.length ? unnamed : here.slice(-1);
    if (run.role !== "live" && !named.includes(curve)) continue;
    if (panel.onlyLive && !curve.name.length) continue;
    const ended = panel.saysEnd && run.diverged && !curve.sparse;
    const lines = ended
      ? ["diverged", "at update", String(run.updates)]
      : run.role === "live" && curve.name.length ? curve.name : [run.label];
    wanted.push({ lines, run, y: Math.min(Math.max(y, layout.top), layout.top + layout.up) });
  }
  wanted.sort((one, other) => other.y - one.y);
  const size = ({ lines }) => layout.line * (lines.length + (lines.length > 1 ? 0.3 : 0));
  let floor = Infinity;
  for (const label of wanted) {
    label.y = Math.min(label.y, floor - size(label) / 2);
    floor = label.y - size(label) / 2;
  }
  let ceiling = layout.top;
  for (const label of wanted.reverse()) {
    label.y = Math.max(label.y, ceiling + size(label) / 2);
    ceiling = label.y + size(label) / 2;
  }
  for (const { lines, run, y } of wanted)
    lines.forEach((line, number) => {
      const place = y + 4 + layout.line * (number - (lines.length - 1) / 2);
      const x = layout.left + layout.across + 7;
      element(over, "text", { class: run.role, x, y: place.toFixed(1) }, line);
    });
}

// The way over the two parameters, from a circle to a square.
function drawPaths(_, [table], runs, over) {
  const window = element(over, "svg", {
    x: layout.left,
    y: layout.top,
    width: layout.across,
    height: layout.up,
    viewBox: `${layout.left} ${layout.top} ${layout.across} ${layout.up}`,
  });
  for (const run of runs) {
    const codes = table.row(run.number);
    const points = [];
    for (let at = 0; at < codes.length && codes[at]; at += 2)
      points.push([across(shareOf(codes[at], wide)), upward(shareOf(codes[at + 1], wide))]);
    if (!points.length) continue;
    const [first, last] = [points[0], points.at(-1)].map((point) => point.map((n) => n.toFixed(1)));
    element(window, "path", { class: run.role, d: pathOf(points) });
    const dots = points.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}l0 0`).join("");
    element(window, "path", { class: `${run.role} dots`, d: dots });
    const circle = `M${first[0]} ${first[1]}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0`;
    element(window, "path", { class: `${run.role} end`, d: circle });
    const square = `M${last[0]} ${last[1]}m-3.5-3.5h7v7h-7z`;
    element(window, "path", { class: `${run.role} end`, d: square });
  }
}

// What the model answers over the plane

const SIDE = 60;
const ACTIVATIONS = {
  tanh: Math.tanh,
  relu: (value) => Math.max(0, value),
  sigmoid: (value) => 1 / (1 + Math.exp(-value)),
};

// A number of half precision (IEEE 754, binary16).
function half(code) {
  const [exponent, fraction] = [(code >> 10) & 31, code & 1023];
  const sign = code & 32768 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
}

// The chance of class 1 at (count, 2) points, layer by layer.
function chances(layers, weights, points) {
  let values = points;
  let width = 2;
  let at = 0;
  for (const [kind, outputs, inputs] of layers) {
    if (kind !== "linear") {
      values = values.map(ACTIVATIONS[kind]);
      continue;
    }
    const count = values.length / width;
    const next = new Float64Array(count * outputs);
    for (let point = 0; point < count; point++)
      for (let output = 0; output < outputs; output++) {
        let sum = weights[at + outputs * inputs + output];
        for (let input = 0; input < inputs; input++)
          sum += weights[at + output * inputs + input] * values[point * inputs + input];
        next[point * outputs + output] = sum;
      }
    at += outputs * inputs + outputs;
    [values, width] = [next, outputs];
  }
  const [zero, one] = [0, 1].map((part) => values.filter((_, number) => number % 2 === part));
  return zero.map((score, number) => 1 / (1 + Math.exp(score - one[number]))); // softmax of two
}

function color(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}

// Read when the theme changes, and not when a dial moves: the browser would have to lay out the page.
let palette = [];

// Six steps between the classes' colours; class 1 is nearer to the paper, too.
function drawRegion({ layers, x, y }, [table], runs, _, under) {
  const live = runs.find(({ role }) => role === "live");
  const weights = Float64Array.from(table.row(live.number), half);
  const [one, two, paper] = palette;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const step = (ends, number) => ends[0] + (ends[1] - ends[0]) * ((number + 0.5) / SIDE);
  const points = new Float64Array(2 * SIDE * SIDE);
  for (let number = 0; number < SIDE * SIDE; number++) {
    points[2 * number] = step(x, number % SIDE);
    points[2 * number + 1] = step(y, SIDE - 1 - Math.floor(number / SIDE));
  }
  chances(layers, weights, points).forEach((chance, number) => {
    const share = Math.round((Number.isNaN(chance) ? 0.5 : chance) * 5) / 5;
    for (let part = 0; part < 3; part++) {
      const full = (1 - share) * one[part] + (share * (two[part] + paper[part])) / 2;
      image.data[4 * number + part] = (full + paper[part]) / 2;
    }
    image.data[4 * number + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  element(under, "image", {
    x: layout.left,
    y: layout.top,
    width: layout.across,
    height: layout.up,
    preserveAspectRatio: "none",
    href: canvas.toDataURL(),
  });
}

const DRAW = { lines: drawLines, path: drawPaths, region: drawRegion };

function open(bytes) {
  const { tables, rest } = tablesOf(bytes);
  const [index, meta, programs, ...curves] = tables;
  const [sentences, heard, rows, lines] = JSON.parse(new TextDecoder().decode(rest));
  const numbers = numbersByPlace(index.row(0));
  const begin = dials.map(({ at }) => at);
  const [updates, flags, heights, kinds] = [0, 1, 2, 3].map((row) => meta.row(row));
  const taken = panels.map(({ kind, curves: own }) => (kind === "lines" ? 2 * own.length : 1));
  const tablesOfPanel = taken.map((size) => curves.splice(0, size));
  let pins = [];
  let stands = begin;
  for (const { strip, texts } of dials)
    strip?.append(...texts.map(() => document.createElement("i")));

  const runOf = (number, role, label) => ({
    number,
    role,
    label,
    updates: updates[number],
    diverged: Boolean(flags[number] & 1),
  });

  // Where the dials may stand once this one has moved: off the shared stops only if the others
  // stand as at the start.
  function moved(number, stop, byKey) {
    const next = stands.with(number, stop);
    if (numbers.has(next.join())) return next;
    const others = next.map((each, at) => (at === number ? each : nearest(dials[at].shared, each)));
    if (numbers.has(others.join())) return others;
    const { shared } = dials[number];
    const from = stands[number];
    const near = nearest(shared, stop);
    if (!byKey || near !== from) return others.with(number, near);
    // A key goes one stop on, which is nearer to where it came from than to the next that is shared.
    const beyond = shared.filter((each) => (stop > from ? each > from : each < from));
    return others.with(number, beyond.at(stop > from ? 0 : -1) ?? near);
  }

  function showBar(node, number, stop) {
    const run = numbers.get(stands.with(number, stop).join());
    node.style.height = run === undefined ? "" : `${heights[run] / 10}%`;
    node.classList.toggle("unstable", kinds[run] > 0);
    node.classList.toggle("here", stop === stands[number]);
  }

  function settingsOf(place) {
    return dials.map(({ label, texts }, number) => `${label} ${texts[place[number]]}`).join(", ");
  }

  function showDials(now) {
    dials.forEach(({ input, value, strip, texts }, number) => {
      const text = texts[stands[number]];
      if (Number(input.value) !== stands[number]) input.value = stands[number];
      write(value, text);
      if (input.type === "range") input.setAttribute("aria-valuetext", text);
      input.disabled = !(flags[now] & (2 << number));
      [...(strip?.children ?? [])].forEach((node, stop) => showBar(node, number, stop));
    });
    write(byId("values"), settingsOf(stands));
  }

  function draw() {
    const now = numbers.get(stands.join());
    showDials(now);
    const runs = [
      ...pins.map(({ number }, at) => runOf(number, `pinned pin-${at}`, `pin ${at + 1}`)),
      ...(start === null ? [] : [runOf(start, "baseline", "start")]),
      runOf(now, "live", "now"),
    ];
    panels.forEach((panel, at) => {
      const [under, over] = ["under", "over"].map((name) => pictures[at].querySelector(`.${name}`));
      under.replaceChildren();
      over.replaceChildren();
      DRAW[panel.kind](panel, tablesOfPanel[at], runs, over, under);
    });
    const others = start === null ? "" : ` Start: ${sentences[start]} ${heard[start]}`;
    byId("picture").setAttribute(
      "aria-label",
      `Plots of ${panels.map(({ title }) => title).join(", ")}. ` +
        `Now: ${sentences[now]} ${heard[now]}${others}`,
    );
    write(byId("sentence"), sentences[now]);
    byId("rows").replaceChildren(...rows[now].split("|").filter(Boolean).map(rowOf));
    const program = now < programs.rows ? Array.from(programs.row(now)) : [];
    write(byId("program"), program.filter(Boolean).map((line) => lines[line - 1]).join("\n"));
    byId("unpin").disabled = !pins.length;
    byId("pin").disabled = pins.length === PINS || pins.some(({ number }) => number === now);
  }

  function rowOf(text) {
    const row = document.createElement("tr");
    text.split("\t").forEach((cell, number) => {
      const node = document.createElement(number ? "td" : "th");
      if (!number) node.scope = "row";
      node.textContent = cell;
      row.append(node);
    });
    return row;
  }

  function showPins() {
    byId("pins").replaceChildren(
      ...pins.map(({ number, place }, at) => {
        const line = document.createElement("p");
        line.className = `run pin-${at}`;
        const name = document.createElement("strong");
        name.textContent = `pin ${at + 1}`;
        line.append(name, `: ${settingsOf(place)}. ${sentences[number]}`);
        return line;
      }),
    );
    draw();
  }

  // A dial that moves with another says so; else it would seem to be a fault.
  function showTaken(by, before) {
    const others = dials.flatMap(({ label, texts }, number) =>
      number === by || stands[number] === before[number] ? [] : `${label} to ${texts[stands[number]]}`,
    );
    const why = "away from the start not all combinations were trained.";
    write(byId("taken"), others.length ? `This has moved ${others.join(", ")}: ${why}` : "");
  }

  let byKey = false;
  for (const [kind, keys] of [["keydown", true], ["pointerdown", false]])
    byId("dials").addEventListener(kind, () => (byKey = keys));
  dials.forEach(({ input }, number) =>
    input.addEventListener("input", () => {
      const before = stands;
      stands = moved(number, Number(input.value), byKey);
      showTaken(number, before);
      draw();
    }),
  );
  byId("reset").addEventListener("click", () => {
    stands = begin;
    write(byId("taken"), "");
    draw();
  });
  byId("pin").addEventListener("click", () => {
    pins = [...pins, { number: numbers.get(stands.join()), place: stands }];
    showPins();
  });
  byId("unpin").addEventListener("click", () => {
    pins = [];
    showPins();
  });
  const paint = (dark) => {
    byId("theme").setAttribute("aria-pressed", dark);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    palette = ["--class-0", "--class-1", "--paper"].map(color);
    draw();
  };
  byId("theme").addEventListener("click", () =>
    paint(document.documentElement.dataset.theme !== "dark"),
  );
  system.addEventListener("change", ({ matches }) => chosen || paint(matches));
  repaint = paint;
  paint(dark);
  for (const part of document.querySelectorAll("[data-live]")) part.hidden = false;
  byId("still").hidden = true;
}

byId("dials").addEventListener("submit", (event) => event.preventDefault());
unpacked().then(open);
// A page that holds this one in a frame makes it as high as it is.
new ResizeObserver(() => {
  const { height } = document.documentElement.getBoundingClientRect();
  if (parent !== window) parent.postMessage({ gradwidgets: "height", height: Math.ceil(height) }, "*");
}).observe(document.documentElement);
