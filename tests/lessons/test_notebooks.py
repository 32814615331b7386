"""Every notebook is executed, explains itself in text, and its solutions pass its checks."""

import contextlib
import io
import re
from itertools import pairwise

import matplotlib as mpl
import pytest

from tests.lessons.notebooks import PATHS, code_cells, is_exercise, read, solutions, solve
from tests.lessons.wrong_solutions import wrong_solutions

LARGEST = 400_000
FORBIDDEN = {
    "an address": r"0x[0-9a-f]{6,}",
    "a path": r"(?:/(?:home|root|tmp|usr|work|Users)/|[A-Z]:\\\\)",
    "a time": r"\d+(?:\.\d+)? ?(?:s|ms|µs|seconds)\b|\b\d{1,2}:\d{2}:\d{2}\b",
}


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_size_and_metadata(path):
    assert path.stat().st_size <= LARGEST
    ids = [cell.id for cell in read(path).cells]
    assert len(set(ids)) == len(ids)
    assert "widgets" not in read(path).metadata


def test_every_cell_was_executed_in_order(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


def test_enough_cells_say_or_check_something(path):
    cells = code_cells(path)
    telling = [cell for cell in cells if re.search(r"^\s*(print\(|assert )", cell.source, re.M)]
    assert len(telling) >= len(cells) / 3


def test_outputs_are_the_same_on_every_machine(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error"
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            for what, pattern in FORBIDDEN.items():
                assert not re.search(pattern, text), f"{cell.id}: {what} in {text!r}"


def test_every_exercise_has_two_hints_and_a_solution(path):
    cells = read(path).cells
    for cell, after in pairwise(cells):
        if is_exercise(cell):
            assert re.findall(r"<summary>(.*?)</summary>", after.source) == [
                "First hint",
                "Second hint",
                "Solution",
            ]
            assert cell.outputs[0].text.startswith("Not yet:")


def test_links_lead_somewhere(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (path.parent / target).exists(), target


def run(source, space):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), mpl.rc_context({"backend": "agg"}):
        exec(source, space)
    return said.getvalue()


@pytest.mark.single_precision("lessons print figures of single precision")
def test_solutions_pass_and_wrong_ones_do_not(path):
    space, right = {"__name__": "__main__"}, solutions(path)
    wrong_ones = wrong_solutions(path)
    assert set(wrong_ones) == set(right)
    for cell in code_cells(path):
        run(cell.source, space)
        if cell.id not in right:
            continue
        for wrong in wrong_ones[cell.id]:
            said = run(solve(cell, wrong), space)
            assert said.startswith("Not yet:"), f"{cell.id} takes {wrong!r}: {said}"
            if cell.id == "ex-lab":
                space["digits"].reset()
        assert run(solve(cell, right[cell.id]), space).startswith("Right"), cell.id
