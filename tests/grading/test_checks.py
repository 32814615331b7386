"""The checks: right functions get all points, wrong ones their share, from all numbers."""

import random

import numpy as np
import pytest
import torch

from gradwidgets import grading
from tests.grading.right import right_functions
from tests.grading.wrong import WRONG

WRONG_ONES = [
    pytest.param(task, source, points, id=f"{task}-{number}")
    for task, sources in WRONG.items()
    for number, (source, points) in enumerate(sources.items())
]


@pytest.mark.parametrize("student", ["example", "ada", "bob", "Çelik", "4711", "\udcff"])
def test_right_functions_get_all_points(student):
    space = right_functions()
    for name, task in grading.TASKS.items():
        assert grading.judge(name, space, student).points == task.points


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_right_functions_get_all_points_in_the_notebooks_own_precision(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        space = right_functions()
        for name, task in grading.TASKS.items():
            assert grading.judge(name, space, "ada").points == task.points
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(("task", "source", "deserved"), WRONG_ONES)
def test_wrong_functions_get_what_they_deserve(task, source, deserved):
    space = {}
    exec("import torch\nfrom torch import nn\n" + source, space)
    assert grading.judge(task, space, "ada").points == deserved


def test_every_function_has_wrong_ones():
    assert set(WRONG) == set(grading.TASKS) - {"loop_b"}  # judged as loop_a is


@pytest.fixture
def numbers(monkeypatch):
    """The first number that `train_step` is given for a student."""
    monkeypatch.delenv("GRADWIDGETS_STUDENT", raising=False)
    monkeypatch.setenv("GRADWIDGETS_SECRET", "spring")

    def first(student=None):
        given = []
        space = {"train_step": lambda *arguments: given.append(arguments[3])}
        grading.judge("train_step", space, student)
        return given[0].flatten()[0].item()

    return first


def test_everyone_has_numbers_of_their_own_the_same_each_time(numbers, monkeypatch):
    drawn = [numbers(who) for who in ("example", "ada", "bob")]
    assert len(set(drawn)) == 3
    assert numbers("ada") == drawn[1]
    monkeypatch.setenv("GRADWIDGETS_SECRET", "autumn")
    assert numbers("ada") != drawn[1]


def test_without_a_secret_nobody_can_know_the_numbers(numbers, monkeypatch):
    known = numbers("ada")
    monkeypatch.delenv("GRADWIDGETS_SECRET")
    unknown = numbers("ada")
    assert unknown != known
    monkeypatch.setenv("GRADWIDGETS_SECRET", "")
    assert numbers("ada") == unknown


def test_the_student_comes_from_the_argument_or_the_environment(numbers, monkeypatch):
    assert numbers() == numbers("example")
    monkeypatch.setenv("GRADWIDGETS_STUDENT", "ada")
    assert numbers() == numbers("ada") != numbers("bob")


def test_the_order_of_the_faults_is_the_students_own(monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_SECRET", "spring")

    def order(student):
        seen = []

        def diagnose(_, optimizer, *__):
            seen.append([group["lr"] == 0 for group in optimizer.param_groups])
            return "healthy"

        grading.judge("diagnose", {"diagnose": diagnose}, student)
        return seen

    assert order("ada") == order("ada") != order("bob")


def test_judging_disturbs_nothing():
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    for task in grading.TASKS:
        grading.judge(task, right_functions())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task='train_stop' is not allowed; give one of train_ste"):
        grading.judge("train_stop", {})


def test_what_is_said(capsys):
    space = {"train_step": lambda *_: 1 / 0}
    assert grading.grade("train_step", space) == 0.0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "train_step: 0 of 5 points"
    assert said[2].strip() == "It raises ZeroDivisionError: division by zero"
    assert said[4].strip() == "Waits until the first check passes."
    assert grading.grade("scale", space) == 0.0
    assert "There is no function `scale`." in capsys.readouterr().out


def test_feedback_says_by_how_much_and_where():
    def train_step(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        with torch.no_grad():
            model[2].weight[0, 1] += 0.25
        return value.item()

    first, *_ = grading.judge("train_step", {"train_step": train_step}, "ada").verdicts
    words = first.sentence.split()
    assert "Parameter 3 (`2.weight`), element [0, 1], moved by" in first.sentence
    moved, wanted = float(words[words.index("by", 15) + 1]), float(words[words.index("where") + 1])
    assert moved - wanted == pytest.approx(0.25, abs=0.01)


def test_an_interrupt_passes_through():
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grading.judge("train_step", {"train_step": interrupted})
