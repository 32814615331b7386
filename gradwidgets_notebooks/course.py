"""The files of the course: where they are, and how a learner's copy of them is made and updated."""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

FIRST = "00_start_here.ipynb"
RECORD = ".gradwidgets.json"
"""A file in each copy of the course: the hash of every file as it was last brought."""
PATTERNS = (
    "[0-9][0-9]_*.ipynb",
    "claims.json",
    "homework/*.ipynb",
    "lectures/*.ipynb",
    "lectures/voila.json",
    "lectures/voila/**/*.*",
)
"""What a learner gets."""
FOR_INSTRUCTORS = ("homework/nbgrader_config.py", "homework/course.toml", "homework/INSTRUCTORS.md")
"""What `gradwidgets course unlock` lays beside the homework's sources."""


def course_folder() -> Path:
    """The folder of the lessons: inside this package, or `notebooks` of the clone it stands in.

    Raises:
        FileNotFoundError: the lessons are in neither.

    >>> (course_folder() / FIRST).exists()
    True
    """
    here = Path(__file__).parent
    for folder in (here / "course", here.parent / "notebooks"):
        if (folder / FIRST).exists():
            return folder
    raise FileNotFoundError("this installation of gradwidgets holds no lessons; install it again")


def course_files() -> list[str]:
    """Their names below `course_folder()`, with / between folders.

    >>> "lectures/questions.ipynb" in course_files()
    True
    """
    folder = course_folder()
    found = {path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(folder).as_posix() for path in found)


@dataclass
class Brought:
    """The names of the files that `bring` dealt with.

    Attributes:
        new: not there before.
        changed: replaced by a newer one, as the learner had left them alone.
        kept: changed by the learner, and the name of the newer one that lies beside each.
        gone: no part of the course any more; left as they are.

    >>> Brought(new=["13_schedules.ipynb"]).kept
    {}
    """

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


def bring(folder: Path) -> Brought:
    """Copy the course into a folder, or what is new of it since the last time.

    A file that the learner changed is never overwritten: if there is a newer one, it is saved
    beside it once, as `..._new.ipynb`. Other files in the folder are left alone.

    Raises:
        ValueError: the folder is the one that the course is copied from.
        OSError: a file cannot be read or written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as home:
    ...     first, second = bring(Path(home, "course")), bring(Path(home, "course"))
    >>> first.new == sorted(course_files(), reverse=True), second
    (True, Brought(new=[], changed=[], kept={}, gone=[]))
    """
    source = course_folder()
    if folder.resolve() == source.resolve():
        raise ValueError(f"{folder} is the folder that the course is copied from")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    before = _recorded(folder)
    brought, record = Brought(), {}
    for name in sorted(course_files(), reverse=True):  # where the first lesson is, all are
        content = (source / name).read_bytes()
        record[name] = _hash(content)
        there = _content(folder / name)
        if there is None:
            brought.new.append(name)
            _write(folder / name, content)
        elif there == content or before.get(name) == record[name]:
            continue  # the newest, or the learner's work on the newest
        elif _hash(there) == before.get(name):
            brought.changed.append(name)
            _write(folder / name, content)
        else:
            beside = _beside(folder / name, content)
            brought.kept[name] = beside.relative_to(folder).as_posix()
            _write(beside, content)
    brought.gone = [name for name in before if name not in record and (folder / name).exists()]
    _write(folder / RECORD, json.dumps(record, indent=1).encode())
    return brought


def _recorded(folder: Path) -> dict[str, str]:
    """The hash of each file as it was last brought; nothing if that is not known."""
    try:
        return dict(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _beside(path: Path, content: bytes) -> Path:
    """A name for the newer file that takes no other file's place."""
    for count in itertools.count(1):
        beside = path.with_name(f"{path.stem}_new{count if count > 1 else ''}{path.suffix}")
        if _content(beside) in (None, content):
            return beside
    raise AssertionError  # there is always a next number


def _write(path: Path, content: bytes) -> None:
    """Write a file as a whole: whoever is interrupted finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
