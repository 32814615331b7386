"""Sweeps that are trained while the learner does nothing, in slices that never get in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradwidgets.core.history import History
from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.sweep import Sweep
from gradwidgets.widgets.slices import Slices

SHORT = 0.01
"""Seconds of a slice: a newer event waits no longer than this and one update."""
IDLE = 0.3
"""Seconds without an event after which the learner is taken to look, and not to drag."""


class Background(Slices):
    """Trains several recipes together; a newer request takes the place of an older one.

    Args:
        problem: what is trained.
        done: is given the histories. A model that fails is left to the lab's own run to report.
        slow: train only so many, the first ones, where they must be trained one by one; None
            trains them all.
        snapshots: whether the histories need `parameters`.
    """

    def __init__(
        self,
        problem: Problem,
        done: Callable[[list[History]], object],
        slow: int | None = None,
        snapshots: bool = False,
    ) -> None:
        super().__init__(self._train)
        self._problem = problem
        self._done = done
        self._slow = slow
        self._snapshots = snapshots
        self._recipes: Callable[[], Sequence[Recipe]] = list
        self._sweep: Sweep | None = None

    def begin(self, recipes: Callable[[], Sequence[Recipe]], after: float = 0.0) -> None:
        """Train what `recipes()` returns, in so many seconds unless something newer comes."""
        self.stop()
        self._recipes, self._sweep = recipes, None
        self.soon.later(after, self.unless_newer(self._slice))

    def _train(self, seconds: float) -> bool:
        """Train for a while; returns whether there is more to do."""
        try:
            return self._advance(min(seconds, SHORT) if self.soon.deferred else seconds)
        except Exception:  # the learner's own model may raise anything
            self._recipes = list
            return False

    def _advance(self, seconds: float) -> bool:
        if self._sweep is None:
            recipes = self._recipes()
            if not recipes:
                return False
            self._sweep = Sweep(self._problem, recipes, self._snapshots)
            if self._sweep.obstacle and self._slow is not None:
                self._sweep = Sweep(self._problem, recipes[: self._slow])
        elif not self._sweep.done:
            self._sweep.advance(seconds=seconds)
        else:
            histories, self._sweep, self._recipes = self._sweep.histories(), None, list
            self._done(histories)
            return False
        return True
