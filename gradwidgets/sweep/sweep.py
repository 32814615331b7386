"""`sweep`: a whole range of one setting, trained in one run where that is possible."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

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
from gradwidgets.sweep.exact import NotExactError, drop_trials, is_waiting, make_trials

if TYPE_CHECKING:
    from gradwidgets.sweep.run import SweptRun

TIMED = 3
"""Updates that are made to know how long one takes."""


def sweep(
    problem: Problem | str, recipe: Recipe | None, field: str, values: Sequence[Any]
) -> list[History]:
    """Train a recipe with each of the values of one setting; all in one run where possible.

    The numbers are those of `train`, to the last bit. Where that is not known of a setting, a
    layer, a loss or an optimizer, the values are trained one by one, and a warning says why. So
    few values, or so few updates, that a joint run would take longer are trained one by one, too.

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

    They are trained together, in chunks that fit a processor's cache; or one by one, where
    together would be slower or not give the same bits. Nothing is trained before `advance`.

    Args:
        problem: what is trained.
        recipes: at least one.
        snapshots: whether `History.parameters` is kept, where they are trained together.
        replicas: train at most so many together; None takes what fits the cache.
        alone: where they must be trained one by one, train only so many, the first ones, and
            leave the rest; None leaves none.

    Attributes:
        obstacle: why the recipes cannot be trained together; None where they can, as far as is
            known.

    Raises:
        ValueError: there is no recipe.

    >>> from gradwidgets import Recipe, problems
    >>> runs = Sweep(problems.moons, [Recipe(lr=lr, updates=5) for lr in (0.1, 0.5)])
    >>> while not runs.done:
    ...     runs.advance(updates=1)
    >>> [history.updates for history in runs.histories()], runs.obstacle
    ([5, 5], None)
    """

    def __init__(
        self,
        problem: Problem,
        recipes: Sequence[Recipe],
        snapshots: bool = True,
        replicas: int | None = None,
        alone: int | None = None,
    ) -> None:
        if not recipes:
            raise not_allowed("values", list(recipes), "at least one value")
        self._problem = problem
        self._recipes = list(recipes)
        self._snapshots = snapshots
        self._replicas = replicas
        self._most: int | None = None
        self._alone = alone
        self._runs: list[Run | SweptRun] = []
        self._beginning: Iterator[None] | None = None
        self.obstacle: str | None = None
        if why := obstacle(problem, recipes):
            self._fall_back(NotExactError(why))

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
            ValueError: the problem is not usable.
            TrainingError: the model or the loss failed.
        """
        end = time.perf_counter() + seconds
        while not self.done:
            if is_waiting():
                make_trials(min(TURN, end - time.perf_counter()))
            elif not self._runs or self._runs[-1].done:
                self._begin_next()
            else:
                self._train_on(updates, end - time.perf_counter())
                if updates:
                    return
            if time.perf_counter() >= end:
                return

    def histories(self) -> list[History]:
        """One history per recipe begun, for the updates made so far."""
        found: list[History] = []
        for run in self._runs:
            found += [run.history()] if isinstance(run, Run) else run.histories()
        return found

    def _train_on(self, updates: int | None, seconds: float) -> None:
        try:
            self._runs[-1].advance(updates, seconds if updates else min(seconds, TURN))
        except Exception as error:
            if isinstance(self._runs[-1], Run):
                raise
            self._fall_back(error)  # the run alone says what is wrong, and where

    def _begin_next(self) -> None:
        """Begin a run, or take a step towards a chunk: together they would take long."""
        left = self._recipes[self._begun :]
        one = len(left) == 1 or self._replicas == 1
        if one or self.obstacle is not None or self._most == 1:
            self._runs.append(Run(self._problem, left[0]))
            return
        try:
            self._beginning = self._beginning or self._begin_chunk(left)
            if next(self._beginning, self) is self:
                self._beginning = None
        except Exception as error:  # whatever it is, a run alone will say so
            self._fall_back(error)

    def _fall_back(self, error: Exception) -> None:
        """Train one by one the recipes that a joint run has not finished."""
        drop_trials()
        self.obstacle = str(error) if isinstance(error, NotExactError) else described_error(error)
        self._runs = [run for run in self._runs if run.done]
        if self._alone is not None:
            del self._recipes[self._begun + self._alone :]

    def _size_of_chunk(self, left: int) -> int:
        """The number of recipes to train together next: chunks are as equal as can be."""
        most = min(left, self._replicas or left, self._most or left)
        size = -(-left // -(-left // most))
        return min(most, max(size, eligibility.FEW))

    def _begin_chunk(self, left: Sequence[Recipe]) -> Iterator[None]:
        """Make the first updates of a chunk, and hold one replica against its run alone."""
        from gradwidgets.sweep.run import SweptRun  # not before: `import gradwidgets` stays quick

        if self._most is None:
            SweptRun(self._problem, left[:1], snapshots=False)  # raises where a layer is unknown
            yield
            self._most = self._measured(left)
            yield
        if self._size_of_chunk(len(left)) < eligibility.FEW:
            self._most = 1
            return
        chunk = SweptRun(self._problem, left[: self._size_of_chunk(len(left))], self._snapshots)
        for _ in range(eligibility.UPDATES):
            yield
            chunk.advance(updates=1)
        number = len(chunk.recipes) // 2
        alone = Run(self._problem, chunk.recipes[number])
        for _ in range(eligibility.UPDATES):
            yield
            alone.advance(updates=1)
        if differs(alone, chunk, number):
            raise NotExactError("the model does not give its own bits in a batch")
        self._runs.append(chunk)

    def _measured(self, left: Sequence[Recipe]) -> int:
        """The replicas that may be trained together; 1 if one by one is quicker."""
        if self._size_of_chunk(len(left)) < eligibility.FEW:
            return 1
        most, seconds = measured(self._problem, left[0])
        return 1 if seconds * left[0].updates * len(left) < eligibility.QUICK else most


def measured(problem: Problem, recipe: Recipe) -> tuple[int, float]:
    """The replicas whose largest tensor fits the cache, and the seconds of an update of one."""
    largest = 1

    def look(_: object, __: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.numel())

    one = Run(problem, recipe)
    hooks = [module.register_forward_hook(look) for module in one.model.modules()]
    one.advance(updates=1)
    for hook in hooks:
        hook.remove()
    begun = time.thread_time()  # of this thread alone: others may keep the processor busy
    one.advance(updates=TIMED)
    seconds = (time.thread_time() - begun) / TIMED
    return max(1, eligibility.CHUNK_ELEMENTS // largest), seconds
