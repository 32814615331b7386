"""The whole way, for real: locked solutions, a Moodle download, nbgrader, Canvas's gradebook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="the extra `homework` is not installed")
from nbgrader.api import Gradebook

from gradwidgets_notebooks.__main__ import main
from tests.grading.right import solutions
from tests.homework.downloads import packed
from tests.homework.opened import ROOT, WORD
from tests.homework.test_marks import changed

FORGETS = """
def train_step(model, optimizer, loss, x, y):
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.item()
"""
TOLD = """
language = "de"

[points]
train_step = 10
"""
WORKSHEET = (
    'Identifier,"Full name","Email address",Status,Grade,"Maximum grade","Feedback comments"\r\n'
    '"Participant 1000001","Ada Lovelace",ada@uni.example,Submitted,,18.00,\r\n'
    '"Participant 1000002","Jörg Müller",jm@uni.example,Submitted,,18.00,\r\n'
    '"Participant 1000003","Eve O\'Neill",eve@uni.example,Submitted,,18.00,\r\n'
)
GRADEBOOK = (
    "Student,ID,SIS User ID,SIS Login ID,Section,HW1 (5501)\n"
    "    Points Possible,,,,,18.00\n"
    '"Lovelace, Ada",101,s101,ada,A,\n'
    '"Müller, Jörg",102,s102,jm,A,\n'
    '"O\'Neill, Eve",103,s103,eve,A,\n'
)


def nbgrader(*words: str) -> None:
    """A command in the present folder, with all settings of Jupyter there, too."""
    homes = {f"JUPYTER_{name}_DIR": os.path.abspath(f".{name}") for name in ("CONFIG", "DATA")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    env = {**os.environ, **homes, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-m", "nbgrader", *words]
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def handed_in(released: Path, cells: dict[str, str]) -> bytes:
    """The released notebook with some cells filled."""
    notebook = nbformat.read(released, as_version=4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = cells.get(name, cell.source)
    return str(nbformat.writes(notebook)).encode()


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A German course after the whole cycle, with other points; what the commands said is in it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("GRADWIDGETS_COURSE_WORD", WORD)
        patch.delenv("GRADWIDGETS_LANGUAGE", raising=False)
        assert main(["course", "unlock", "course", "--language", "de"]) == 0
        patch.chdir(home / "course")
        assert 'language = "de"' in Path("course.toml").read_text(encoding="utf-8")
        Path("course.toml").write_text(TOLD, encoding="utf-8")
        nbgrader("generate_assignment", "hw1")
        released = Path("release/hw1/hw1.ipynb")
        right = solutions(Path("source/hw1/hw1.ipynb"))
        archive = {
            "Ada Lovelace_1000001_assignsubmission_file/hw1.ipynb": handed_in(released, right),
            "Jörg Müller_1000002_assignsubmission_file/hw1.ipynb": handed_in(
                released, {"train-step": FORGETS, "loop-a": right["loop-a"]}
            ),
            "Eve ONeill_1000003_assignsubmission_file/hw1.ipynb": b"this is no notebook",
        }
        assert main(["collect", "hw1", str(packed(Path("hw1.zip"), archive))]) == 1  # Eve's
        nbgrader("autograde", "hw1")
        mark_by_hand()
        nbgrader("generate_feedback", "hw1")
        Path("canvas.csv").write_text(GRADEBOOK, encoding="utf-8")
        Path("moodle.csv").write_bytes(WORKSHEET.encode())
        assert main(["marks", "hw1", "--canvas", "canvas.csv"]) == 0
        assert main(["marks", "hw1", "--moodle", "moodle.csv", "--comments"]) == 0
        yield home / "course"


def mark_by_hand() -> None:
    """What an instructor does in formgrader, for the answer in words."""
    with Gradebook(f"sqlite:///{os.path.abspath('gradebook.db')}", "gradwidgets") as book:
        for submission in book.find_assignment("hw1").submissions:
            for notebook in submission.notebooks:
                for grade in notebook.grades:
                    if grade.name == "why":
                        grade.manual_score = 2 if submission.student.id == "ada-lovelace" else 0
                        grade.needs_manual_grade = False
        book.db.commit()


def test_canvas_gets_the_marks_of_a_moodle_download(course):
    after = (course / "canvas_marked.csv").read_bytes()
    assert changed(GRADEBOOK.encode(), after) == [
        (2, "HW1 (5501)", "18.00"),
        (3, "HW1 (5501)", "10.00"),
    ]


def test_moodle_gets_them_with_the_points_of_each_task(course):
    after = (course / "moodle_marked.csv").read_bytes()
    grades = [cell for cell in changed(WORKSHEET.encode(), after) if cell[1] == "Grade"]
    assert grades == [(1, "Grade", "18.00"), (2, "Grade", "10.00")]
    assert b"train-step 8/10, loop-a 2/2, loop-b 0/2" in after


def test_homework_and_feedback_are_german(course):
    text = (course / "release/hw1/hw1.ipynb").read_text(encoding="utf-8")
    for said in ("18 Punkte", "## 1. Ein Update (10 Punkte)", "...  # deine Zeilen"):
        assert said in text
    feedback = (course / "feedback/jörg-müller/hw1/hw1.html").read_text(encoding="utf-8")
    for said in (
        "train_step: 8 von 10 Punkten",
        "noch nicht nichts gerät in einen Schritt hinein (0 von 2)",
        "In dem Schritt steckt etwas, das vor dem Aufruf in `.grad` stand.",
    ):
        assert said in feedback
