"""The notebooks as files: their cells, and the solutions that are folded into their text."""

import contextlib
import io
import re
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import nbformat

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
EVERY = [*PATHS, *sorted(FOLDER.glob("lectures/*.ipynb")), *sorted(FOLDER.glob("homework/*.ipynb"))]
SOLUTION = re.compile(r"<summary>Solution</summary>.*?```python\n(.*?)```", re.DOTALL)
CHECK = re.compile(r"^print\((\w+\.)?check_.*", re.DOTALL | re.MULTILINE)


def read(path):
    return nbformat.read(path, as_version=4)


def is_code(cell):
    return cell.cell_type == "code"


def code_cells(path):
    return list(filter(is_code, read(path).cells))


def is_install(cell):
    """Folded away, and for Colab and Kaggle only."""
    return cell.id == "install"


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
    check = CHECK.search(cell.source)[0]
    return f"{solution}\n{check}"


def run(source, space):
    """What a cell prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), mpl.rc_context({"backend": "agg"}):
        exec(source, space)
    return said.getvalue()
