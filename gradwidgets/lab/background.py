"""Work that is done while the learner does nothing, in slices that never get in the way."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from gradwidgets.components import LatestTask
from gradwidgets.core import History, Problem, Recipe
from gradwidgets.sweep import Sweep

SHORT = 0.01
"""Seconds of a slice: a newer event waits no longer than this and one update."""
IDLE = 0.3
"""Seconds without an event after which the learner is taken to look, and not to drag."""


class Background(LatestTask):
    """Takes one step after another of a piece of work; newer work takes the place of older."""

    def __init__(self) -> None:
        super().__init__(self._step)
        self._steps: Iterator[None] = iter(())

    def begin(self, steps: Iterator[None], after: float = 0.0) -> None:
        """Take these steps, in so many seconds unless something newer comes.

        Work that raises is dropped: a model that fails is left to the lab's own run to report.
        """
        self.stop()
        self._steps = steps
        self.soon.later(after, self.unless_newer(self._slice))

    def stop(self) -> None:
        """Forget all that is asked for."""
        super().stop()
        self._steps = iter(())

    def _step(self, _: float) -> bool:
        """Take one step; returns whether there may be another."""
        try:
            next(self._steps)
        except Exception:  # the end, or whatever the learner's own model may raise
            return False
        return True


def trained(
    problem: Problem, recipes: Sequence[Recipe], slow: int | None = None, snapshots: bool = False
) -> Generator[None, None, list[History]]:
    """Train several recipes together, a short slice at each step; returns their histories.

    Args:
        problem: what is trained.
        recipes: the settings.
        slow: train only so many, the first ones, where they must be trained one by one; None
            trains them all.
        snapshots: whether the histories need `parameters`.
    """
    if not recipes:
        return []
    sweep = Sweep(problem, recipes, snapshots)
    if sweep.obstacle and slow is not None:
        if not slow:
            return []
        sweep = Sweep(problem, recipes[:slow], snapshots)
    while not sweep.done:
        yield
        sweep.advance(seconds=SHORT)
    return sweep.histories()
