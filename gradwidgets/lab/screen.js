// The picture with its description, the sentence, progress with cancel, errors, downloads.
const isDark = () => {
  const { dataset, classList } = document.body;
  if (dataset.jpThemeLight !== undefined) return dataset.jpThemeLight === "false"; // Jupyter
  return classList.contains("vscode-dark") || classList.contains("dark"); // VS Code, marimo
};

const NARROW = 640; // CSS pixels, below which three panels side by side cannot be read
const ENLARGED = 1.25; // a picture is shown at most so much larger than it was drawn

function download({ name, data }) {
  const url = URL.createObjectURL(new Blob([data]));
  create("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function render({ model, el }) {
  const img = create("img", { draggable: false });
  const sentence = create("p");
  sentence.setAttribute("role", "status");
  sentence.setAttribute("aria-live", "polite");
  const bar = create("progress", { max: 1 });
  bar.setAttribute("aria-label", "training");
  const cancel = create("button", { type: "button", textContent: "Cancel" });
  const working = create("div", { className: "gradwidgets-working" }, bar, cancel);
  const trace = create("pre", { tabIndex: 0 });
  const details = create("details", {}, create("summary", { textContent: "Traceback" }), trace);
  cancel.addEventListener("click", () => model.send({ kind: "cancel" }));

  let latestPaint = 0;
  async function paint(png) {
    if (!png || !png.byteLength) return;
    const thisPaint = ++latestPaint;
    const url = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    const next = create("img", { src: url });
    await next.decode().catch(() => {});
    if (thisPaint === latestPaint) {
      const old = img.src;
      img.src = url; // decoded already: no flicker
      img.style.maxWidth = `${Math.min(1100, ENLARGED * next.naturalWidth)}px`;
      if (old) URL.revokeObjectURL(old);
    } else URL.revokeObjectURL(url);
  }
  function say(look) {
    img.alt = look.alt;
    if (sentence.textContent !== look.sentence) sentence.textContent = look.sentence;
  }
  function describe() {
    if (late()) return;
    const share = model.get("progress");
    sentence.setAttribute("aria-busy", String(share >= 0)); // it is read out when it is final
    say({ alt: model.get("alt"), sentence: model.get("sentence") });
    details.hidden = !model.get("trace");
    trace.textContent = model.get("trace");
    working.hidden = share < 0;
    bar.value = Math.max(share, 0);
  }
  // Pictures that may be asked for next; see screen.py.
  const ready = new Map();
  const placeOf = ({ slider, index }) => `${slider} ${index}`;
  let shownMove = 0; // that of the picture shown, if it had waited here
  const late = () => model.get("answered") < shownMove;
  const repaint = () => late() || paint(model.get("png"));
  function forget(slider) {
    for (const [place, look] of ready) if (look.slider !== slider) ready.delete(place);
  }
  function follow({ target, detail }) {
    if (!el.parentElement?.contains(target)) return; // a slider of another lab
    forget(detail.slider);
    const look = ready.get(placeOf(detail));
    if (!look) return;
    shownMove = detail.moved_at;
    details.hidden = true;
    paint(look.png);
    say(look);
  }
  const messages = {
    download: (message, [data]) => download({ ...message, data }),
    ready: (look, [png]) => ready.set(placeOf(look), { ...look, png }),
    forget: ({ slider }) => forget(slider),
  };

  function adapt() {
    if (model.get("dark") === isDark()) return;
    model.set("dark", isDark());
    model.save_changes();
  }
  function fit() {
    const width = el.clientWidth; // 0 where the page does not show it
    if (!width || model.get("narrow") === width < NARROW) return;
    model.set("narrow", width < NARROW);
    model.save_changes();
  }
  const heard = (message, buffers) => messages[message.kind](message, buffers);
  model.on("msg:custom", heard);
  document.addEventListener("gradwidgets-moved", follow);
  const theme = new MutationObserver(adapt);
  theme.observe(document.body, { attributes: true });
  const size = new ResizeObserver(fit);
  size.observe(el);
  el.classList.add("gradwidgets-screen");
  el.append(img, working, sentence, details);
  const freeKeys = keepKeys(el);
  const freePicture = whenever(model, ["png", "answered"], repaint);
  const told = ["answered", "alt", "sentence", "trace", "progress"];
  const freeWords = whenever(model, told, describe);
  adapt();
  model.send({ kind: "shown" });
  return () => {
    freeKeys();
    theme.disconnect();
    size.disconnect();
    document.removeEventListener("gradwidgets-moved", follow);
    freePicture();
    freeWords();
    model.off("msg:custom", heard);
    URL.revokeObjectURL(img.src);
    model.send({ kind: "gone" }); // last: it raises where the kernel has gone
  };
}

export default { render };
