"""Early stopping: a run ends when its metric on held-out data has not become better for a while."""

from __future__ import annotations

import math

from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.validate import not_allowed


class Patience:
    """Counts the measurements since the best one; an equal value is no better, and NaN never is.

    Args:
        limit: so many measurements in a row without a better value are enough.

    >>> patience = Patience(2)
    >>> [patience.ends_at(loss, higher=False) for loss in (3.0, 1.0, 1.5, 1.0)]
    [False, False, False, True]
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._best: float | None = None
        self._waited = 0

    def ends_at(self, value: float, higher: bool) -> bool:
        """Take the next value; True if it was one too many. `higher` says that more is better."""
        sign = -1.0 if higher else 1.0
        if self._best is None:  # the first, before training
            self._best = min(math.inf, sign * value)
            return False
        self._waited = 0 if sign * value < self._best else self._waited + 1
        self._best = min(self._best, sign * value)
        return self._waited == self._limit


def patience_of(problem: Problem, recipe: Recipe) -> Patience | None:
    """A new counter of the measurements of a run; None without `Recipe.patience`.

    Raises:
        ValueError: there is no held-out data, or nobody knows whether more of its metric is better.

    >>> from gradwidgets.core import problems
    >>> patience_of(problems.get("moons"), Recipe(patience=2))
    Traceback (most recent call last):
    ValueError: Recipe.patience=2 is not allowed; give None: problem 'moons' has no held-out ...
    """
    if recipe.patience is None:
        return None
    if problem.held_out is None:
        why = f"None: problem {problem.name!r} has no held-out data; give it Problem(held_out=...)"
        raise not_allowed("Recipe.patience", recipe.patience, why)
    if callable(problem.metric) and problem.better is None:
        name = problem.held_out_metric().name  # type: ignore[union-attr]
        why = f"None, or say which values of the metric {name!r} are better: "
        raise not_allowed(
            "Recipe.patience", recipe.patience, why + 'Problem(better="higher") or "lower"'
        )
    return Patience(recipe.patience)
