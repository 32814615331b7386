"""What a person does at a notebook: open it, run its cells, look at the outputs."""

import json
from itertools import count
from urllib.parse import urlsplit

import nbformat
import nbformat.v4 as nb
from playwright.sync_api import expect

NUMBER = count()
HARMLESS = ("favicon", "ResizeObserver loop", "/static/")  # the front end's own files


def write_notebook(folder, *cells):
    """A new notebook of these code cells; returns its name."""
    name = f"notebook{next(NUMBER)}.ipynb"
    book = nb.new_notebook(cells=[nb.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, folder / name)
    return name


class FrontEnd:
    """A page on a Jupyter server, which remembers what it should not have done."""

    def __init__(self, page, address, folder):
        self.page = page
        self.address = address
        self.folder = folder
        self.foreign = []
        self.errors = []
        page.on("request", self._requested)
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def write(self, *cells):
        """A new notebook of these code cells; returns its name."""
        return write_notebook(self.folder, *cells)

    def open_lab(self, name):
        """Open a notebook in JupyterLab."""
        self.page.goto(f"{self.address}/lab/tree/{name}?reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self._ready()

    def open_notebook(self, name):
        """Open a notebook in Notebook 7."""
        self.page.goto(f"{self.address}/notebooks/{name}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self._ready()

    def open_classic(self, name):
        """Open a notebook in nbclassic."""
        self.page.goto(f"{self.address}/nbclassic/notebooks/{name}")
        self.page.wait_for_function("() => window.Jupyter?.notebook?.kernel?.widget_manager")
        self.page.evaluate(
            """async () => {
                const manager = Jupyter.notebook.kernel.widget_manager;
                await (manager._loadFromKernel ?? manager._get_comm_info).call(manager);
            }"""
        )  # once more, after its own: what is shown meanwhile, it takes away again
        self.errors.clear()

    def run_all(self):
        """Run every cell, and wait until all are done, which they must be without an error."""
        right = self.page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
        assert right, self.page.locator(".jp-OutputArea-output").all_inner_texts()

    def show(self, *cells, notebook7=False):
        """Write, open and run a notebook of these cells."""
        name = self.write(*cells)
        (self.open_notebook if notebook7 else self.open_lab)(name)
        self.run_all()

    def replace(self, source):
        """Put other code into the first cell of the open notebook, and run all in its kernel."""
        self.page.evaluate(
            """source => jupyterapp.shell.currentWidget.content.model.sharedModel
                   .getCell(0).setSource(source)""",
            source,
        )
        self.run_all()

    def run(self, source):
        """Run code in the kernel of the open notebook, beside its cells."""
        said = self.page.evaluate(
            """async source => {
                const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const { content } = await kernel.requestExecute({code: source}).done;
                return content.status === "ok" ? "" : content.evalue ?? content.status;
            }""",
            source,
        )
        assert said == ""

    def slider(self, label):
        """The native range input of that name."""
        return self.page.get_by_role("slider", name=label, exact=True)

    def sentence(self):
        """The sentence under the first lab."""
        return self.page.locator(".gradwidgets-screen [role=status]").first.inner_text()

    def wait_sentence(self, part):
        """Wait until the sentence under the first lab holds `part`."""
        said = self.page.locator(".gradwidgets-screen [role=status]").first
        expect(said).to_contain_text(part)

    def _ready(self):
        """Wait for the kernel; what the front end itself complained of until then is not ours."""
        self.page.evaluate(
            """async () => {
                const context = jupyterapp.shell.currentWidget.sessionContext;
                await context.ready;
                await context.session.kernel.info;
            }"""
        )
        self.errors.clear()

    def _requested(self, request):
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.foreign.append(request.url)

    def _logged(self, message):
        said = json.dumps([message.text, message.location], default=str)
        if message.type == "error" and not any(word in said for word in HARMLESS):
            self.errors.append(said)
