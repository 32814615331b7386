"""The checks: right functions get all points from every student's numbers, tricks get none."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gradwidgets import grading
from gradwidgets.grading.genuine import hooks_and_modes, replaced_functions
from tests.grading.right import right_functions, right_sources
from tests.grading.tricks import TRICKS
from tests.grading.wrong import WRONG

ROOT = Path(__file__).parents[2]
WRONG_ONES = [
    pytest.param(task, source, points, id=f"{task}-{number}")
    for task, sources in WRONG.items()
    for number, (source, points) in enumerate(sources.items())
]


def points(task, space, student="ada"):
    function = space[task]
    return grading.total(grading.judge(task, function, student)) if callable(function) else 0.0


@pytest.mark.parametrize("student", ["example", "ada", "bob", "Çelik", "4711"])
def test_right_functions_get_all_points(student):
    space = right_functions()
    for task in grading.TASKS.values():
        assert points(task.name, space, student) == task.points


@pytest.mark.parametrize(("task", "source", "deserved"), WRONG_ONES)
def test_wrong_functions_get_what_they_deserve(task, source, deserved):
    space = {}
    exec("import torch\nfrom torch import nn\n" + source, space)
    assert points(task, space) == deserved


def test_every_function_has_wrong_ones():
    assert set(WRONG) == set(grading.TASKS) - {"loop_b"}  # judged as loop_a is


HIDDEN_TEST = 'runpy.run_module("{name}.fresh")["grade"]("{task}", globals())'
NAMES = ("gradwidgets.grading", "gradwidgets.lessons.grading")
"""The second one is in homework that has been handed out."""


def points_in_a_notebook(folder, handed_in, name):
    """The points of every function by the line of the hidden tests, in a process of its own."""
    tests = [HIDDEN_TEST.format(name=name, task=task) for task in grading.TASKS]
    cells = ["import torch\nfrom torch import nn", handed_in, "import json, runpy, sys"]
    cells += [f"earned = [{', '.join(tests)}]", "print(json.dumps(earned), file=sys.stderr)"]
    program = folder / "notebook.py"
    lines = [f"exec(compile({cell!r}, 'a cell', 'exec'))" for cell in cells]
    program.write_text("\n".join(lines), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stderr.splitlines()[-1])


@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_wins_a_point(trick, tmp_path):
    earned = points_in_a_notebook(tmp_path, TRICKS[trick], NAMES[0])
    assert earned == [0.0] * len(grading.TASKS)


@pytest.mark.parametrize("name", NAMES)
def test_the_line_of_the_hidden_tests_gives_right_functions_all_points(name, tmp_path):
    """In homework that has been handed out, too, whose line has the old name."""
    earned = points_in_a_notebook(tmp_path, "\n".join(right_sources()), name)
    assert earned == [task.points for task in grading.TASKS.values()]


def test_whoever_replaces_the_checks_gets_nothing_for_a_right_function(tmp_path):
    replaced = "import sys, gradwidgets.grading\ngradwidgets.grading = sys"
    handed_in = "\n".join([*right_sources(), replaced])
    assert points_in_a_notebook(tmp_path, handed_in, NAMES[0])[0] == 0.0


@pytest.fixture
def numbers(monkeypatch):
    """The first number that `train_step` is given for a student."""
    monkeypatch.delenv("GRADWIDGETS_STUDENT", raising=False)

    def first(student=None):
        given = []
        grading.judge("train_step", lambda *arguments: given.append(arguments[3]), student)
        return given[0].flatten()[0].item()

    return first


def test_everyone_has_numbers_of_their_own_the_same_each_time(numbers, monkeypatch):
    drawn = [numbers(who) for who in ("example", "ada", "bob")]
    assert len(set(drawn)) == 3
    assert numbers("ada") == drawn[1]
    monkeypatch.setenv("GRADWIDGETS_SECRET", "autumn")
    assert numbers("ada") != drawn[1]


def test_the_student_comes_from_the_argument_or_the_environment(numbers, monkeypatch):
    assert numbers() == numbers("example")
    monkeypatch.setenv("GRADWIDGETS_STUDENT", "ada")
    assert numbers() == numbers("ada") != numbers("bob")


def test_judging_disturbs_nothing():
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    for task in grading.TASKS:
        grading.judge(task, right_functions()[task])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


def test_torch_as_it_is_has_nothing_replaced():
    assert replaced_functions() == hooks_and_modes() == []


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task='train_stop' is not allowed; give one of train_ste"):
        grading.judge("train_stop", print)


def test_what_is_said(capsys):
    space = {"train_step": lambda *_: 1 / 0}
    assert grading.grade("train_step", space) == 0.0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "train_step: 0 of 5 points"
    assert said[2].strip() == "It raises ZeroDivisionError: division by zero"
    assert said[4].strip() == "Waits until the first check passes."
    assert grading.grade("scale", space) == 0.0
    assert "There is no function `scale`." in capsys.readouterr().out


def test_an_interrupt_passes_through():
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grading.judge("train_step", interrupted)
