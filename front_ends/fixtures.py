"""Pytest fixtures: a real Jupyter server and a real Chromium, started once."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect, sync_playwright

from front_ends.front_end import FrontEnd
from front_ends.ports import free_port

PATIENCE = 60_000
"""Milliseconds that anything on a page may take: a shared machine can be slow."""
expect.set_options(timeout=PATIENCE)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {"apputils-extension/notification": '{"fetchNews": "false"}'}
PAGE = {"buildCheck": False, "buildAvailable": False}
"""Else JupyterLab starts node each time that it is opened, to compare its build with extensions."""
CONFIG = """
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
c.IdentityProvider.token = ""
c.LabApp.expose_app_in_browser = True
c.JupyterNotebookApp.expose_app_in_browser = True
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.KernelManager.shutdown_wait_time = 1.0  # half of it passes before a kernel with a lab is ended
"""


def needed(*names, package):
    """The path of the first of these programs that there is.

    Without one the test is skipped, or fails where browser tests are required.
    """
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        message = f"no {names[0]} found: install Debian's package `{package}` to run this test"
        if os.environ.get("GRADWIDGETS_BROWSER") == "required":
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="package")  # gone with its event loop before other tests run
def chromium():
    """Headless Chromium."""
    found = needed("chromium", "chromium-browser", "chrome", package="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")  # gone with its event loop before other tests run
def server(tmp_path_factory):
    """The address of a Jupyter server, and the folder that it serves."""
    home = tmp_path_factory.mktemp("jupyter")
    for name, text in SETTINGS.items():
        file = home / "config/lab/user-settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    (home / "work").mkdir()
    (home / "config/labconfig").mkdir()
    (home / "config/labconfig/page_config.json").write_text(json.dumps(PAGE), encoding="utf-8")
    (home / "config" / "jupyter_server_config.py").write_text(CONFIG, encoding="utf-8")
    env = {"JUPYTER_CONFIG_DIR": str(home / "config"), "IPYTHONDIR": str(home)}
    words = ("jupyter", "lab", "--ServerApp.port_retries=0")
    with serving(*words, folder=home / "work", log=home / "log", **env) as address:
        yield address, home / "work"


@contextmanager
def serving(*words, folder, log, **env):
    """A server, which is a module with its options, in a folder; the address where it listens.

    Raises:
        TimeoutError: it does not listen within a minute.
    """
    port = free_port()
    env = {**os.environ, **env}
    env.pop("GRADWIDGETS_PROGRESS", None)  # a learner's answers are kept
    with log.open("w", encoding="utf-8") as said:
        command = [sys.executable, "-m", *words, f"--port={port}"]
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=said, stderr=said)
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:  # it waits for kernels, which end with it
            process.kill()


def _wait_for(port):
    """Wait until somebody listens; no request is made, for which Voila would run a notebook."""
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nobody listens on port {port}")


@contextmanager
def opened(chromium, address, folder):
    """A `FrontEnd`; there may be no console error and no request to elsewhere until its end."""
    context = chromium.new_context(viewport={"width": 1366, "height": 1000})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(2 * PATIENCE)
    desk = FrontEnd(context.new_page(), address, folder)
    yield desk
    context.close()
    assert desk.foreign == []
    assert desk.errors == []


@pytest.fixture
def front_end(chromium, server, request):
    """Opens notebooks in a front end; fails on console errors and on requests to elsewhere."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(PATIENCE)
    desk = FrontEnd(context.new_page(), *server)
    yield desk
    foreign, errors = list(desk.foreign), list(desk.errors)
    if "jupyterapp" in desk.page.evaluate("Object.keys(window)"):
        desk.page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")  # each has 350 MB
    context.close()
    if not getattr(request.node, "failed", False):
        assert foreign == []
        assert errors == []
