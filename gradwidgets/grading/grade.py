"""Try a student's function, say what was seen, count points."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradwidgets.core import not_allowed
from gradwidgets.grading import hw1_loop, hw2_edits, hw3_accumulation, hw4_schedules
from gradwidgets.grading.check import Check, Function, Task, Verdict, Wrong, total
from gradwidgets.grading.genuine import hooks_and_modes, replaced_functions

TASKS: dict[str, Task] = {
    name: Task(name, checks)
    for homework in (hw1_loop, hw2_edits, hw3_accumulation, hw4_schedules)
    for name, checks in homework.CHECKS.items()
}
"""Every function that can be judged, by its name."""

STUDENT = "GRADWIDGETS_STUDENT"
"""The environment variable that names the student; the course's configuration sets it."""

SECRET = "GRADWIDGETS_SECRET"
"""The environment variable with a word of the instructor's, new every term."""


def generator(student: str | None, task: str, check: str) -> np.random.Generator:
    """The generator of a student's numbers for a check, the same at every grading.

    Args:
        student: None takes the environment's, else "example".
        task: the name of the task.
        check: the title of the check.
    """
    student = student or os.environ.get(STUDENT) or "example"
    text = "/".join((os.environ.get(SECRET, ""), student, task, check))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def judge(task: str, function: Function, student: str | None = None) -> list[Verdict]:
    """Judge a function by what it does, on inputs that belong to the student.

    What the checks rely on is compared with its files before the function runs and after it.

    Args:
        task: the name of the function to be written, such as "train_step".
        function: what the student has written.
        student: whose inputs; None takes the environment's GRADWIDGETS_STUDENT, else "example".

    Returns:
        One verdict for each check; together they are worth the points of the task.

    Raises:
        ValueError: there is no such task.

    >>> from torch.nn.utils import clip_grad_norm_
    >>> for verdict in judge("clip", clip_grad_norm_):
    ...     print(verdict)
      pass    long gradients are shortened together (1 of 1)
      pass    short gradients are left alone (1 of 1)
      not yet the norm before is returned (0 of 1)
              What it returns should be a plain float; it is of type Tensor.
    """
    known = _task(task)
    verdicts: list[Verdict] = []
    replaced = replaced_functions() + hooks_and_modes()
    if not replaced:
        for check in known.checks:
            rng = generator(student, known.name, check.title)
            verdicts.append(_verdict(check, function, rng))
            if not verdicts[0].passed:
                break
        replaced = replaced_functions() + hooks_and_modes()
    return _replaced(known, replaced[0]) if replaced else _complete(known, verdicts)


def grade(
    task: str, space: Mapping[str, Any], student: str | None = None, tampered: Sequence[str] = ()
) -> float:
    """Judge the function of this name in a notebook, print the verdicts and return the points.

    The number as the last line of a cell is nbgrader's partial credit.

    Args:
        task: the name of the function.
        space: the notebook's `globals()`.
        student: see `judge`.
        tampered: what is already known to have been replaced; then there are no points.

    Raises:
        ValueError: there is no such task.

    >>> def mask(parameters, hidden):
    ...     for parameter, elements in zip(parameters, hidden):
    ...         if parameter.grad is not None:
    ...             parameter.grad[elements] = 0
    >>> grade("mask", {"mask": mask})
    mask: 2 of 2 points
      pass    hidden elements are zero (1 of 1)
      pass    odd gradients: infinite, or None (1 of 1)
    2.0
    """
    known = _task(task)
    function = space.get(task)
    if tampered:
        verdicts = _replaced(known, tampered[0])
    elif not callable(function):
        verdicts = _no_points(known, f"There is no function `{task}`.")
    else:
        verdicts = judge(task, function, student)
    points = total(verdicts)
    lines = [f"{task}: {points:g} of {known.points} points", *map(str, verdicts)]
    print("\n".join(lines))  # noqa: T201, the feedback
    return points


def _task(name: str) -> Task:
    if name not in TASKS:
        raise not_allowed("task", name, "one of " + ", ".join(TASKS))
    return TASKS[name]


def _verdict(check: Check, function: Function, rng: np.random.Generator) -> Verdict:
    try:
        check.test(function, rng)
    except Wrong as wrong:
        sentence = str(wrong)
    except Exception as error:  # the function may leave anything behind
        sentence = f"What it leaves behind cannot be used: {type(error).__name__}."
    else:
        return Verdict(check.title, True, "As it should be.", check.points, check.points)
    return Verdict(check.title, False, sentence, 0, check.points)


def _replaced(task: Task, name: str) -> list[Verdict]:
    sentence = f"{name} has been replaced; leave it as it is. Nothing can be judged with it."
    return _no_points(task, sentence)


def _no_points(task: Task, sentence: str) -> list[Verdict]:
    first = task.checks[0]
    return _complete(task, [Verdict(first.title, False, sentence, 0, first.points)])


def _complete(task: Task, verdicts: list[Verdict]) -> list[Verdict]:
    """These verdicts, and one for each check that has not been tried."""
    waits = "Waits until the first check passes."
    rest = task.checks[len(verdicts) :]
    return [*verdicts, *(Verdict(check.title, False, waits, 0, check.points) for check in rest)]
