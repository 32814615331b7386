"""nbgrader's whole cycle, for real, in a copy of the course: from the sources to the marks."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from gradwidgets import grading
from tests.grading.right import COURSE, SOURCES, graded, is_solution, is_test, read, solutions
from tests.grading.students import ALL, EARNED, HANDED_IN

pytest.importorskip("nbgrader", reason="the extra `homework` is not installed")
from nbgrader.api import Gradebook

ROOT = COURSE.parents[1]
TIME_OUT = 30  # seconds that one cell may take


def run(course, *command):
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
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
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
    nbformat.write(notebook, folder / f"{homework}.ipynb")
    for name in filled:
        if name.endswith(".py"):
            (folder / name).write_text(filled[name], encoding="utf-8")


def use_the_old_name(source):
    """Turn the source of a homework into one that was handed out before the checks moved."""
    text = source.read_text(encoding="utf-8")
    old = text.replace("gradwidgets.grading.fresh", "gradwidgets.lessons.grading.fresh")
    assert old != text
    source.write_text(old, encoding="utf-8")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The course after the whole cycle."""
    course = tmp_path_factory.mktemp("course")
    shutil.copy(COURSE / "nbgrader_config.py", course)
    shutil.copytree(COURSE / "source", course / "source")
    use_the_old_name(course / "source" / "hw3" / "hw3.ipynb")
    for homework, students in HANDED_IN.items():
        run(course, "nbgrader", "generate_assignment", homework)
        for student, filled in students.items():
            hand_in(course, homework, student, filled)
        run(course, "nbgrader", "autograde", homework, f"--Execute.timeout={TIME_OUT}")
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
    text = re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))
    assert "points" in text
    if (homework, student) == ("hw1", "half"):
        assert "The step holds something that stood in `.grad` before the call." in text
        assert "After four batches the parameters" in text
    if student == "patched-step":
        assert "torch.optim.sgd.SGD.step has been replaced" in text
    filled = HANDED_IN[homework][student]
    if filled is not ALL and ALL not in filled.values():
        assert "zero_grad()\n    value = loss" not in text


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
    for word in ("SOLUTION", "HIDDEN", "runpy", "gradwidgets.grading", "gradwidgets.lessons"):
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
            (name,) = re.findall(r'\["grade"\]\("(\w+)", globals\(\)\)', cell.source)
            assert graded(cell)["points"] == grading.TASKS[name].points
            assert graded(cell)["grade_id"] == f"test-{name.replace('_', '-')}"
