"""Try a student's function, say what was seen, count points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradwidgets.core import not_allowed
from gradwidgets.grading import accumulating, diagnosing, editing, loop, standing
from gradwidgets.grading.genuine import interventions, strangers
from gradwidgets.grading.seeds import generator, student_id
from gradwidgets.grading.verdict import Check, Function, Task, Verdict, Wrong, total

TASKS: dict[str, Task] = {
    task.name: task
    for homework in (loop, editing, standing, accumulating, diagnosing)
    for task in homework.TASKS
}
"""Every function that can be judged, by its name."""

TAMPERED = "{} has been replaced; leave it as it is. Nothing can be judged with it."

WAITS = "Waits until the first check passes."


def judge(task: str, function: Function, student: str | None = None) -> list[Verdict]:
    """Judge a function by what it does, on inputs that belong to the student.

    What the checks lean on is held against its files before the function runs and after it.

    Args:
        task: the name of the function to be written, such as "train_step".
        function: what the student has written.
        student: whose inputs; None takes the environment's GRADWIDGETS_STUDENT, else "example".

    Returns:
        One verdict for each check; together they are worth the points of the task.

    Raises:
        ValueError: there is no such task.
    """
    known = _known(task)
    found = strangers() + interventions()
    verdicts: list[Verdict] = []
    for check in () if found else known.checks:
        verdicts.append(_tried(check, function, known, student_id(student)))
        if not verdicts[0].passed:
            break
    found = found or strangers() + interventions()
    return tampered_with(known, found[0]) if found else _complete(known, verdicts)


def tampered_with(task: Task, name: str) -> list[Verdict]:
    """The verdicts where something has been replaced: no points, whatever the function does."""
    return without_points(task, TAMPERED.format(name))


def without_points(task: Task, sentence: str) -> list[Verdict]:
    """The verdicts of a task that cannot be judged, and why."""
    first = task.checks[0]
    return _complete(task, [Verdict(first.title, False, sentence, 0, first.points)])


def _complete(task: Task, verdicts: list[Verdict]) -> list[Verdict]:
    rest = task.checks[len(verdicts) :]
    return [*verdicts, *(Verdict(c.title, False, WAITS, 0, c.points) for c in rest)]


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
    """
    known = _known(task)
    function = space.get(task)
    if tampered:
        verdicts = tampered_with(known, tampered[0])
    elif not callable(function):
        verdicts = without_points(known, f"There is no function `{task}`.")
    else:
        verdicts = judge(task, function, student)
    points = total(verdicts)
    lines = [f"{task}: {points:g} of {known.points} points", *map(str, verdicts)]
    print("\n".join(lines))  # noqa: T201, the feedback
    return points


def _known(task: str) -> Task:
    if task not in TASKS:
        raise not_allowed("task", task, "one of " + ", ".join(TASKS))
    return TASKS[task]


def _tried(check: Check, function: Function, task: Task, student: str) -> Verdict:
    try:
        check.test(function, generator(student, task.name, check.title))
    except Wrong as wrong:
        return Verdict(check.title, False, str(wrong), 0, check.points)
    except Exception as error:  # the function may leave anything behind
        broken = f"What it leaves behind cannot be used: {type(error).__name__}."
        return Verdict(check.title, False, broken, 0, check.points)
    return Verdict(check.title, True, "As it should be.", check.points, check.points)
