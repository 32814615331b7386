"""`sweep`: a whole range of one setting, trained in one run where that is possible."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradwidgets.core import (
    TURN,
    History,
    Problem,
    Recipe,
    Run,
    described_error,
    not_allowed,
    problems,
    settings,
)
from gradwidgets.sweep import eligibility
from gradwidgets.sweep.eligibility import differs, obstacle
from gradwidgets.sweep.exact import NotExactError

if TYPE_CHECKING:
    from gradwidgets.sweep.run import SweptRun


def sweep(
    problem: Problem | str, recipe: Recipe | None, field: str, values: Sequence[Any]
) -> list[History]:
    """Train a recipe with each of the values of one setting; all in one run where possible.

    The numbers are those of `train`, to the last bit. Where that is not known of a setting, a
    layer, a loss or an optimizer, the values are trained one by one, and a warning says why.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the other settings; None takes the problem's own.
        field: a field of `Recipe`, or an option of its optimizer such as "momentum".
        values: what it takes; one history for each is returned, in their order.

    Raises:
        ValueError: the field or a value is not allowed, or the problem is not usable.
        TrainingError: the model or the loss failed.

    >>> from gradwidgets import Recipe, sweep
    >>> histories = sweep("moons", Recipe(updates=5), "lr", [0.1, 0.5])
    >>> [history.recipe.lr for history in histories]
    [0.1, 0.5]
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

    They are trained together, in chunks that fit a processor's cache; or one by one.

    Args:
        problem: what is trained.
        recipes: at least one.
        snapshots: whether `History.parameters` is kept, where they are trained together.

    Attributes:
        obstacle: why the recipes are trained one by one; None where they are trained together.

    Raises:
        ValueError: there is no recipe, or the problem is not usable.
        TrainingError: the model or the loss failed at one of the first updates.

    >>> from gradwidgets import Recipe, problems
    >>> runs = Sweep(problems.moons, [Recipe(lr=lr, updates=5) for lr in (0.1, 0.5)])
    >>> while not runs.done:
    ...     runs.advance(updates=1)
    >>> [history.updates for history in runs.histories()], runs.obstacle
    ([5, 5], None)
    """

    def __init__(self, problem: Problem, recipes: Sequence[Recipe], snapshots: bool = True) -> None:
        if not recipes:
            raise not_allowed("values", list(recipes), "at least one value")
        self._problem = problem
        self._recipes = list(recipes)
        self._snapshots = snapshots
        self._runs: list[Run | SweptRun] = []
        self._replicas = 0
        self.obstacle = obstacle(problem, recipes)
        if self.obstacle is None:
            self._begin_chunk()

    @property
    def done(self) -> bool:
        """True when all runs have ended."""
        return self._begun == len(self._recipes) and all(run.done for run in self._runs)

    @property
    def _begun(self) -> int:
        """The number of recipes that have been begun."""
        return sum(1 if isinstance(run, Run) else len(run.recipes) for run in self._runs)

    def advance(self, updates: int | None = None, seconds: float = math.inf) -> None:
        """Train on until all is done, or `updates` are made, or `seconds` have passed.

        Both count for the present chunk, or run; beginning one makes a few updates more. Other
        threads may train, or use a widget, meanwhile: they and a long sweep take turns.

        Raises:
            TrainingError: the model or the loss failed.
        """
        end = time.perf_counter() + seconds
        while not self.done:
            if not self._runs or self._runs[-1].done:
                self._begin_next()
            try:
                left = end - time.perf_counter()
                self._runs[-1].advance(updates, left if updates else min(left, TURN))
            except Exception as error:
                if isinstance(self._runs[-1], Run):
                    raise
                self._fall_back(error)  # the run alone says what is wrong, and where
            if updates or time.perf_counter() >= end:
                return

    def histories(self) -> list[History]:
        """One history per recipe begun, for the updates made so far."""
        found: list[History] = []
        for run in self._runs:
            found += [run.history()] if isinstance(run, Run) else run.histories()
        return found

    def _begin_next(self) -> None:
        if self.obstacle is None:
            self._begin_chunk()
        if self.obstacle is not None:
            self._runs.append(Run(self._problem, self._recipes[self._begun]))

    def _fall_back(self, error: Exception) -> None:
        """Train one by one the recipes that a joint run has not finished."""
        self.obstacle = str(error) if isinstance(error, NotExactError) else described_error(error)
        self._runs = [run for run in self._runs if run.done]

    def _begin_chunk(self) -> None:
        """Make the first updates of a chunk; one recipe that is left is trained alone."""
        left = self._recipes[self._begun :]
        if len(left) == 1:
            self._runs.append(Run(self._problem, left[0]))
            return
        try:
            if not self._replicas:
                self._replicas = self._fitting(left[0])
            chunk = self._together(left[: self._replicas], self._snapshots)
            chunk.advance(updates=eligibility.UPDATES)
            if not self._is_exact(chunk):
                raise NotExactError("the model does not give its own bits in a batch")
        except Exception as error:  # whatever it is, a run alone will say so
            self._fall_back(error)
        else:
            self._runs.append(chunk)

    def _is_exact(self, chunk: SweptRun) -> bool:
        """Hold one replica against its run alone, bit for bit."""
        number = len(chunk.recipes) // 2
        alone = Run(self._problem, chunk.recipes[number])
        alone.advance(updates=eligibility.UPDATES)
        return not differs(alone, chunk, number)

    def _fitting(self, recipe: Recipe) -> int:
        """The number of replicas that are trained together: found out by training one."""
        one = self._together([recipe], snapshots=False)
        one.advance(updates=1)
        return max(1, eligibility.CHUNK_ELEMENTS // max(1, one.largest))

    def _together(self, recipes: list[Recipe], snapshots: bool) -> SweptRun:
        from gradwidgets.sweep.run import SweptRun  # not before: `import gradwidgets` stays quick

        return SweptRun(self._problem, recipes, snapshots)
