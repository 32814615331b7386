// The picture with its description, the sentence, progress with cancel, errors, downloads.
const isDark = () => {
  const light = document.body.dataset.jpThemeLight;
  return light === undefined ? document.body.classList.contains("vscode-dark") : light === "false";
};

function create(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function download({ name, data }) {
  const url = URL.createObjectURL(new Blob([data]));
  create("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function render({ model, el }) {
  const img = create("img", { draggable: false });
  const sentence = create("p", {});
  sentence.setAttribute("role", "status");
  sentence.setAttribute("aria-live", "polite");
  const bar = create("progress", { max: 1 });
  bar.setAttribute("aria-label", "training");
  const cancel = create("button", { type: "button", textContent: "Cancel" });
  const working = create("div", { className: "gradwidgets-working" }, bar, cancel);
  const trace = create("pre", { tabIndex: 0 });
  const details = create("details", {}, create("summary", { textContent: "Traceback" }), trace);
  cancel.addEventListener("click", () => model.send({ kind: "cancel" }));

  let newest = 0;
  async function paint() {
    const png = model.get("png");
    if (!png || !png.byteLength) return;
    const turn = ++newest;
    const url = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    const next = create("img", { src: url });
    await next.decode().catch(() => {});
    if (turn === newest) {
      const old = img.src;
      img.src = url; // decoded already: no flicker
      if (old) URL.revokeObjectURL(old);
    } else URL.revokeObjectURL(url);
  }
  function describe() {
    img.alt = model.get("alt");
    sentence.textContent = model.get("sentence");
    details.hidden = !model.get("trace");
    trace.textContent = model.get("trace");
    const share = model.get("progress");
    working.hidden = share < 0;
    bar.value = Math.max(share, 0);
  }
  function adapt() {
    if (model.get("dark") === isDark()) return;
    model.set("dark", isDark());
    model.save_changes();
  }
  model.on("change:png", paint);
  model.on("change:alt change:sentence change:trace change:progress", describe);
  model.on("msg:custom", (message, buffers) => {
    if (message.kind === "download") download({ ...message, data: buffers[0] });
  });
  const theme = new MutationObserver(adapt);
  theme.observe(document.body, { attributes: true });
  el.classList.add("gradwidgets-screen");
  el.append(img, working, sentence, details);
  paint();
  describe();
  adapt();
  return () => {
    theme.disconnect();
    model.off("change:png", paint);
    model.off(null, describe);
    URL.revokeObjectURL(img.src);
  };
}

export default { render };
