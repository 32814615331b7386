// A native control of the page, and the node with its name. Both show the model's label, its help, and
// if it may be used; `show` puts the model's `values` into the control, and `changed` hands the model
// what the learner has made of them. Returns a function that ends this.
function nativeControl(model, el, control, name, { values, show, changed }) {
  control.addEventListener("change", () => {
    changed();
    model.save_changes();
  });
  const freeKeys = keepKeys(el);
  const freeModel = whenever(model, ["label", "help", "disabled", ...values], () => {
    name.textContent = model.get("label");
    name.title = control.title = model.get("help");
    control.disabled = model.get("disabled");
    show();
  });
  return () => {
    freeKeys();
    freeModel();
  };
}
