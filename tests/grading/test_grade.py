"""Judging without nbgrader: the command, the page's own pytest example, plain processes."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from gradwidgets import grading
from gradwidgets.grading import sandbox
from gradwidgets_homework.marks import from_table
from gradwidgets_homework.table import Table
from gradwidgets_notebooks.__main__ import main
from tests.grading.hostile import HOSTILE
from tests.grading.kernel import QUICK, points_of
from tests.grading.right import COURSE, graded, is_solution, read, solutions
from tests.grading.styles import IMPORTS, STEP
from tests.homework.opened import ROOT


def hand_in(folder, student, **changed):
    """hw1 as the source solves it, but for these cells."""
    source = COURSE / "source" / "hw1" / "hw1.ipynb"
    notebook, right = read(source), solutions(source)
    for cell in filter(is_solution, notebook.cells):
        name = graded(cell)["grade_id"]
        cell.source = changed.get(name.replace("-", "_"), right[name])
    file = folder / student / "hw1" / "hw1.ipynb"
    file.parent.mkdir(parents=True)
    nbformat.write(notebook, file)
    return file


def test_the_command_judges_each_file_and_writes_a_table(tmp_path, capsys):
    files = [
        hand_in(tmp_path, "ada"),
        hand_in(tmp_path, "bob", loop_a="def loop_a(*_): ..."),
        tmp_path / "eve.ipynb",
        tmp_path / "text.ipynb",
    ]
    files[2].symlink_to(files[0])
    files[3].write_text("no notebook", encoding="utf-8")
    table = tmp_path / "marks.csv"
    words = ["grade", *map(str, files), "--csv", str(table), "--jobs", "2"]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert f"Student code runs in {grading.isolation()}." in said
    assert "ada: 11 of 11 points" in said
    assert "bob: 9 of 11 points" in said
    assert "After four batches the parameters stand where they stood." in said
    assert "eve.ipynb is a link; hand in the file itself" in said
    assert "text.ipynb is no notebook" in said
    marks = from_table(Table("marks.csv", table.read_bytes()), "hw1")
    assert {name: mark.points for name, mark in marks.items()} == {"ada": 11, "bob": 9}


def test_the_example_for_pytest_on_the_instructors_page(tmp_path):
    text = (COURSE / "INSTRUCTORS.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import pytest.*?)```", text, re.DOTALL)
    folder = hand_in(tmp_path, "ada", loop_a="def loop_a(*_): ...").parent
    (folder / "test_hw1.py").write_text(example, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hw1.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 3 passed" in done.stdout
    assert "loop_a: 0 of 2 points" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"cells": 3}',
        '{"cells": [3]}',
        '{"cells": [{"cell_type": "code", "metadata": 3}]}',
        '{"cells": ' + "[" * 100_000,
        '{"cells": [{"cell_type": "code", "source": 5}]}',
        '{"cells": [{"cell_type": "code", "source": null}]}',
        '{"cells": [{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": []}}}]}',
        "\ud800",
    ],
)
def test_what_is_no_notebook_is_refused(tmp_path, text):
    file = tmp_path / "hw1.ipynb"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"is no notebook|asks for no function"):
        grading.grade_notebook(file)


def test_the_name_of_a_cell_is_printed_without_what_a_terminal_obeys(tmp_path):
    file = tmp_path / "hw2.ipynb"
    told = {"grade_id": "\x1b]0;x\ud800", "solution": True}
    cell = {"cell_type": "code", "metadata": {"nbgrader": told}, "source": "scale = None"}
    file.write_text(json.dumps({"cells": [cell, cell]}), encoding="utf-8")
    said = str(grading.grade_notebook(file))
    assert "The cell  ]0;x  is there more than once" in said
    said.encode("utf-8")


@pytest.mark.parametrize("name", ["hw1.py", "hw1.ipynb"])
def test_a_mark_of_the_byte_order_costs_nothing(tmp_path, name):
    cell = {"cell_type": "code", "metadata": {}, "source": IMPORTS + STEP}
    text = IMPORTS + STEP if name.endswith(".py") else json.dumps({"cells": [cell]})
    (tmp_path / name).write_bytes(text.encode("utf-8-sig"))
    assert next(iter(grading.grade_notebook(tmp_path / name))).points == 5


def test_files_beside_are_taken_if_it_is_clear_whose_they_are(tmp_path):
    notebook = tmp_path / "ada" / "hw1.ipynb"
    notebook.parent.mkdir()
    secret = tmp_path / "gradebook.db"
    for file in (notebook, secret, notebook.with_name("helpers.py")):
        file.write_text("x", encoding="utf-8")
    notebook.with_name("link.py").symlink_to(secret)
    notebook.with_name("folder").symlink_to(tmp_path)
    assert grading.files_beside(notebook) == {"helpers.py": b"x"}
    notebook.with_name("bob.ipynb").touch()
    assert grading.files_beside(notebook) == {}


@pytest.fixture
def plain(monkeypatch):
    """No bubblewrap, as on other systems."""
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: None)
    monkeypatch.setenv("GRADWIDGETS_SECRET", "the word")
    assert grading.isolation() == "a plain process with limits"


@pytest.mark.usefixtures("plain")
def test_a_plain_process_judges_as_the_sandbox_does():
    look = "import os\nprint(os.listdir(), 'word' in str(os.environ), os.getcwd())"
    points, report = points_of([IMPORTS, look, STEP], ["train_step"])
    assert points == {"train_step": 5.0}
    listed, secret, folder = report.runs[1].output.split()
    assert (listed, secret) == ("[]", "False")
    assert not Path(folder).exists()


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    "name", ["leaves by os._exit", "signals that never come", "fifty megabytes of text"]
)
def test_a_plain_process_pays_nothing_to_hostile_people_either(name):
    points, _ = points_of([IMPORTS, *HOSTILE[name]], ["train_step", "loop_a"], limits=QUICK)
    assert points == {"train_step": 0.0, "loop_a": 0.0}


@pytest.mark.usefixtures("plain")
@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="Linux shows its processes")
def test_a_plain_process_ends_with_all_that_it_has_started():
    program = "import os, time; os.setsid(); time.sleep(600)"
    start = f"import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', {program!r}])\n"
    _, report = points_of([start + "import time; time.sleep(2); print(p.pid)"], ["loop_a"])
    process = int(report.runs[0].output)
    for _ in range(100):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{process}/stat").read_text(encoding="utf-8").split()[2] == "Z":
                return  # it has ended, and nobody has asked for its exit code
            time.sleep(0.1)
            continue
        return
    pytest.fail(f"process {process} goes on")


def graded_id(cell):
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def test_a_notebook_has_its_remarks(tmp_path):
    file = hand_in(tmp_path, "ada", loop_a="1 / 0")
    notebook = json.loads(file.read_text(encoding="utf-8"))
    notebook["cells"] += [c for c in notebook["cells"] if graded_id(c) == "train-step"]
    file.write_text(json.dumps(notebook), encoding="utf-8")
    report = grading.grade_notebook(file)
    assert [result.points for result in report] == [5.0, 0.0, 2.0, 2.0]
    assert report.remarks[0] == "The cell train-step is there more than once; the last one counts."
    assert "stopped: ZeroDivisionError: division by zero (in the line `1 / 0`)" in report.remarks[1]
    assert "A cell that stopped may be the reason" in report.results[1].verdicts[0].sentence
