"""A JupyterHub on loopback, set up as `hub/` advises."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from front_ends.ports import free_ports

ROOT = Path(__file__).parents[2]
PROXY = Path(sys.prefix) / "npm/node_modules/.bin/configurable-http-proxy"
NOTEBOOK = "gradwidgets/notebooks/03_scaling_gradients.ipynb"
"""Where a learner has the lesson."""
PULL = {"repo": ROOT.as_uri(), "targetpath": "gradwidgets"}
"""What nbgitpuller is asked for."""
TOKEN = secrets.token_hex(16)
"""Of a service of the hub that may start and use every learner's server."""
SECONDS = 300
"""How long the hub may take to answer for the first time."""

CONFIG = """
import shutil
from pathlib import Path

def give_ipython_its_settings(spawner):
    profile = Path({homes!r}.format(username=spawner.user.name), ".ipython/profile_default")
    profile.mkdir(parents=True, exist_ok=True)
    for name in ("ipython_config.py", "late_compiler.py"):
        shutil.copy(Path({settings!r}, name), profile)

c.Spawner.pre_spawn_hook = give_ipython_its_settings
c.JupyterHub.load_groups = {{"lecturers": {{"users": ["lecturer"]}}}}
c.Authenticator.allow_all = True
load_subconfig({advised!r})
load_subconfig({with_class!r})
c.JupyterHub.services.append({{"name": "teacher", "api_token": {token!r}}})
scopes = ["admin:users", "admin:servers", "access:servers"]
c.JupyterHub.load_roles.append({{"name": "teacher", "scopes": scopes, "services": ["teacher"]}})
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.authenticator_class = "dummy"  # any name, any password: on loopback only
c.JupyterHub.spawner_class = "simple"  # a process, no account and no container
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.args = [*c.Spawner.args, "--allow-root", "--LabApp.expose_app_in_browser=True"]
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
"""


@contextmanager
def running_hub(folder: Path) -> Iterator[str]:
    """The address of a hub that keeps its files in `folder`.

    Raises:
        FileNotFoundError: there is no proxy; `make hub` installs it.
        TimeoutError: the hub does not answer; its log says why.
    """
    if not PROXY.exists():
        raise FileNotFoundError(f"no configurable-http-proxy at {PROXY}: run `make hub`")
    port, hub_port, proxy_port, class_port = free_ports(4)
    config = CONFIG.format(
        advised=str(ROOT / "hub/jupyterhub_config.py"),
        with_class=str(ROOT / "hub/class_config.py"),
        token=TOKEN,
        settings=str(ROOT / "hub"),
        homes=str(folder / "{username}"),
        proxy=str(PROXY),
        port=port,
        hub_port=hub_port,
        proxy_port=proxy_port,
    )
    (folder / "jupyterhub_config.py").write_text(config, encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "GRADWIDGETS_CLASS_PORT": str(class_port)}
    command = [sys.executable, "-m", "jupyterhub", "--config=jupyterhub_config.py"]
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/hub/health", folder / "log")
        yield address
    finally:
        process.terminate()  # it stops the proxy and every learner's server
        process.wait(timeout=SECONDS)


def link(address: str) -> str:
    """The nbgitpuller link that brings a learner the repository and opens the lesson."""
    query = {**PULL, "urlpath": f"lab/tree/{NOTEBOOK}"}
    return f"{address}/hub/user-redirect/git-pull?{urlencode(query)}"


def wait_for(address: str, log: Path) -> None:
    """Return when something answers there."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with suppress(OSError):
            urllib.request.urlopen(address, timeout=2).close()
            return
        time.sleep(0.2)
    raise TimeoutError(
        f"no answer from {address}; the log ends: {log.read_text(encoding='utf-8')[-2000:]}"
    )


def chromium() -> str:
    """Where Chromium is.

    Raises:
        FileNotFoundError: there is none.
    """
    for name in ("chromium", "chromium-browser", "chrome"):
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("no Chromium found: install Debian's package `chromium`")
