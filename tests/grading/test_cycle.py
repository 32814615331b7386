"""nbgrader's whole cycle, for real, in a copy of the course: from the sources to the marks."""

import copy
import csv
import html
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from gradwidgets import grading
from tests.grading.right import COURSE, SOURCES, graded, is_solution, is_test, read, solutions
from tests.grading.students import ALL, EARNED, HANDED_IN
from tests.homework.opened import ROOT

pytest.importorskip("nbgrader", reason="the extra `homework` is not installed")
from nbgrader.api import Gradebook


def run(course, *command, fails=False):
    """A command in the course's folder, with every setting and file of Jupyter in there too."""
    homes = {
        name: str(course / ".homes" / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, **homes, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment["PATH"] = path  # nbgrader calls alembic by its name
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=course,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert bool(done.returncode) == fails, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def released(course, homework):
    return course / "release" / homework / f"{homework}.ipynb"


def hand_in(course, homework, student, filled):
    """Fill a copy of the released notebook; None takes a cell out."""
    right = solutions(COURSE / "source" / homework / f"{homework}.ipynb")
    notebook = read(released(course, homework))
    filled = right if filled is ALL else filled
    for cell in list(notebook.cells):
        name = graded(cell).get("grade_id")
        if name not in filled:
            continue
        if filled[name] is None:
            notebook.cells.remove(cell)
        else:
            cell.source = right[name] if filled[name] is ALL else filled[name]
            cell.metadata.nbgrader["points"] = 100  # nobody should believe this
    folder = course / "submitted" / student / homework
    folder.mkdir(parents=True)
    for change, value in filled.items():
        if change in SPOILT:
            SPOILT[change](notebook, value)
        if change.endswith(".py"):
            source = "import torch\n" + right["train-step"] if value is ALL else value
            (folder / change).write_text(source, encoding="utf-8")
    file = folder / f"{homework}.ipynb"
    if "link" in filled:
        file.symlink_to(filled["link"])
    else:
        nbformat.write(notebook, file)


def copy_cell(notebook, name):
    """Copy a cell with its metadata, as an editor does; the copy stands first, and is empty."""
    (place,) = [n for n, cell in enumerate(notebook.cells) if graded(cell).get("grade_id") == name]
    copied = nbformat.from_dict({**copy.deepcopy(notebook.cells[place]), "source": "", "id": "new"})
    notebook.cells.insert(place, copied)


def spoil_widgets(notebook, _):
    """Leave metadata of widgets as some editors do."""
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}


def spoil_metadata(notebook, _):
    """Write into the metadata what nbgrader does not expect."""
    notebook.cells[0].metadata["nbgrader"] = {}
    notebook.cells[2].metadata["nbgrader"] = {"grade_id": ["train-step"], "grade": True}
    notebook.cells.append(nbformat.v4.new_code_cell("1", metadata={"nbgrader": {"grade": True}}))


def cells_before(notebook, sources):
    """Cells of the student's own, before the first that is asked for."""
    (place,) = [
        n for n, c in enumerate(notebook.cells) if graded(c).get("grade_id") == "train-step"
    ]
    notebook.cells[place:place] = [nbformat.v4.new_code_cell(source) for source in sources]


def spoil_tags(notebook, _):
    """Write into the metadata what a page would execute."""
    script = '"><script>alert(1)</script>'
    told = {"grade_id": script, "solution": True, "grade": False, "locked": False, "task": False}
    own = nbformat.v4.new_code_cell("1", metadata={"nbgrader": {**told, "schema_version": 3}})
    notebook.cells.append(own)
    for cell in notebook.cells:
        cell.metadata["tags"] = [script]
    notebook.metadata.update(title=script, language_info={"name": script})


SPOILT = {
    "cells before": cells_before,
    "copied cell": copy_cell,
    "widgets without state": spoil_widgets,
    "odd metadata": spoil_metadata,
    "odd tags": spoil_tags,
}
"""Changes of a notebook by their names."""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The course after the whole cycle."""
    course = tmp_path_factory.mktemp("course")
    shutil.copy(COURSE / "nbgrader_config.py", course)
    shutil.copytree(COURSE / "source", course / "source")
    for homework, students in HANDED_IN.items():
        run(course, "nbgrader", "generate_assignment", homework)
        for student, filled in students.items():
            hand_in(course, homework, student, filled)
        linked = "linked" in students  # one student fails, and nobody else
        said = run(course, "nbgrader", "autograde", homework, fails=linked)
        assert ("hw1.ipynb is a link and is removed" in said) == linked
        run(course, "nbgrader", "generate_feedback", homework)
    mark_by_hand(course)
    run(course, "nbgrader", "export", "--to", "marks.csv")
    return course


def book(course):
    return Gradebook(f"sqlite:///{course / 'gradebook.db'}", "gradwidgets")


def mark_by_hand(course):
    """What an instructor does in formgrader: two points for an answer in the student's words."""
    with book(course) as marks:
        for grade in marks.find_submission_notebook("hw1", "hw1", "perfect").grades:
            if grade.name == "why":
                grade.manual_score, grade.needs_manual_grade = 2, False
        marks.db.commit()


PAIRS = [(homework, student) for homework in EARNED for student in EARNED[homework]]


@pytest.mark.parametrize(("homework", "student"), PAIRS)
def test_everybody_gets_what_they_earned(course, homework, student):
    with book(course) as marks:
        grades = marks.find_submission_notebook(homework, homework, student).grades
        earned = {grade.name: grade.auto_score for grade in grades}
        waiting = {grade.name for grade in grades if grade.needs_manual_grade}
    source = read(COURSE / "source" / homework / f"{homework}.ipynb")
    tests = [graded(cell)["grade_id"] for cell in source.cells if is_test(cell)]
    assert [earned[name] for name in tests] == EARNED[homework][student]
    assert waiting <= {"why"}


@pytest.mark.parametrize(("homework", "student"), PAIRS)
def test_everybody_gets_feedback_that_gives_no_solution_away(course, homework, student):
    page = course / "feedback" / student / homework / f"{homework}.html"
    text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
    assert page.stat().st_size < 1_500_000
    assert "points" in text
    for sentence in SAID.get(student, ()) if homework == "hw1" else ():
        assert sentence in " ".join(text.split())
    filled = HANDED_IN[homework][student]
    if filled is not ALL and ALL not in filled.values():
        assert "zero_grad()\n    value = loss" not in text


class Executed(HTMLParser):
    """What a page would execute of a student's: see `students.PAGES`."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.found.append((tag, name, value))

    def handle_data(self, data):
        if self.cdata_elem == "script" and "alert(1)" in data:
            self.found.append(data)


def test_a_page_executes_nothing_of_a_student_s(course):
    page = (course / "feedback/pages/hw1/hw1.html").read_text(encoding="utf-8")
    assert "one" in page
    assert "\\href" not in page
    assert Executed(page).found == []
    assert Executed("<a href=javascript:x onload=y><script>alert(1)</script>").found


SAID = {
    "half": (
        "The step holds something that stood in `.grad` before the call. Parameter 1 (`0.weight`),",
        "After four batches the parameters",
    ),
    "floods": ("(cut after 10000 characters)",),
    "endless": ("It did not end within",),
    "bare-except": ("It did not end within",),
    "exits": ("It ended the Python process.",),
    "no-helpers": ("nor a file helpers.py that was handed in",),
}
"""Sentences that a student reads."""


def test_the_list_of_marks(course):
    with open(course / "marks.csv", encoding="utf-8", newline="") as file:
        rows = {(row["assignment"], row["student_id"]): row for row in csv.DictReader(file)}
    totals = {pair: float(rows[pair]["score"]) for pair in PAIRS}
    for homework, most in (("hw1", 13), ("hw2", 14), ("hw3", 12), ("hw4", 17)):
        assert totals[homework, "perfect"] == most == float(rows[homework, "perfect"]["max_score"])
    for homework, student in PAIRS:
        if student != "perfect":
            assert totals[homework, student] == sum(EARNED[homework][student])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_what_is_released_holds_no_solution_and_no_hidden_test(course, source):
    notebook = read(released(course, source.stem))
    text = "\n".join(cell.source for cell in notebook.cells)
    for word in ("SOLUTION", "HIDDEN", "gradwidgets.grading", "from gradwidgets import"):
        assert word not in text
    for cell in notebook.cells:
        assert not cell.get("outputs")
        if is_solution(cell):
            assert cell.source.splitlines()[-1].strip() in ("...  # your lines", "Your answer.")
    given = text.splitlines()
    for name, solution in solutions(source).items():
        body = [line for line in solution.splitlines()[1:] if len(line) > 40]
        assert not set(body) & set(given), name


def test_what_is_released_runs(course):
    options = ("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=60")
    said = run(course, "pytest", *options, "-p", "no:cacheprovider", "release")
    cells = [c for path in SOURCES for c in read(path).cells if c.cell_type == "code"]
    assert f"{len(cells)} passed" in said


def test_every_test_is_worth_what_its_checks_are():
    for path in SOURCES:
        for cell in filter(is_test, read(path).cells):
            (name,) = re.findall(r'grading\.grade\("(\w+)", globals\(\)\)', cell.source)
            assert graded(cell)["points"] == grading.TASKS[name].points
            assert graded(cell)["grade_id"] == grading.TASKS[name].cell
