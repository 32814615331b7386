"""A lab's training: one run at a time, in slices, the newest request first."""

from __future__ import annotations

from collections.abc import Callable

from gradwidgets.components import LatestTask
from gradwidgets.core import Run
from gradwidgets.lab.results import Results


class Rerun(LatestTask):
    """Trains one run at a time; a newer request takes the place of an older one.

    Args:
        next_run: makes the next run that is needed, or returns None when all is there.
        results: is told of each run that is done, and of each exception that a run raised.
        progressed: called between slices with the run in hand.
        settled: called when all is there.
    """

    def __init__(
        self,
        next_run: Callable[[], Run | None],
        results: Results,
        progressed: Callable[[Run], None],
        settled: Callable[[], None],
    ) -> None:
        super().__init__(self._train)
        self._next_run = next_run
        self._results = results
        self._progressed = progressed
        self._settled = settled
        self._run: Run | None = None
        self._answering = 0
        self._answered = -1

    def cancel(self) -> None:
        """End the run in hand where it stands."""
        run = self._run
        if run:
            run.cancel()

    def _train(self, seconds: float) -> bool:
        """Train for a while; returns whether there is more to do."""
        if self._answering != self.turn:
            self._answering = self.turn
            self._run = None
        try:
            self._run = run = self._run or self._next_run()
            if run:
                run.advance(seconds=seconds)
        except Exception as error:  # the learner's own model may raise anything
            self._run = None
            self._results.fail(error)
            return True
        if run is None:
            self._settle()
        elif run.done:
            self._run = None
            self._results.finish(run)
        else:
            self._progressed(run)
        return run is not None

    def _settle(self) -> None:
        if self._answered != self._answering:
            self._answered = self._answering
            self._settled()
