// Widgets on a page that is no Jupyter: html-manager draws them, @jupyterlab/services talks to a live
// kernel, and require.js loads anywidget, as VS Code and Colab do it. Tests call what `window` gets.
import { shims } from "@jupyter-widgets/base";
import { KernelManager } from "@jupyterlab/services";
import jQuery from "jquery";

const VIEW = "application/vnd.jupyter.widget-view+json";
const BASE = { 7: "1.2.0", 8: "2.0.0" }; // of @jupyter-widgets/base, by ipywidgets
const { Comm } = shims.services;
// What html-manager finds in webpack, for which it is written; of jquery-ui what its sliders need.
window.__webpack_public_path__ = "";
window.jQuery = jQuery;
async function jQueryUi() {
  await import("jquery-ui/ui/version.js");
  await import("jquery-ui/ui/keycode.js");
  await import("jquery-ui/ui/widget.js");
  await import("jquery-ui/ui/widgets/mouse.js");
}
const managers = {
  "0.20": () => import("html-manager-0.20"),
  "1.0": () => import("html-manager-1.0"),
};

async function connected({ HTMLManager }, kernel, ipywidgets) {
  class LiveManager extends HTMLManager {
    async _create_comm(target, id, data, metadata, buffers) {
      const comm = kernel.createComm(target, id);
      comm.open(data, metadata, buffers);
      return new Comm(comm);
    }
  }
  const loader = (name) =>
    new Promise((resolve, reject) => requirejs([name], resolve, reject));
  const manager = new LiveManager({ loader });
  kernel.registerCommTarget(manager.comm_target_name, (comm, message) =>
    manager.handle_comm_open(new Comm(comm), message)
  );
  const names = ["DOMWidgetModel", "DOMWidgetView"];
  const classes = await Promise.all(
    names.map((name) => manager.loadClass(name, "@jupyter-widgets/base", BASE[ipywidgets]))
  );
  const base = Object.fromEntries(names.map((name, i) => [name, classes[i]]));
  window.define("@jupyter-widgets/base", [], () => base);
  return manager;
}

// One output of a cell, shown as the richest kind that this page knows.
async function shown(manager, data) {
  const output = document.body.appendChild(document.createElement("div"));
  if (data[VIEW]) {
    const model = await manager.get_model(data[VIEW].model_id);
    const view = await manager.create_view(model);
    if (manager.display_view.length === 3) await manager.display_view(undefined, view, { el: output });
    else await manager.display_view(view, output);
  } else if (data["text/html"]) output.innerHTML = data["text/html"];
  else output.textContent = data["text/plain"];
  return output;
}

window.connect = async (version, ipywidgets) => {
  const kernels = new KernelManager();
  const kernel = await kernels.startNew({ name: "python3" });
  await jQueryUi();
  const manager = await connected(await managers[version](), kernel, ipywidgets);
  const outputs = new Map();

  // Runs code as a cell; says what went wrong, or "".
  window.run = async (code) => {
    const future = kernel.requestExecute({ code });
    const drawn = [];
    const draw = async ({ data, transient }) => {
      const output = await shown(manager, data);
      const { display_id } = transient ?? {};
      if (display_id) outputs.set(display_id, output);
    };
    future.onIOPub = ({ header, content }) => {
      const kind = header.msg_type;
      if (kind === "display_data" || kind === "execute_result") drawn.push(draw(content));
      if (kind === "update_display_data")
        outputs.get(content.transient.display_id).innerHTML = content.data["text/html"];
    };
    const { content } = await future.done;
    await Promise.all(drawn);
    return content.status === "ok" ? "" : content.evalue ?? content.status;
  };
  window.leave = async () => {
    await kernel.shutdown();
    kernels.dispose();
  };
};
