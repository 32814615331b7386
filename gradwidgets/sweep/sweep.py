"""`sweep`: a whole range of one setting, trained in one run where that is possible."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from typing import Any

from gradwidgets.core import (
    History,
    Problem,
    Recipe,
    Run,
    described_error,
    not_allowed,
    problems,
    settings,
)
from gradwidgets.sweep.fit import difference, obstacle, obstacle_in
from gradwidgets.sweep.run import SweptRun


def sweep(
    problem: Problem | str, recipe: Recipe | None, field: str, values: Sequence[Any]
) -> list[History]:
    """Train a recipe with each of the values of one setting; all in one run where possible.

    The numbers are those of `train`, up to rounding: 1e-4 relative in float32, 1e-10 in float64,
    unless a run is chaotic and doubles every difference. Where a setting, model or optimizer
    does not allow one run, the values are trained one by one, and a warning says why.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the other settings; None takes the problem's own.
        field: a field of `Recipe`, or an option of its optimizer such as "momentum".
        values: what it takes; one history for each is returned, in their order.

    Raises:
        ValueError: the field or a value is not allowed, or the problem is not usable.
        TrainingError: the model or the loss failed.

    >>> histories = sweep("bowl", Recipe(updates=20), "lr", [0.01, 0.1])
    >>> [history.recipe.lr for history in histories]
    [0.01, 0.1]
    >>> bool(histories[1].loss[-1] < histories[0].loss[-1])
    True
    """
    problem = problems.get(problem)
    start = recipe or problem.recipe
    swept = Sweep(problem, [settings.with_(start, **{field: value}) for value in values])
    swept.advance()
    if swept.obstacle:
        warnings.warn(f"sweep: one by one, because {swept.obstacle}", stacklevel=2)
    return swept.histories()


class Sweep:
    """Runs of several recipes of one problem, advanced a slice at a time.

    Args:
        problem: what is trained.
        recipes: at least one.
        snapshots: whether `History.parameters` is kept, where they are trained in one run.

    Raises:
        ValueError: there is no recipe, or the problem is not usable.
        TrainingError: the model or the loss failed at the first update.

    >>> swept = Sweep(problems.bowl, [Recipe(updates=20, lr=lr) for lr in (0.01, 0.1)])
    >>> swept.advance(updates=5)
    >>> swept.done, swept.obstacle
    (False, None)
    """

    def __init__(self, problem: Problem, recipes: Sequence[Recipe], snapshots: bool = True) -> None:
        if not recipes:
            raise not_allowed("values", list(recipes), "at least one value")
        self._problem = problem
        self._recipes = list(recipes)
        self.obstacle = obstacle(problem, recipes)
        """The reason why the recipes are trained one by one; None if all are trained in one run."""
        self._one_by_one: list[Run] = []
        self._swept: SweptRun | None = None
        if self.obstacle is None:
            self._begin_together(snapshots)

    @property
    def done(self) -> bool:
        """True if all runs have ended."""
        if self._swept:
            return self._swept.done
        runs = self._one_by_one
        return len(runs) == len(self._recipes) and all(run.done for run in runs)

    def advance(self, updates: int | None = None, seconds: float = math.inf) -> None:
        """Train on until all is done, or `updates` are made, or `seconds` have passed.

        Raises:
            TrainingError: the model or the loss failed.
        """
        if self._swept:
            self._swept.advance(updates, seconds)
            return
        end = time.perf_counter() + seconds
        while not self.done:
            if not self._one_by_one or self._one_by_one[-1].done:
                self._one_by_one.append(Run(self._problem, self._recipes[len(self._one_by_one)]))
            self._one_by_one[-1].advance(updates, end - time.perf_counter())
            if updates or time.perf_counter() >= end:
                return

    def histories(self) -> list[History]:
        """The runs so far: one history a recipe that has begun."""
        if self._swept:
            return self._swept.histories()
        return [run.history() for run in self._one_by_one]

    def _begin_together(self, snapshots: bool) -> None:
        """Make the first update, and hold it against a run of its own: models may do anything."""
        one = Run(self._problem, self._recipes[0])
        one.advance(updates=1)
        self.obstacle = obstacle_in(one)
        if self.obstacle:
            return
        try:
            swept = SweptRun(self._problem, self._recipes, snapshots)
            swept.advance(updates=1)
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            self.obstacle = f"the model cannot be replicated ({described_error(error)})"
            return
        self.obstacle = difference(one, swept)
        if self.obstacle is None:
            self._swept = swept
