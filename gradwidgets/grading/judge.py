"""The judge: asks whoever has the student's function, compares with the oracle, counts points."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from gradwidgets.core import not_allowed
from gradwidgets.grading import hw1_loop, hw2_edits, hw3_accumulation, hw4_schedules
from gradwidgets.grading.answer import UnreadableError, read_answer
from gradwidgets.grading.check import Check, Task, Verdict, total
from gradwidgets.grading.wrong import Wrong
from gradwidgets_homework import course_settings, gettext, marked
from gradwidgets_worker import Data, play

TASKS: dict[str, Task] = {
    name: Task(name, homework, checks)
    for homework, module in (
        ("hw1", hw1_loop),
        ("hw2", hw2_edits),
        ("hw3", hw3_accumulation),
        ("hw4", hw4_schedules),
    )
    for name, checks in module.CHECKS.items()
}
"""Every function that can be judged, by its name."""

STUDENT = "GRADWIDGETS_STUDENT"
"""The environment variable that names the student of `grade`; "example" if it is not set."""

SECRET = "GRADWIDGETS_SECRET"
"""The environment variable with a word of the instructor's, new every term."""
_OWN_SECRET = secrets.token_hex()
"""Where there is none; drawn before any thread asks for it."""

LOSSES = 2
"""Times that a function may be lost; then the rest of its checks count as lost."""


class Lost(Exception):  # noqa: N818, a finding and no error
    """No answer came: the function did not end in time, or ended its process."""


class Asker(Protocol):
    """Whoever has a student's functions, and can be asked what they do."""

    def ask(self, function: str, question: Data) -> Data:
        """Play a question with a function.

        Returns:
            The answer, or `{"missing": True}` if there is no such function.

        Raises:
            Lost: no answer came.
        """


class OwnKernel:
    """The functions of a notebook in this very process: for trials, not for marks."""

    def __init__(self, space: Mapping[str, Any]) -> None:
        self._space = space

    def ask(self, function: str, question: Data) -> Data:
        """See `Asker`."""
        found = self._space.get(function)
        return play(question, found) if callable(found) else {"missing": True}


@dataclass(frozen=True)
class Result:
    """The points and the verdicts for a function.

    >>> print(judge("scale", {}))
    scale: 0 of 1 points
      not yet every gradient is multiplied (0 of 1)
              There is no function `scale`.
    """

    task: Task
    verdicts: tuple[Verdict, ...]

    @property
    def points(self) -> float:
        """The points of all checks together."""
        return total(self.verdicts)

    @property
    def of(self) -> float:
        """The points that there are."""
        return float(sum(verdict.of for verdict in self.verdicts))

    def __str__(self) -> str:
        first = gettext("{task}: {points:g} of {of:g} points")
        first = first.format(task=self.task.name, points=self.points, of=self.of)
        return "\n".join([first, *map(str, self.verdicts)])


def judge(task: str, space: Mapping[str, Any], student: str | None = None) -> Result:
    """Judge the function of this name in a namespace by what it does, in this process.

    Args:
        task: the name of the function to be written, such as "train_step".
        space: the functions by their names, such as a notebook's `globals()`.
        student: whose inputs; None takes the environment's GRADWIDGETS_STUDENT, else "example".

    Raises:
        ValueError: there is no such task.

    >>> from torch.nn.utils import clip_grad_norm_
    >>> print(judge("clip", {"clip": clip_grad_norm_}))
    clip: 2 of 3 points
      pass    long gradients are shortened together (1 of 1)
      pass    short gradients are left alone (1 of 1)
      not yet the norm before is returned (0 of 1)
              It should return a plain float; this is of type Tensor.
    """
    return judged(named(task), OwnKernel(space), student)


def grade(task: str, space: Mapping[str, Any], student: str | None = None) -> float:
    """Try the function of this name in your own notebook, print the verdicts, return the points.

    This is a trial. The mark comes from a judge in a process of its own; see `grade_notebook`.

    Args:
        task: the name of the function.
        space: the notebook's `globals()`.
        student: see `judge`.

    Raises:
        ValueError: there is no such task.

    >>> def mask(parameters, hidden):
    ...     pass
    >>> grade("mask", {"mask": mask})
    mask: 0 of 2 points
    ...
    0.0
    """
    result = judge(task, space, student)
    print(result)  # noqa: T201, the feedback
    return result.points


def judged(task: Task, asker: Asker, student: str | None = None) -> Result:
    """Judge a function of an asker's. All questions of a task come in an order drawn for it."""
    who = student or os.environ.get(STUDENT) or "example"
    order = generator(who, task.name, "order")
    talks = [_Talk(check, generator(who, task.name, check.title)) for check in task.checks]
    losses = 0
    while waiting := [talk for talk in talks if talk.verdict is None]:
        talk = waiting[int(order.integers(len(waiting)))]
        try:
            data = asker.ask(task.name, talk.question)
        except Lost as lost:
            losses += 1
            for each in waiting if losses == LOSSES else [talk]:
                each.fails(str(lost))
            continue
        if data.get("missing"):
            for each in waiting:
                each.fails(str(data.get("why") or no_function(task.name)))
        else:
            talk.hears(data)
    verdicts = _carried([talk.verdict for talk in talks if talk.verdict])
    return Result(task, tuple(_with_points(verdicts, task)))


def no_function(name: str) -> str:
    """The sentence for a function that is not there."""
    return gettext("There is no function `{task}`.").format(task=name)


def _with_points(verdicts: Iterable[Verdict], task: Task) -> Iterator[Verdict]:
    """The verdicts with the points that the course gives for the task."""
    factor = course_settings().points_of(task.name, task.points) / task.points
    for each in verdicts:
        yield replace(each, points=factor * each.points, of=factor * each.of)


def generator(student: str, task: str, check: str) -> np.random.Generator:
    """The generator of a student's numbers for a check, the same at every grading.

    It is so if the secret is the same; where none is set, each process draws its own.
    """
    text = "/".join((os.environ.get(SECRET) or _OWN_SECRET, student, task, check))
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def named(task: str) -> Task:
    """The task of this name.

    Raises:
        ValueError: there is none.
    """
    if task not in TASKS:
        raise not_allowed("task", task, "one of " + ", ".join(TASKS))
    return TASKS[task]


class _Talk:
    """The questions of a check, and its verdict once it has one."""

    def __init__(self, check: Check, rng: np.random.Generator) -> None:
        self._check, self._trial = check, check.test(rng)
        self.verdict: Verdict | None = None
        self.question = next(self._trial)

    def hears(self, data: Data) -> None:
        """Take the answer to the question, and come to the next one or to a verdict."""
        try:
            answer = read_answer(data, self.question)
            if answer.raised is not None:
                raise _raised(self.question["steps"][len(answer.seen)], answer.raised)
            self.question = self._trial.send(answer)
        except StopIteration:
            points = self._check.points
            self.verdict = Verdict(
                self._check.title, True, gettext("As it should be."), points, points
            )
        except UnreadableError:
            self.fails(gettext("What came back is no answer to what was asked."))
        except Wrong as wrong:
            self.fails(str(wrong))
        except Exception as error:  # whatever came back, everybody else is judged
            self.fails(f"{gettext(NOT_JUDGED)} ({type(error).__name__})")

    def fails(self, sentence: str) -> None:
        """Come to the verdict that there are no points."""
        self._trial.close()
        self.verdict = Verdict(self._check.title, False, sentence, 0, self._check.points)


NOT_JUDGED = marked("What came back cannot be judged.")
"""The sentence for answers that the checks do not expect; there should be none."""

RAISED = {
    "call": marked("It raises {error}"),
    "optimizer from what it returned": marked("SGD takes no such groups: {error}"),
    "zero_grad": marked("After the call, `optimizer.zero_grad()` raises {error}"),
    "backward": marked("After the call, `backward()` raises {error}"),
    "step": marked("After the call, `optimizer.step()` raises {error}"),
    "gradients": marked("After the call, `.grad` can no longer be set: {error}"),
}
"""The sentence for an exception, by the step that it came from."""


def _raised(step: list[Any], error: str) -> Wrong:
    return Wrong(RAISED[step[0]], error=error)


def _carried(verdicts: list[Verdict]) -> tuple[Verdict, ...]:
    """The same verdicts, if the first one has passed; else nothing counts but the first."""
    first, *rest = verdicts
    if not first.passed:
        waits = gettext("Waits until the first check passes.")
        rest = [Verdict(each.title, False, waits, 0, each.of) for each in rest]
    return first, *rest
