"""A page that is no Jupyter, with widgets and a live kernel, as VS Code and Colab show them.

html-manager draws them, @jupyterlab/services talks to the kernel, require.js loads anywidget.
npm builds the page into the virtual environment, once for each change of its sources.
"""

import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import ipywidgets
from jupyter_core.paths import jupyter_path

HERE = Path(__file__).parent
SOURCES = [HERE / name for name in ("index.html", "package-lock.json", "package.json", "page.js")]
FONTS = [f"--loader:.{kind}=empty" for kind in ("eot", "svg", "ttf", "woff", "woff2")]
BUILD = (
    *("exec", "--offline", "--", "esbuild", "page.js", "--bundle", "--splitting", "--format=esm"),
    *("--outdir=built", "--log-level=error", "--define:define=undefined", *FONTS),
)
"""Modules may not take require.js, which is on the page, for what they are loaded by."""
IPYWIDGETS = int(ipywidgets.__version__.split(".")[0])
VERSIONS = {7: ["0.20", "1.0"], 8: ["1.0"]}[IPYWIDGETS]
"""The versions of html-manager that are made for the ipywidgets which is installed."""
ADDRESS = "html-manager"


def show(desk, version, cells):
    """Open the page on the server of a `FrontEnd`, start a kernel, and run cells in it."""
    folder = folder_of_page()

    def answer(route):
        name = route.request.url.split(f"/{ADDRESS}/")[1]
        route.fulfill(path=anywidget() if name == "anywidget.js" else folder / name)

    desk.page.context.grant_permissions(["local-network-access"])
    desk.page.request.get(f"{desk.address}/lab")  # gives a cookie that requests must show
    desk.page.route(f"**/{ADDRESS}/*", answer)
    desk.page.goto(f"{desk.address}/{ADDRESS}/index.html")
    desk.page.evaluate("given => connect(...given)", [version, IPYWIDGETS])
    for cell in cells:
        assert desk.page.evaluate("code => run(code)", cell) == ""


def anywidget():
    """The JavaScript of anywidget for front ends with require.js; it is in anywidget's wheel."""
    found = (Path(folder, "anywidget/index.js") for folder in jupyter_path("nbextensions"))
    return next(path for path in found if path.exists())


def folder_of_page():
    """The folder of the page's files, which are built if need be.

    Raises:
        FileNotFoundError: there is no npm.
        subprocess.CalledProcessError: npm cannot fetch or build; it has said why.
    """
    version = sha256(b"".join(path.read_bytes() for path in (*SOURCES, Path(__file__))))
    folder = Path(sys.prefix, "html-manager", version.hexdigest()[:16])
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as home:
            built = _build(Path(home))
            try:
                built.rename(folder)
            except OSError:
                if not folder.exists():  # no other process was faster
                    raise
    return folder


def _build(home):
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed; it comes with node")
    for path in SOURCES:
        shutil.copy(path, home)
    quiet = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
    subprocess.run([npm, "ci", *quiet], cwd=home, check=True)
    subprocess.run([npm, *BUILD], cwd=home, check=True)
    for path in ("index.html", "node_modules/requirejs/require.js"):
        shutil.copy(home / path, home / "built")
    return home / "built"
