"""The notebooks as files: their cells, and the solutions that are folded into their text."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
SOLUTION = re.compile(r"<summary>Solution</summary>.*?```python\n(.*?)```", re.DOTALL)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def is_exercise(cell):
    return "exercise" in cell.metadata.get("tags", [])


def solutions(path):
    """The solution of each exercise by the id of its cell; it stands in the cell after it."""
    found = {}
    cells = read(path).cells
    for cell, after in pairwise(cells):
        if is_exercise(cell):
            found[cell.id] = SOLUTION.search(after.source)[1]
    return found


def solve(cell, solution):
    """The exercise's cell with what stands before its check replaced by `solution`."""
    check = cell.source[cell.source.rindex("print(check_") :]
    return f"{solution}\n{check}"
