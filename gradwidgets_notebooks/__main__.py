"""The command `gradwidgets`: the course, faults of an installation, homework of a class."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradwidgets_class.commands import add as add_class
from gradwidgets_homework.commands import add
from gradwidgets_notebooks.course import FIRST, Brought, bring, course_folder
from gradwidgets_notebooks.doctor import INSTALL, findings

FOLDER = Path("gradwidgets-course")


def main(given: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code."""
    words = list(sys.argv[1:] if given is None else given)
    end = words.index("--") if "--" in words else len(words)
    try:
        told = _parser().parse_args(words[:end])
        told.options = words[end + 1 :]
        code: int = told.run(told)
        return code
    except (OSError, ValueError) as problem:
        sys.stderr.write(f"gradwidgets: {problem}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "gradwidgets", description="Learn what .grad does by changing it: a course of notebooks."
    )
    parser.add_argument("--version", action="version", version=f"gradwidgets {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        default=FOLDER,
        help=f"where your copy of the course is, or shall be (default: {FOLDER})",
    )
    opened = commands.add_parser(
        "lab",
        parents=[where],
        help="copy the course, if that is not done yet, and open it in JupyterLab",
        description="Copies the course into FOLDER, if it is not there yet, and opens its first "
        "lesson in JupyterLab. Whatever stands after -- is handed to JupyterLab, such as "
        "gradwidgets lab -- --port=8899",
    )
    opened.add_argument(
        "--no-browser",
        action="store_const",
        const=["--no-browser"],
        default=[],
        help="start JupyterLab, and open no browser",
    )
    opened.set_defaults(run=lambda told: lab(told.folder, [*told.no_browser, *told.options]))
    copied = commands.add_parser(
        "lessons",
        parents=[where],
        help="copy the course",
        description="Copies the course into FOLDER: lessons, lectures, homework, and the claims of "
        "the fact check. No file that is there already is overwritten.",
    )
    copied.set_defaults(run=lambda told: lessons(told.folder))
    updated = commands.add_parser(
        "update",
        parents=[where],
        help="bring new and changed lessons, and keep your work",
        description="Brings new and changed lessons of the installed gradwidgets into FOLDER. A "
        "lesson that you changed, or ran and saved, stays as it is; the newer one is saved "
        "beside it. Your answers, in progress.json, stay.",
    )
    updated.set_defaults(run=lambda told: update(told.folder))
    printed = commands.add_parser(
        "handout",
        help="make a page to be printed of a lecture",
        description="Runs the notebook of a lecture and writes one page of HTML beside it: each "
        "slide, each scene with its picture, each question. Print it from a browser, or save it "
        "there as PDF.",
    )
    printed.add_argument("lecture", metavar="LECTURE", type=Path, help="a notebook with slides")
    printed.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="(default: LECTURE with the ending .html)"
    )
    printed.add_argument(
        "--notes", action="store_true", help="with the speaker's notes and the answers"
    )
    printed.set_defaults(run=lambda told: handout(told.lecture, told.output, told.notes))
    asked = commands.add_parser(
        "doctor",
        help="look for faults of the installation",
        description="Says what is installed, makes a lab, starts a kernel, and says what to do "
        "about each fault. It takes up to a minute, or more on a slow disk.",
    )
    asked.set_defaults(run=lambda _: doctor())
    add_class(commands)
    add(commands, course_folder() / "homework")
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("gradwidgets")
    except importlib.metadata.PackageNotFoundError:
        return "is not installed; this is a clone of it"


def lab(folder: Path, options: Sequence[str]) -> int:
    """Copy the course where it is missing, and run JupyterLab in this process until it ends."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ValueError(
            f"JupyterLab is not installed for this Python. Install it:\n  {INSTALL}"
            "\nor copy the lessons with `gradwidgets lessons`, and open them elsewhere."
        )
    if not (folder / FIRST).exists():
        bring(folder)
        print(f"The course is in {folder.resolve()}")
    from jupyterlab.labapp import main as jupyter_lab

    os.chdir(folder)
    jupyter_lab([f"--LabApp.default_url=/lab/tree/{FIRST}", *options])
    return 0


def lessons(folder: Path) -> int:
    """Copy the course into a folder that does not hold it yet."""
    if (folder / FIRST).exists():
        raise ValueError(f"{folder} holds the course already; see `gradwidgets update --help`")
    bring(folder)
    print(f"The course is in {folder.resolve()}")
    print(f"Open {FIRST} there, or type: gradwidgets lab {folder}")
    return 0


def update(folder: Path) -> int:
    """Bring what is new into a copy of the course."""
    if not (folder / FIRST).exists():
        raise ValueError(f"{folder} holds no course; see `gradwidgets lessons --help`")
    brought = bring(folder)
    for line in _lines(brought):
        print(line)
    if brought == Brought():
        print("Nothing is new.")
    return 0


def handout(lecture: Path, output: Path | None, notes: bool) -> int:
    """Write the page of a lecture that is to be printed."""
    from gradwidgets.lessons import handout as page_of  # loads torch, which the rest does not need

    written = output or lecture.with_suffix(".html")
    written.write_text(page_of(lecture, notes), encoding="utf-8")
    print(f"Written: {written}. Print it from a browser.")
    return 0


def doctor() -> int:
    """Say what `findings` sees; 1 if there is something to do."""
    faults = 0
    for finding in findings():
        print(finding, flush=True)
        faults += bool(finding.advice)
    print("All is well." if not faults else "To do: what stands after the arrows.")
    return 1 if faults else 0


def _lines(brought: Brought) -> Iterator[str]:
    """Sentences on each file that has come or has stayed as it is."""
    for name in brought.new:
        yield f"new:      {name}"
    for name in brought.changed:
        yield f"replaced: {name}, as you had not changed it"
    for name, beside in brought.kept.items():
        yield f"kept:     {name} with your work; the newer one is {beside}"
    for name in brought.gone:
        yield f"kept:     {name}, which is no longer part of the course"


if __name__ == "__main__":
    sys.exit(main())
