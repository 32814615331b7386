"""`python -m tests.grading.crowd 120`: nbgrader grades a class; into BENCHMARKS.md.

Every hostile notebook of the tests is handed in once, among honest people. Fails unless all of them
get the points that they get alone.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, zip_longest
from pathlib import Path

from benchmarks import page
from tests.grading.hostile import DESERVED, HOSTILE
from tests.grading.right import COURSE
from tests.grading.students import EARNED, HANDED_IN
from tests.grading.styles import APART, IMPORTS, TOGETHER
from tests.grading.test_cycle import book, hand_in, run

HOMEWORK = "hw1"
HALVES = ("*[02468]", "*[13579]")
"""Students by their names: a terminal for each."""
FULL = 5.0
"""Points of `train_step`."""


def honest() -> dict[str, tuple[dict[str, object], float]]:
    """What honest people hand in, and their points."""
    people = {
        name: (filled, float(sum(EARNED[HOMEWORK][name])))
        for name, filled in HANDED_IN[HOMEWORK].items()
        if name in EARNED[HOMEWORK]
    }
    for name, (task, cell) in TOGETHER.items():
        if task == "train_step":
            people[name] = cells_of([cell]), FULL
    for name, cells in APART.items():
        people[name] = cells_of(cells), FULL
    return people


def hostile() -> dict[str, tuple[dict[str, object], float]]:
    """What hostile people hand in, and their points."""
    return {
        name: (cells_of(cells), sum(DESERVED.get(name, {}).values()))
        for name, cells in HOSTILE.items()
    }


def cells_of(cells: Sequence[str]) -> dict[str, object]:
    """A notebook with these cells, the last of them in the place of `train_step`."""
    *first, last = cells
    return {"cells before": [IMPORTS, *first], "train-step": last}


def crowd(count: int) -> dict[str, tuple[dict[str, object], float]]:
    """So many students in the order in which they are graded, honest and hostile by turns."""
    some = list(hostile().values())[:count]
    others = list(islice(cycle(honest().values()), count - len(some)))
    turns = (one for pair in zip_longest(others, some) for one in pair if one)
    return {f"s{number:03}": one for number, one in enumerate(turns, 1)}


def graded(course: Path, students: dict[str, tuple[dict[str, object], float]]) -> list[str]:
    """Hand in, grade, and compare with what everybody earns; returns what it took, as text."""
    shutil.copy(COURSE / "nbgrader_config.py", course)
    shutil.copytree(COURSE / "source" / HOMEWORK, course / "source" / HOMEWORK)
    run(course, "nbgrader", "generate_assignment", HOMEWORK)
    for student, (filled, _) in students.items():
        hand_in(course, HOMEWORK, student, filled)
    begun = time.monotonic()
    with ThreadPoolExecutor(len(HALVES)) as pool:
        words = [("nbgrader", "autograde", HOMEWORK, f"--student={half}") for half in HALVES]
        list(pool.map(lambda each: run(course, *each), words))
    took = time.monotonic() - begun
    with book(course) as marks:
        for student, (_, points) in students.items():
            grades = marks.find_submission_notebook(HOMEWORK, HOMEWORK, student).grades
            found = sum(grade.auto_score or 0.0 for grade in grades)
            assert found == points, f"{student}: {found} points, and alone {points}"
    return [
        f"`nbgrader autograde {HOMEWORK}` in two terminals, of {len(students)} notebooks, "
        f"{min(len(students), len(HOSTILE))} of them the hostile ones of the tests: "
        f"{took / 60:.1f} minutes, {took / len(students):.1f} s each. "
        "Everybody had the points that they have alone."
    ]


def main(count: str = "120") -> None:
    """Grade a class and write what it took."""
    with tempfile.TemporaryDirectory() as folder:
        lines = graded(Path(folder), crowd(int(count)))
    lines = [f"Written by `python -m tests.grading.crowd {count}`.", "", *lines]
    print(*lines, sep="\n")
    page.put("Grading a class", lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
