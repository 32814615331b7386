"""A task, its checks, and the verdict of each: points, and one sentence that helps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np

from gradwidgets.grading.answer import Answer
from gradwidgets_homework import gettext
from gradwidgets_worker import Data

Trial = Generator[Data, Answer, None]
"""A conversation: yields questions, is sent the answers, and raises `Wrong`."""

Test = Callable[[np.random.Generator], Trial]
"""Begins a trial on numbers that it draws."""


@dataclass(frozen=True)
class Check:
    """One property of a function, and the points for it.

    The title is part of the student's seed: with another title everybody gets other numbers.
    """

    title: str
    points: int
    test: Test


@dataclass(frozen=True)
class Task:
    """A function to write. Its first check carries the rest: nothing counts until it passes.

    >>> Task("train_step", "hw1", ()).cell
    'test-train-step'
    """

    name: str
    homework: str
    checks: tuple[Check, ...]

    @property
    def points(self) -> int:
        """The points of all checks together."""
        return sum(check.points for check in self.checks)

    @property
    def cell(self) -> str:
        """The `grade_id` of the notebook's cell that holds its mark."""
        return f"test-{self.name.replace('_', '-')}"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Args:
        title: the property that was checked.
        passed: whether the function has it.
        sentence: what was seen.
        points: how many the student gets.
        of: how many there are.

    >>> print(Verdict("the loss is returned", True, "As it should be.", 1, 1))
      pass    the loss is returned (1 of 1)
    """

    title: str
    passed: bool
    sentence: str
    points: float
    of: float

    def __str__(self) -> str:
        mark = gettext("pass") if self.passed else gettext("not yet")
        points = gettext("({points:g} of {of:g})").format(points=self.points, of=self.of)
        text = f"  {mark:7} {gettext(self.title)} {points}"
        return text if self.passed else f"{text}\n          {self.sentence}"


def total(verdicts: Sequence[Verdict]) -> float:
    """The points of all verdicts together, as a float for nbgrader's partial credit.

    >>> total([Verdict("one", True, "", 2, 2), Verdict("two", False, "It moves.", 0, 1)])
    2.0
    """
    return float(sum(verdict.points for verdict in verdicts))
