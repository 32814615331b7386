"""nbgrader's pages for instructors, for real: a server that was started beside the course."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import nbformat
import psutil
import pytest

pytest.importorskip("nbgrader", reason="the extra `homework` is not installed")

from front_ends.ports import free_port
from tests.grading.right import solutions
from tests.homework.opened import HOMEWORK, ROOT, write
from tests.homework.test_cycle import FORGETS, TOLD

TOKEN = "of this test"


class Formgrader:
    """A Jupyter server with the pages of a course in it, and what one asks them for."""

    def __init__(self, home: Path) -> None:
        self.course = home / "course"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/formgrader"
        homes = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        told = {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        options = (f"--port={port}", f"--IdentityProvider.token={TOKEN}", "--allow-root")
        with (home / "said").open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server", "--no-browser", *options],
                cwd=home,
                env={**os.environ, **homes, **told},
                stdout=said,
                stderr=said,
            )

    def ask(self, path: str, method: str = "GET", told: object = None) -> str:
        """What the server answers."""
        data = json.dumps(told).encode() if method != "GET" else None
        head = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        request = Request(self.url + path, data, head, method=method)
        with urlopen(request, timeout=120) as answer:
            return str(answer.read().decode())

    def visit(self) -> None:
        """Open the page of this course, as the menu's *Formgrader (local)* does."""
        for _ in range(240):
            assert self.process.poll() is None
            try:
                self.ask(f"?path={self.course}")
                return
            except HTTPError:
                raise
            except URLError:  # it does not listen yet
                time.sleep(0.5)
        pytest.fail("the server does not answer")

    def do(self, path: str) -> None:
        """Press one of the buttons."""
        done = json.loads(self.ask(f"/api{path}", "POST"))
        assert done["success"], done

    def submission(self, student: str) -> str:
        """The number of a student's submission."""
        found = json.loads(self.ask("/api/submitted_notebooks/hw1/hw1"))
        return next(str(each["id"]) for each in found if each["student"] == student)

    def grade(self, student: str, cell: str) -> dict[str, object]:
        """What the gradebook has for a cell."""
        found = json.loads(self.ask(f"/api/grades?submission_id={self.submission(student)}"))
        return next(each for each in found if each["name"] == cell)

    def workers(self) -> int:
        """How many processes the server has started that still run."""
        return len(psutil.Process(self.process.pid).children())


def hand_in(course: Path, student: str, cells: dict[str, str | None]) -> None:
    """The released notebook with some cells filled, others taken out."""
    notebook = nbformat.read(course / "release/hw1/hw1.ipynb", as_version=4)
    for cell in list(notebook.cells):
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        source = cells.get(name, cell.source)
        if source is None:
            notebook.cells.remove(cell)
        else:
            cell.source = source
    folder = course / "submitted" / student / "hw1"
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / "hw1.ipynb")


@pytest.fixture(scope="module")
def formgrader(tmp_path_factory):
    """A German course, released and graded by the buttons of the pages."""
    home = tmp_path_factory.mktemp("home")
    (home / "course").mkdir()
    course = write(home / "course")
    (course / "course.toml").write_text(TOLD, encoding="utf-8")
    pages = Formgrader(home)
    try:
        pages.visit()
        pages.do("/assignment/hw1/assign")
        right: dict[str, str | None] = dict(solutions(course / "source/hw1/hw1.ipynb"))
        hand_in(course, "ada", right | {"train-step": FORGETS})
        hand_in(course, "ben", right | {"train-step": None})
        pages.do("/submission/hw1/ada/autograde")
        pages.do("/submission/hw1/ben/autograde")
        yield pages
    finally:
        pages.process.terminate()
        pages.process.wait(30)


def sources(path: Path) -> list[tuple[str, str]]:
    """The name that nbgrader has for each cell, and its source."""
    cells = nbformat.read(path, as_version=4).cells
    return [(cell.metadata.get("nbgrader", {}).get("grade_id", ""), cell.source) for cell in cells]


def test_what_is_released_is_german_in_every_cell(formgrader):
    released = dict(sources(formgrader.course / "release/hw1/hw1.ipynb"))
    assert released["train-step"].endswith("...  # deine Zeilen")
    assert released["why"] == "Deine Antwort."


def test_a_deleted_cell_is_put_back_where_it_was(formgrader):
    places = {
        folder: [name for name, _ in sources(formgrader.course / folder / "hw1/hw1.ipynb")]
        for folder in ("source", "autograded/ben")
    }
    assert places["autograded/ben"] == places["source"]


def test_the_page_shows_points_and_words_in_lines_that_fit(formgrader):
    page = formgrader.ask(f"/submissions/{formgrader.submission('ada')}/")
    shown = [html.unescape(each) for each in re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)]
    (said,) = [each for each in shown if each.startswith("train_step: 8 von 10 Punkten")]
    sentence = "In dem Schritt steckt etwas, das vor dem Aufruf in `.grad` stand. Parameter 1 "
    assert sentence in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 100
    assert formgrader.grade("ada", "test-train-step")["auto_score"] == 8
    assert formgrader.grade("ben", "test-train-step")["auto_score"] == 0


def test_a_mark_set_by_hand_stays_and_waits_for_a_second_look(formgrader):
    before = formgrader.grade("ada", "test-train-step")
    formgrader.ask(f"/api/grade/{before['id']}", "PUT", {"manual_score": 9.5})
    formgrader.do("/submission/hw1/ada/autograde")
    after = formgrader.grade("ada", "test-train-step")
    told = ("auto_score", "manual_score", "needs_manual_grade")
    assert [after[name] for name in told] == [8, 9.5, True]
    formgrader.do("/assignment/hw1/generate_feedback")
    feedback = formgrader.course / "feedback/ada/hw1/hw1.html"
    assert "Score: 9.5 / 10.0" in feedback.read_text(encoding="utf-8")


def test_no_process_more_is_left_behind_by_each_visit(formgrader):
    found = []
    for _ in range(3):
        formgrader.visit()
        formgrader.do("/submission/hw1/ben/autograde")
        found.append(formgrader.workers())
    assert max(found) <= 1


LOADS = """
import os, sys
from nbgrader.apps.baseapp import NbGrader
for course in sys.argv[1:]:
    NbGrader().initialize([], root=course)
    print(os.environ["GRADWIDGETS_SECRET"])
"""


def test_each_course_has_its_own_word_in_one_process(tmp_path):
    config = (HOMEWORK / "nbgrader_config.py").read_text(encoding="utf-8")
    courses = [tmp_path / "autumn", tmp_path / "spring", tmp_path / "autumn"]
    for course in courses:
        course.mkdir(exist_ok=True)
        told = config.replace("a word of your own, new every term", course.name)
        (course / "nbgrader_config.py").write_text(told, encoding="utf-8")
    run = [sys.executable, "-c", LOADS, *map(str, courses)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["autumn", "spring", "autumn"]
