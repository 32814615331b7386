"""Pytest fixtures: a real Jupyter server and a real Chromium, started once."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import expect, sync_playwright

from front_ends.front_end import FrontEnd

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
CONFIG = """
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
c.IdentityProvider.token = ""
c.LabApp.expose_app_in_browser = True
c.JupyterNotebookApp.expose_app_in_browser = True
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
"""


@pytest.fixture(scope="package")  # gone with its event loop before other tests run
def chromium():
    """Headless Chromium; without one the test is skipped, or fails where it is required."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if found is None:
        message = "no Chromium found: install Debian's package `chromium` to run the browser tests"
        if os.environ.get("GRADWIDGETS_BROWSER") == "required":
            pytest.fail(message)
        pytest.skip(message)
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
    (home / "config" / "jupyter_server_config.py").write_text(CONFIG, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "JUPYTER_CONFIG_DIR": str(home / "config"), "IPYTHONDIR": str(home)}
    env.pop("GRADWIDGETS_PROGRESS", None)  # a learner's answers are kept
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        f"--port={port}",
        "--ServerApp.port_retries=0",
    ]
    with (home / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=home / "work", env=env, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api/status")
        yield address, home / "work"
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:  # it waits for kernels, which end with it
            process.kill()


def wait_for(address):
    """Wait until somebody answers there; a minute at most.

    Raises:
        TimeoutError: nobody does.
    """
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:  # noqa: PERF203, not there yet
            time.sleep(0.2)
    raise TimeoutError(f"no answer from {address}")


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
