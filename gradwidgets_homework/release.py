"""Notebooks of homework as they are to be released: in the course's language, with its points."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gradwidgets_homework.settings import Settings

Cell = Any
"""A cell of a notebook, as nbformat has it or as a dict of JSON."""


def translated(cells: Iterable[Cell], gettext: Callable[[str], str]) -> None:
    """Put the texts of a homework into another language; answers and code stay as they are.

    >>> cells = [{"cell_type": "markdown", "metadata": {}, "source": "Read this."}]
    >>> translated(cells, str.upper)
    >>> cells[0]["source"]
    'READ THIS.'
    """
    for cell in cells:
        if is_text(cell):
            cell["source"] = gettext(cell["source"])


def is_text(cell: Cell) -> bool:
    """True for a text that students read, and no answer."""
    return cell["cell_type"] == "markdown" and not _nbgrader(cell).get("solution")


def with_points(cells: Sequence[Cell], settings: Settings) -> None:
    r"""Give each graded cell the points of `course.toml`, and write them into the texts.

    The headline of a section says how many points its tasks have together, or each of them; the
    first text says how many all have.

    Raises:
        ValueError: a headline says "each", and its tasks are to have different points.

    >>> test = {"grade": True, "grade_id": "test-train-step", "points": 5}
    >>> cells = [{"cell_type": "markdown", "metadata": {}, "source": "# One\n\n5 points."},
    ...     {"cell_type": "markdown", "metadata": {}, "source": "## 1. One update (5 points)"},
    ...     {"cell_type": "code", "metadata": {"nbgrader": test}, "source": ""}]
    >>> with_points(cells, Settings(points={"train_step": 8}))
    >>> [cell["source"] for cell in cells[:2]], test["points"]
    (['# One\n\n8 points.', '## 1. One update (8 points)'], 8)
    """
    old = {task(cell): float(_nbgrader(cell)["points"]) for cell in cells if is_graded(cell)}
    new = {name: settings.points_of(name, points) for name, points in old.items()}
    if old == new:
        return
    for headline, names in _sections(cells):
        headline["source"] = _in_headline(headline["source"], names, old, new)
    _replace_first(cells[0], sum(old.values()), sum(new.values()))
    for cell in cells:
        if is_graded(cell):
            points = new[task(cell)]
            _nbgrader(cell)["points"] = int(points) if points.is_integer() else points


def is_graded(cell: Cell) -> bool:
    """True for a cell that points are given for."""
    return bool(_nbgrader(cell).get("grade"))


def task(cell: Cell) -> str:
    """The name of a graded cell's task: `test-train-step` tests `train_step`."""
    return str(_nbgrader(cell)["grade_id"]).removeprefix("test-").replace("-", "_")


def _nbgrader(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = cell["metadata"].get("nbgrader", {})
    return found


def _sections(cells: Sequence[Cell]) -> list[tuple[Cell, list[str]]]:
    """Each cell that begins with a headline of a section, and the tasks below it."""
    found: list[tuple[Cell, list[str]]] = []
    for cell in cells:
        if cell["cell_type"] == "markdown" and cell["source"].startswith("## "):
            found.append((cell, []))
        elif is_graded(cell) and found:
            found[-1][1].append(task(cell))
    return found


def _in_headline(
    text: str, names: Sequence[str], old: Mapping[str, float], new: Mapping[str, float]
) -> str:
    """The text with the new number in the brackets at the end of its first line."""
    headline, newline, rest = text.partition("\n")
    before, bracket, inside = headline.rpartition("(")
    together = sum(old[name] for name in names), sum(new[name] for name in names)
    each = {old[name] for name in names}, {new[name] for name in names}
    if len(names) > 1 and re.search(rf"\b{together[0]:g}\b", inside) is None:
        if len(each[1]) > 1:
            raise ValueError(f"{headline!r}: give {', '.join(names)} the same points each")
        together = each[0].pop(), each[1].pop()
    inside = re.sub(rf"\b{together[0]:g}\b", f"{together[1]:g}", inside, count=1)
    return before + bracket + inside + newline + rest


def _replace_first(cell: Cell, old: float, new: float) -> None:
    cell["source"] = re.sub(rf"(?<![\d.]){old:g}(?![\d.]\d)\b", f"{new:g}", cell["source"], count=1)
