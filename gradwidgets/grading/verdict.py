"""What a check says about a function: points, and one sentence that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Function = Callable[..., Any]
"""What a student has written; anything may come back from it."""

Test = Callable[[Function, np.random.Generator], None]
"""Tries the function on inputs that it draws; raises `Wrong`."""


class Wrong(Exception):  # noqa: N818, a finding and no error
    """A function does not do what was asked; the text says in one sentence what was seen."""


@dataclass(frozen=True)
class Check:
    """One property of a function, and what it is worth."""

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
        """What the whole task is worth."""
        return sum(check.points for check in self.checks)


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check."""

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
    """The points of all verdicts together: partial credit."""
    return float(sum(verdict.points for verdict in verdicts))
