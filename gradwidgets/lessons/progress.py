"""A learner's answers and solved exercises, kept in one small file beside the lessons.

The file is `progress.json` in the folder that the kernel runs in. It holds the choices committed to
and the names of the exercises that passed; in a class (`classroom.py`) also what you told it.
Delete it to begin again. The environment variable
`GRADWIDGETS_PROGRESS` names another file, or, set to nothing, keeps nothing.
"""

from __future__ import annotations

import copy
import json
import os
import secrets
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

FILE = "progress.json"

_told: dict[str, str] = {}
"""What a learner told the class in this kernel, where no file is kept."""
_CHANGES = threading.Lock()
"""One thread at a time: the class is written to on a thread of its own."""


def path() -> Path | None:
    """The file, or None where nothing is kept."""
    name = os.environ.get("GRADWIDGETS_PROGRESS", FILE)
    return Path(name) if name else None


def choice(key: str) -> str | None:
    """The choice that was committed to; None if there is none."""
    found = _read()["answers"].get(key)
    return found if isinstance(found, str) else None


def passed(key: str) -> bool:
    """True if the exercise has passed before."""
    return key in _read()["passed"]


def keep_choice(key: str, choice: str) -> None:
    """Keep the choice that a question was answered with."""
    with _changing() as kept:
        kept["answers"][key] = choice


def keep_passed(key: str) -> None:
    """Keep that an exercise has passed."""
    with _changing() as kept:
        if key not in kept["passed"]:
            kept["passed"].append(key)


def told_class(what: str) -> str:
    """Return what the class was told: an "id", a "name", or "off"; empty if nothing."""
    kept = _read().get("class")  # another lesson may have been told since
    found = _told.get(what) if kept is None else kept.get(what)
    return found if isinstance(found, str) else ""


def tell_class(what: str, text: str) -> None:
    """Keep what the learner told the class, in this kernel and in the file."""
    with _changing() as kept:
        _tell_class(kept, what, text)


def tell_class_once(what: str, text: str) -> str:
    """Keep it unless this kernel or another one has told the class before; return what was told."""
    with _changing() as kept:
        told = str(kept.get("class", _told).get(what) or text)
        _tell_class(kept, what, told)
    return told


def _tell_class(kept: dict[str, Any], what: str, text: str) -> None:
    _told[what] = text
    told = {**kept.get("class", {}), what: text}
    kept["class"] = {name: said for name, said in told.items() if said}


@contextmanager
def _changing() -> Iterator[dict[str, Any]]:
    """Give what is kept, and keep what the caller makes of it."""
    with _CHANGES, _other_kernels_waiting():
        kept = _read()
        before = copy.deepcopy(kept)
        yield kept
        if kept != before:
            _write(kept)


@contextmanager
def _other_kernels_waiting() -> Iterator[None]:
    """Have the kernels of other notebooks wait, where the folder can be locked."""
    folder = None
    with suppress(OSError):
        if (file := path()) and fcntl is not None:
            folder = os.open(file.parent, os.O_RDONLY)
            fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if folder is not None:
            with suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_UN)  # a process that was forked meanwhile has it too
            os.close(folder)


def _read() -> dict[str, Any]:
    """Read what is kept; nothing where there is no file, or where it holds something else."""
    file = path()
    kept = _kept_in(file) if file else None
    return kept or {"answers": {}, "passed": []}


def _kept_in(file: Path) -> dict[str, Any] | None:
    """The contents of a file of ours; None if it is none."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        told = {"class": dict(kept["class"])} if "class" in kept else {}
        return {"answers": dict(kept["answers"]), "passed": list(kept["passed"]), **told}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(kept: dict[str, Any]) -> None:
    """Replace the file as a whole. A folder that cannot be written to stops no lesson."""
    if (file := path()) is None:
        return
    if not kept.get("class", True):
        del kept["class"]
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        if file.exists() and _kept_in(file) is None:
            raise OSError("it holds something else")
        new.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        new.replace(file)
    except OSError as problem:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        warnings.warn(f"Your progress is not kept in {file}: {problem}.", stacklevel=2)
