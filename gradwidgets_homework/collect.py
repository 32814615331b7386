"""A download of a learning management system, put where nbgrader looks for it."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZipFile

from gradwidgets_homework import submissions
from gradwidgets_homework.people import Person, folder_name, name_keys
from gradwidgets_homework.submissions import Handed

BESIDE = (".py", ".csv", ".json", ".txt", ".png")
"""Endings of files that a notebook may use."""
BESIDE_LIMIT = 20
"""Files of one student beside the notebook."""


@dataclass
class Collected:
    """The outcome of a download.

    Attributes:
        taken: for each student in nbgrader the file, in words.
        notes: about students whose work was taken.
        refused: students whose work was not taken, and why.
        left_out: files of nobody, and why.
        missing: students of the roster of whom there is nothing.

    >>> Collected(taken={"ada": "Ada_1_assignsubmission_file/hw1.ipynb"}).complete
    True
    """

    taken: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """If there was something, and all of it was taken."""
        return bool(self.taken) and not self.refused

    def lines(self) -> list[str]:
        """The report: everybody by name."""
        lines = [f"collected: {len(self.taken)}"]
        for student, file in sorted(self.taken.items()):
            lines.append(f"  {student:24} {file}")
            lines += [f"  {'':24} - {note}" for note in self.notes.get(student, [])]
        for title, found in (("not collected", self.refused), ("left out", self.left_out)):
            if found:
                lines.append(f"{title}: {len(found)}")
                lines += [f"  {name}: {reason}" for name, reason in sorted(found.items())]
        if self.missing:
            lines += [f"nothing from: {len(self.missing)}", *(f"  {one}" for one in self.missing)]
        return lines


def collect(
    assignment: str, archive: Path, course: Path, people: Sequence[Person] = ()
) -> Collected:
    """Put each student's notebook at `submitted/STUDENT/ASSIGNMENT/ASSIGNMENT.ipynb`.

    Nothing is written outside of that folder, whatever the archive's names say. What was collected
    before is replaced.

    Args:
        assignment: the homework's name, such as "hw1".
        archive: the file that Moodle or Canvas gave.
        course: the folder of the course.
        people: a roster; without it a student's folder is named as the file is.

    Raises:
        ValueError: the course has no such homework, or the archive is none.
        OSError: a file cannot be read or written.

    >>> collect("hw9", Path("hw9.zip"), Path("course"))
    Traceback (most recent call last):
    ValueError: there is no homework 'hw9' in course: it has no source/hw9 and no release/hw9
    """
    if not any((course / step / assignment).is_dir() for step in ("source", "release")):
        raise ValueError(
            f"there is no homework {assignment!r} in {course}: "
            f"it has no source/{assignment} and no release/{assignment}"
        )
    report = Collected()
    try:
        with ZipFile(archive) as opened:
            handed, report.left_out = submissions.listing(opened)
            for student, files in _by_student(handed, people, report).items():
                _take(opened, student, files, course / "submitted" / student / assignment, report)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive} is no zip archive: {error}") from error
    if not (handed or report.left_out):
        raise ValueError(f"{archive} holds no file")
    seen = {*report.taken, *report.refused}
    report.missing = sorted(one.student for one in people if one.student not in seen)
    return report


def _by_student(
    handed: Sequence[Handed], people: Sequence[Person], report: Collected
) -> dict[str, list[Handed]]:
    """The files by the student's name in nbgrader; two persons of one name are refused."""
    found: dict[str, list[Handed]] = defaultdict(list)
    for each in handed:
        found[_student(each, people)].append(each)
    for student, files in list(found.items()):
        numbers = sorted({each.number for each in files})
        if len(numbers) > 1:
            report.refused[student] = (
                f"two students have this name (numbers {', '.join(numbers)}); "
                "say with --roster who is who"
            )
            del found[student]
    return found


def _student(handed: Handed, people: Sequence[Person]) -> str:
    """The name in nbgrader: the roster's, by name and number; else one made of the file's name."""
    by_name = _known(people, name_keys(handed.name))
    by_number = _known(people, {handed.number} - {""})
    for known in (by_name & by_number, by_name, by_number - by_name):
        if len(known) == 1:
            return known.pop()
    if not handed.canvas and folder_name(handed.name):
        return folder_name(handed.name)
    return folder_name(f"{handed.name}-{handed.number}") or "nameless"


def _known(people: Sequence[Person], keys: set[str]) -> set[str]:
    return {person.student for person in people if keys & person.keys}


def _take(
    archive: ZipFile, student: str, files: list[Handed], folder: Path, report: Collected
) -> None:
    """Write one student's files, or note why not."""
    assignment = folder.name
    try:
        chosen, others = _choose(files, assignment)
        notebook = _as_notebook(submissions.content(archive, chosen))
    except ValueError as problem:
        report.refused[student] = str(problem)
        return
    notes = report.notes[student]
    if chosen.late:
        notes.append("late")
    if chosen.file.lower() != f"{assignment}.ipynb":
        notes.append(f"is called {chosen.file}")
    written = {f"{assignment}.ipynb": notebook}
    for other in sorted(others, key=lambda each: each.order):
        notes.append(_beside(archive, other, chosen, written))
    if _replace(folder, written):
        notes.append(
            f"replaces what was collected before: nbgrader autograde {assignment} "
            f"--student {student} --force, then the same with generate_feedback"
        )
    report.taken[student] = chosen.path


def _choose(files: list[Handed], assignment: str) -> tuple[Handed, list[Handed]]:
    """The notebook of the homework, and the other files.

    Raises:
        ValueError: there is none, or it cannot be told which it is.
    """
    found = list(submissions.notebooks(files))
    if not found:
        names = ", ".join(each.file for each in files)
        raise ValueError(f"there is no notebook, only {names}")
    named = [one for one in found if submissions.stem(one.file) == assignment.lower()] or found
    newest = sorted(named, key=lambda one: one.order)[-1]
    if len(named) > 1 and not newest.order:
        names = ", ".join(each.file for each in named)
        raise ValueError(f"there are several notebooks, and it is not clear which counts: {names}")
    if len({submissions.stem(one.file) for one in named}) > 1:
        names = ", ".join(each.file for each in named)
        raise ValueError(f"there are several notebooks, none called {assignment}.ipynb: {names}")
    return newest, [each for each in files if each is not newest]


def _as_notebook(content: bytes) -> bytes:
    """The content without a byte order mark.

    Raises:
        ValueError: it is no notebook.
    """
    try:
        text = content.decode("utf-8-sig")
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not a notebook: its content is not JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("cells"), list):
        if isinstance(found, dict) and "worksheets" in found:
            raise ValueError("it is a notebook of an old format; save it again with JupyterLab")
        raise ValueError("it is not a notebook: it has no cells")
    return text.encode("utf-8")


def _beside(archive: ZipFile, other: Handed, chosen: Handed, written: dict[str, bytes]) -> str:
    """Add another file of the student's, and say what became of it."""
    folder, _, name = other.file.rpartition("/")
    if name.lower().endswith(".ipynb"):
        newer = " (the newest counts)" if other.order else ""
        return f"{other.file} left out: another notebook{newer}"
    if folder != chosen.file.rpartition("/")[0] or not name.endswith(BESIDE):
        return f"{other.file} left out: no file of the homework"
    if other.canvas:  # a file uploaded again; no import could name it so
        name = re.sub(r"-\d+(?=\.py$)", "", name)
    if len(written) > BESIDE_LIMIT or (name in written and not other.canvas):
        return f"{other.file} left out: too many files, or two of one name"
    try:
        written[name] = submissions.content(archive, other)
    except ValueError as problem:
        return f"{other.file} left out: {problem}"
    return f"{name} is put beside it"


def _replace(folder: Path, written: dict[str, bytes]) -> bool:
    """Write the folder as a whole; True if there was another one before."""
    before = {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}
    if before == written:
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        for name, content in written.items():
            (Path(part) / name).write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(part, folder)
    return bool(before)
