"""A task, its checks, and the verdict of each: points, and one sentence that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Function = Callable[..., Any]
"""The function that a student has written; anything may come back from it."""

Test = Callable[[Function, np.random.Generator], None]
"""Tries the function on inputs that it draws; raises `Wrong`."""


class Wrong(Exception):  # noqa: N818, a finding and no error
    """A function does not do what was asked; the text says in one sentence what was seen."""


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
    """A function to write. Its first check carries the rest: nothing counts until it passes."""

    name: str
    checks: tuple[Check, ...]

    @property
    def points(self) -> int:
        """The points of all checks together."""
        return sum(check.points for check in self.checks)


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
    points: int
    of: int

    def __str__(self) -> str:
        mark = "pass" if self.passed else "not yet"
        text = f"  {mark:8}{self.title} ({self.points} of {self.of})"
        return text if self.passed else f"{text}\n          {self.sentence}"


def total(verdicts: Sequence[Verdict]) -> float:
    """The points of all verdicts together, as a float for nbgrader's partial credit.

    >>> total([Verdict("one", True, "", 2, 2), Verdict("two", False, "It moves.", 0, 1)])
    2.0
    """
    return float(sum(verdict.points for verdict in verdicts))
