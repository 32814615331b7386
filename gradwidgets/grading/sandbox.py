"""The surroundings of a worker: bubblewrap where there is one, else a plain process with limits."""

from __future__ import annotations

import functools
import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
WORKER = PACKAGE.with_name("gradwidgets_worker")
HOME = "/home/student"
SIZE = 64 * 2**20
"""Bytes of each folder that can be written in the sandbox."""

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/fonts")
"""Of the machine only this can be read, beside Python itself."""


SHUT_OFF = (
    *("--unshare-all", "--unshare-user", "--disable-userns"),  # the last since bubblewrap 0.8
    *("--cap-drop", "ALL", "--die-with-parent"),
)


@dataclass(frozen=True)
class Limits:
    """Limits of one notebook.

    Args:
        cell: seconds for one cell.
        question: seconds for one question.
        notebook: seconds for all.
        memory: bytes that a process may have.
        processes: how many processes and threads there may be, in the sandbox.
        file_size: bytes of one file.

    >>> Limits(cell=5).question
    10.0
    """

    cell: float = 20.0
    question: float = 10.0
    notebook: float = 90.0
    memory: int = 2 * 2**30
    processes: int = 64
    file_size: int = 16 * 2**20


@functools.cache
def bubblewrap() -> str | None:
    """The path of bubblewrap, if it works for this user; else None."""
    found = shutil.which("bwrap")
    if not found:
        return None
    trial = [found, *SHUT_OFF, "--ro-bind", "/", "/", "--size", "65536", "--tmpfs", "/tmp", "true"]
    works = subprocess.run(trial, capture_output=True, check=False).returncode == 0
    return found if works else None


def isolation() -> str:
    """The surroundings that a worker gets on this machine, in words.

    >>> isolation() in ("bubblewrap", "a plain process with limits")
    True
    """
    return "bubblewrap" if bubblewrap() else "a plain process with limits"


class Surroundings:
    """An empty folder and an environment for one worker, and the command that starts it there."""

    def __init__(self, limits: Limits) -> None:
        self._inside = bubblewrap()
        self.folder = None if self._inside else tempfile.mkdtemp(prefix="worker-")
        self.home = HOME if self._inside else str(self.folder)
        settings = {
            "memory": limits.memory,
            "seconds": int(10 * limits.notebook),  # of the processor; the judge looks at the clock
            "file_size": limits.file_size,
            "processes": limits.processes if self._inside else None,
        }
        python = [sys.executable, "-I", "-B", str(WORKER), json.dumps(settings)]
        self.command = [*self._wrapped(), *python]

    @property
    def environment(self) -> dict[str, str]:
        """All of the worker's environment variables: none of the judge's."""
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "PATHEXT") if name in os.environ}
        return kept | {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            **dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), self.home),
        }

    def remove(self) -> None:
        """Remove the folder and all that was written there."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _wrapped(self) -> list[str]:
        if not self._inside:
            return []
        words = [self._inside, *SHUT_OFF, "--new-session"]
        words += ["--uid", "1000", "--gid", "1000", "--hostname", "worker"]
        words += ["--proc", "/proc", "--dev", "/dev", "--size", str(SIZE), "--tmpfs", "/tmp"]
        for path in _readable():
            words += ["--ro-bind-try", path, path]
        words += ["--tmpfs", str(PACKAGE / "grading")]  # the judge and its oracle stay out
        for folder in ("/dev/shm", HOME):
            words += ["--size", str(SIZE), "--tmpfs", folder]
        for folder in (str(PACKAGE / "grading"), "/dev", "/"):
            words += ["--remount-ro", folder]
        return [*words, "--chdir", HOME]


def _readable() -> list[str]:
    """Python, its packages, and what the machine needs to run it."""
    parts = ("bin", "lib", "lib64", "pyvenv.cfg", "share/fonts", "Library", "DLLs")
    prefixes = dict.fromkeys((sys.base_prefix, sys.prefix))
    python = [str(Path(prefix, part)) for prefix in prefixes for part in parts]
    paths = [*SYSTEM, *python, *site.getsitepackages(), str(PACKAGE), str(WORKER)]
    return list(dict.fromkeys(path for path in paths if Path(path).exists()))
