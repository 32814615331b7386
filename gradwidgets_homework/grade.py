"""Judge notebooks: say what was seen, and write a table of the marks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from gradwidgets_homework.marks import MARKS_COLUMNS

if TYPE_CHECKING:
    from gradwidgets.grading import Report

COLUMNS = (*MARKS_COLUMNS, "remarks", "file")
"""The columns of the table; `gradwidgets marks --from` reads the first ones."""


def grade(
    files: Sequence[Path], table: Path | None, jobs: int, student: str | None
) -> Iterator[tuple[bool, str]]:
    """Judge files, several at a time.

    Args:
        files: the notebooks.
        table: where the marks are to be written, a row for each function; None writes none.
        jobs: how many files at a time.
        student: whose numbers; None takes the names from the files.

    Yields:
        For each file in turn, whether it could be judged, and what is to be said.
    """
    from gradwidgets.grading import grade_notebook, isolation

    yield True, f"Student code runs in {isolation()}."

    def judged(path: Path) -> Report | str:
        try:
            return grade_notebook(path, student)
        except (OSError, ValueError) as problem:
            return str(problem)

    opened = table.open("w", newline="", encoding="utf-8") if table else nullcontext()
    with opened as file, ThreadPoolExecutor(jobs) as pool:
        writer = csv.writer(file) if file else None
        if writer:
            writer.writerow(COLUMNS)
        for path, report in zip(files, pool.map(judged, files), strict=True):
            if writer and not isinstance(report, str):
                writer.writerows(_rows(path, report))
            yield not isinstance(report, str), f"\n{path}\n{report}"


def _rows(path: Path, report: Report) -> Iterator[Sequence[object]]:
    who, remarks = report.submission.student, " ".join(report.remarks)
    for result in report:
        task = result.task
        yield who, task.homework, task.name, result.points, result.of, remarks, path
