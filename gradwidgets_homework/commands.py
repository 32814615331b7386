"""The commands of those who teach: `gradwidgets course`, `collect`, `grade` and `marks`."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradwidgets_homework import archive, marks
from gradwidgets_homework.collect import collect
from gradwidgets_homework.grade import grade
from gradwidgets_homework.language import languages
from gradwidgets_homework.people import Person, roster
from gradwidgets_homework.settings import FILE
from gradwidgets_homework.table import read

WORD = "GRADWIDGETS_COURSE_WORD"
"""The environment variable with the archive's word; without it the command asks."""
ARCHIVE = "solutions.locked"
CONFIG, PLACEHOLDER = "nbgrader_config.py", b"a word of your own, new every term"
"""In the place of these words a course gets a secret drawn for it."""
CLEAR = (CONFIG, FILE, "INSTRUCTORS.md")
"""What a course's folder holds besides: no secrets, and so not locked."""


def add(commands: Any, homework: Path) -> None:
    """Add the commands to those of `gradwidgets`.

    Args:
        commands: what `add_subparsers` of argparse has returned.
        homework: the folder of the homework that is installed, or of the clone.
    """
    _add_course(commands, homework)
    taken = commands.add_parser(
        "collect",
        help="put what Moodle or Canvas gave you where nbgrader looks for it",
        description="Puts each student's notebook of a bulk download at "
        "submitted/STUDENT/ASSIGNMENT/ASSIGNMENT.ipynb, and says who, which file, and what was "
        "left out and why. The exit code is 1 if somebody's work was not collected.",
    )
    taken.add_argument("assignment", metavar="ASSIGNMENT", help="the homework, such as hw1")
    taken.add_argument("archive", metavar="ZIP", type=Path, help="the file that was downloaded")
    _add_who(taken)
    taken.set_defaults(run=_collect)
    judged = commands.add_parser(
        "grade",
        help="judge homework that was handed in",
        description="Judges notebooks, each in a process of its own, in bubblewrap where there is "
        "one. The exit code is 1 if a file could not be judged.",
    )
    judged.add_argument("files", metavar="FILE", nargs="+", type=Path, help="a notebook to judge")
    judged.add_argument("--csv", metavar="CSV", type=Path, help="a table for the marks")
    judged.add_argument("--jobs", metavar="N", type=int, default=1, help="notebooks at a time (1)")
    judged.add_argument(
        "--student",
        metavar="NAME",
        help="whose numbers (default: the name by the folders NAME/hw1/hw1.ipynb, else the file's)",
    )
    judged.set_defaults(run=_grade)
    given = commands.add_parser(
        "marks",
        help="fill Moodle's grading worksheet or Canvas's gradebook",
        description="Writes the marks of a homework into the table that the learning management "
        "system gave you, in a copy beside it. One column changes and nothing else. The exit code "
        "is 1 if somebody's mark was not written.",
    )
    given.add_argument("assignment", metavar="ASSIGNMENT", help="the homework, such as hw1")
    tables = given.add_mutually_exclusive_group(required=True)
    tables.add_argument("--moodle", metavar="CSV", type=Path, help="Moodle's grading worksheet")
    tables.add_argument("--canvas", metavar="CSV", type=Path, help="Canvas's exported gradebook")
    given.add_argument(
        "--from",
        dest="source",
        metavar="CSV",
        type=Path,
        help=f"marks with the columns {', '.join(marks.MARKS_COLUMNS)}, instead of nbgrader's",
    )
    given.add_argument("--to", metavar="CSV", type=Path, help="the copy (default: NAME_marked.csv)")
    given.add_argument("--column", default="", help="the column for the marks")
    given.add_argument(
        "--scale", action="store_true", help="scale the marks to the maximum of the column"
    )
    given.add_argument(
        "--comments", action="store_true", help="the points of each task as Moodle's comment"
    )
    _add_who(given)
    given.set_defaults(run=_marks)


def _add_course(commands: Any, homework: Path) -> None:
    course = commands.add_parser(
        "course",
        help="unlock the homework for nbgrader, with its solutions; lock it again",
        description="Opens the archive of solutions and hidden tests with a word, or makes one.",
    )
    steps = course.add_subparsers(dest="step", metavar="STEP", required=True)
    opened = steps.add_parser(
        "unlock",
        help="make a folder that is ready for nbgrader",
        description=f"Asks for the word, or takes that of {WORD}. INSTRUCTORS.md in the new "
        "folder says how to go on.",
    )
    opened.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=Path, default=Path("course"),
        help="a new folder (default: course)",
    )  # fmt: skip
    opened.add_argument("--archive", metavar="FILE", type=Path, default=homework / ARCHIVE)
    opened.add_argument(
        "--language", choices=languages(), default="en", help="of the homework (default: en)"
    )
    opened.set_defaults(run=_unlock, homework=homework)
    closed = steps.add_parser(
        "lock",
        help="lock a folder's solutions and hidden tests with a word of yours",
        description=f"Asks for a word, or takes that of {WORD}.",
    )
    closed.add_argument("folder", metavar="FOLDER", type=Path)
    closed.add_argument(
        "--to", metavar="FILE", type=Path, help="the archive (default: FOLDER.locked)"
    )
    closed.set_defaults(run=_lock)


def _add_who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--roster",
        metavar="CSV",
        type=Path,
        help="who is who: Moodle's grading worksheet, Canvas's gradebook, or a table of your own "
        "with a column `student` and others with names, numbers or addresses",
    )
    parser.add_argument(
        "--course", metavar="FOLDER", type=Path, default=Path(), help="the course (default: here)"
    )


def _unlock(told: argparse.Namespace) -> int:
    folder: Path = told.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already; give the name of a new folder")
    if not told.archive.is_file():
        raise ValueError(
            f"there is no archive at {told.archive}: the repository of gradwidgets has it as "
            f"notebooks/homework/{ARCHIVE}; give its place with --archive"
        )
    files = archive.unlock(told.archive.read_bytes(), _word("Word: "))
    files |= {name: (told.homework / name).read_bytes() for name in CLEAR}  # no secrets
    files[FILE] = _in_language(files[FILE], told.language)
    files[CONFIG] = files[CONFIG].replace(PLACEHOLDER, secrets.token_hex(16).encode())
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"The course is in {folder.resolve()}\nINSTRUCTORS.md there says how to go on.")
    return 0


def _in_language(told: bytes, language: str) -> bytes:
    """The course's file with another language."""
    return re.sub(rb'(?m)^language = ".*"', b'language = "%s"' % language.encode(), told)


def _lock(told: argparse.Namespace) -> int:
    files = archive.files_of(told.folder)
    to = told.to or told.folder.resolve().with_suffix(".locked")
    word = _word("A word of yours: ", twice=True)
    to.write_bytes(archive.lock(files, word))
    print(f"{len(files)} files are locked in {to}")
    return 0


def _word(question: str, twice: bool = False) -> str:
    word = os.environ.get(WORD)
    if word is not None:
        return word
    word = getpass.getpass(question)
    if twice and getpass.getpass("Once more: ") != word:
        raise ValueError("the two words are not the same")
    return word


def _people(told: argparse.Namespace) -> Sequence[Person]:
    return roster(read(told.roster)) if told.roster else ()


def _collect(told: argparse.Namespace) -> int:
    report = collect(told.assignment, told.archive, told.course, _people(told))
    print("\n".join(report.lines()))
    return 0 if report.complete else 1


def _grade(told: argparse.Namespace) -> int:
    whole = True
    for judged, text in grade(told.files, told.csv, told.jobs, told.student):
        print(text, flush=True)
        whole = whole and judged
    return 0 if whole else 1


def _marks(told: argparse.Namespace) -> int:
    path = told.moodle or told.canvas
    table = read(path)
    if told.moodle:
        place = marks.moodle(table, told.column)
    else:
        place = marks.canvas(table, told.assignment, told.column)
    if told.source:
        found = marks.from_table(read(told.source), told.assignment)
    else:
        found = marks.from_gradebook(told.course, told.assignment)
    report = marks.fill(
        table, place, found, _people(told), scale=told.scale, comments=told.comments
    )
    to = told.to or path.with_name(f"{path.stem}_marked{path.suffix}")
    to.write_bytes(table.content())
    print("\n".join([*report.lines(), f"written: {to}"]))
    return 0 if report.filled and not report.unmatched else 1
