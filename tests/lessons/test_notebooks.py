"""Every notebook has references for what it puts out, hints for its exercises, and no dead link."""

import re
from itertools import pairwise

import pytest

from tests.lessons.notebooks import EVERY, PATHS, code_cells, is_exercise, read
from tests.lessons.references import outputs_of

LARGEST = 400_000
VARYING = {
    "an address": r"\b0x[0-9a-fA-F]{4,}",
    "a path": r"(?<![\w<./:])/(?:\w[\w.-]*/)+[\w.-]+|\b[A-Z]:\\\\",
    "a time": r"\b\d{1,2}:\d{2}(?::\d{2})?\b|\b\d+(?:\.\d+)? ?(?:ms|µs|us|s|sec|seconds|minutes)\b",
}
"""What differs between machines."""


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an address", "<function f at 0x7f3a12>"),
        ("a path", "File /home/me/lab.py, line 3"),
        ("a time", "finished in 0.43 s"),
        ("a time", "at 14:02:59"),
    ],
)
def test_the_patterns_find_what_they_should(what, text):
    assert re.search(VARYING[what], text)
    assert not re.search(VARYING[what], "loss 0.123, 200 updates, 12/34, </div></b>, mean +/- 2")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_size_and_metadata(path):
    assert path.stat().st_size <= LARGEST
    ids = [cell.id for cell in read(path).cells]
    assert len(set(ids)) == len(ids)
    assert "widgets" not in read(path).metadata


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs_and_its_references_have_all(path):
    """A learner who opens it sees no answer; nbval compares with the references."""
    cells = code_cells(path)
    assert not [cell.id for cell in cells if cell.outputs or cell.execution_count]
    assert set(outputs_of(path)) == {cell.id for cell in cells}


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_enough_cells_put_something_out_or_check_it(path):
    outputs = outputs_of(path)
    telling = [c for c in code_cells(path) if outputs[c.id] or "assert " in c.source]
    assert len(telling) >= len(outputs) / 3


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_outputs_are_the_same_on_every_machine(path):
    for name, outputs in outputs_of(path).items():
        for output in outputs:
            assert output.output_type != "error"
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            for what, pattern in VARYING.items():
                assert not re.search(pattern, text), f"{name}: {what} in {text!r}"


def test_every_exercise_has_two_hints_and_a_solution(path):
    cells = read(path).cells
    for cell, after in pairwise(cells):
        if is_exercise(cell):
            assert re.findall(r"<summary>(.*?)</summary>", after.source) == [
                "First hint",
                "Second hint",
                "Solution",
            ]
            assert outputs_of(path)[cell.id][0].text.startswith("Not yet:")


def test_links_lead_somewhere(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (path.parent / target).exists(), target
