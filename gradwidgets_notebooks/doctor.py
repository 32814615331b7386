"""A look at an installation: the versions of its parts, a lab made, a kernel asked."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PARTS = ("gradwidgets", "torch", "numpy", "matplotlib", "ipywidgets", "anywidget", "jupyterlab")
PYTHON = f'"{sys.executable}"' if " " in sys.executable else sys.executable
PIP = f"{PYTHON} -m pip install" if find_spec("pip") else f"uv pip install --python {PYTHON}"
"""uv makes environments without pip."""
INSTALL = f'{PIP} "gradwidgets[lab]"'
"""The command that installs all that the lessons need for this Python."""
LAB = """
import sys
print(sys.executable, flush=True)
from gradwidgets import GradLab
GradLab("line")
"""
"""Says which Python it runs in, and makes the smallest lab there is."""
ANOTHER = (
    f"{PIP} --upgrade ipykernel, and ask again. If it still does not answer, the kernel python3 "
    "may be that of another Python: `jupyter kernelspec list` names its folder, and "
    "`jupyter kernelspec remove python3` removes it"
)
EXTENSIONS = ("anywidget", "@jupyter-widgets/jupyterlab-manager")
LIMIT = 300
"""Seconds: the first import of PyTorch on a slow disk takes minutes."""


@dataclass(frozen=True)
class Finding:
    """One line of what the doctor says.

    Args:
        part: what was looked at.
        found: what was seen.
        advice: what to do; "" if all is well.

    >>> print(Finding("torch", "not installed", "python -m pip install torch"))
    torch         not installed
                  -> python -m pip install torch
    """

    part: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        """The line, and a second one if there is something to do."""
        line = f"{self.part:14}{self.found}"
        return f"{line}\n{'':14}-> {self.advice}" if self.advice else line


def findings() -> Iterator[Finding]:
    """Look at one part after another; a lab and a kernel take some seconds."""
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})")
    versions = [_version(part) for part in PARTS]
    yield from versions
    yield _a_lab()
    if versions[-1].advice:
        yield Finding("a kernel", "not tried without JupyterLab", INSTALL)
    else:
        yield _extensions()
        yield _a_kernel()


def _version(part: str) -> Finding:
    """The version of a part, compared with what gradwidgets asks for."""
    try:
        version = importlib.metadata.version(part)
    except importlib.metadata.PackageNotFoundError:
        return Finding(part, "not installed", INSTALL)
    for least in _asked(part):
        if _numbers(version) < _numbers(least):
            return Finding(part, f"{version}, older than {least}", f"{INSTALL} --upgrade")
    return Finding(part, version)


def _asked(part: str) -> list[str]:
    """The least version of a part that gradwidgets asks for; nothing where it does not say."""
    try:
        requirements = importlib.metadata.requires("gradwidgets") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    needed = [one for one in requirements if "extra ==" not in one or "extra == 'lab'" in one]
    found = [re.match(r"([\w.-]+).*>=\s*([\d.]+)", one.split(";")[0]) for one in needed]
    return [match[2] for match in found if match and match[1] == part]


def _numbers(version: str) -> tuple[int, ...]:
    """Three numbers at the head of a version: (2, 13, 0) of "2.13+cpu"."""
    head = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(each) for each in head[0].split(".")] if head else []
    return tuple([*numbers, 0, 0, 0][:3])


def _a_lab() -> Finding:
    """Make a lab in a new process of this Python: whatever happens there ends there."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", LAB], capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return Finding("a lab", f"none after {LIMIT} seconds", "try again on an idle machine")
    if done.returncode == 0:
        return Finding("a lab", "can be made")
    said = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
    return Finding("a lab", f"cannot be made: {said}", f"{INSTALL} --upgrade")


def _extensions() -> Finding:
    """Look for the JavaScript of widgets where JupyterLab does."""
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    missing = [one for one in EXTENSIONS if not any((each / one).is_dir() for each in folders)]
    if not missing:
        return Finding("in JupyterLab", "widgets can be shown")
    return Finding("in JupyterLab", f"no {' and no '.join(missing)}", f"{INSTALL} --upgrade")


def _a_kernel() -> Finding:
    """Start the kernel that the lessons name, and make a lab there."""
    try:
        return Finding("a kernel", f"answers ({_ask_kernel()})")
    except Exception as problem:  # of any kind: it is what the learner came to hear
        return Finding("a kernel", f"does not answer: {problem}", ANOTHER)


def _ask_kernel() -> str:
    """The Python of a new kernel that has made a lab.

    Raises:
        RuntimeError: the kernel could not; says why, and which Python it is.
    """
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(startup_timeout=LIMIT, stderr=subprocess.DEVNULL)
    said: list[str] = []
    try:
        reply = client.execute_interactive(
            LAB, timeout=LIMIT, output_hook=lambda message: said.append(_printed(message))
        )["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    python = "".join(said).strip()
    if reply["status"] != "ok":
        raise RuntimeError(f"{python} says {reply['ename']}: {reply['evalue']}")
    return python


def _printed(message: dict[str, Any]) -> str:
    content = message["content"]
    return str(content["text"]) if content.get("name") == "stdout" else ""
