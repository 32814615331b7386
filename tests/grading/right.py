"""The solutions that the locked sources of the homework hold, by the ids of their cells."""

import re

import nbformat

from tests.homework.opened import opened

COURSE = opened()
SOURCES = sorted(COURSE.glob("source/*/*.ipynb"))
MARKERS = re.compile(r"^ *### (?:BEGIN|END) SOLUTION\n?", re.MULTILINE)


def read(path):
    return nbformat.read(path, as_version=4)


def graded(cell):
    return cell.metadata.get("nbgrader", {})


def is_solution(cell):
    return bool(graded(cell).get("solution"))


def is_test(cell):
    return bool(graded(cell).get("grade")) and not is_solution(cell)


def solutions(path):
    """The whole cell of each solution, without nbgrader's marks."""
    cells = filter(is_solution, read(path).cells)
    return {graded(cell)["grade_id"]: MARKERS.sub("", cell.source) for cell in cells}


def right_sources():
    """Every function that is asked for, as the sources solve it."""
    cells = [cell for path in SOURCES for cell in solutions(path).items()]
    return [source for name, source in cells if name != "why"]


def right_functions():
    """The same as functions, by their names."""
    space = {}
    exec("\n".join(["import torch\nfrom torch import nn", *right_sources()]), space)
    return space
