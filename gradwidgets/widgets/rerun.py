"""Newest wins: training in short slices on the event loop, so that nothing ever queues."""

from __future__ import annotations

import math
from collections.abc import Callable

from gradwidgets.core.training import Run
from gradwidgets.widgets.results import Results
from gradwidgets.widgets.soon import Soon

SLICE = 0.02
"""Seconds of training between two looks at what the learner has done meanwhile."""


class Rerun:
    """Trains one run at a time; a newer request takes the place of an older one.

    All work is done on the event loop that runs when this object is made: front ends deliver
    what the learner does on other threads too. Without a loop (plain Python) it is done at once.

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
        self._next_run = next_run
        self._results = results
        self._progressed = progressed
        self._settled = settled
        self._run: Run | None = None
        self._asked = self._answering = 0
        self._answered = -1
        self.soon = Soon()

    def request(self) -> None:
        """Look for work soon; what is in hand will be dropped."""
        self._asked += 1
        turn = self._asked
        self.soon(lambda: self._slice(turn))

    def finish(self) -> None:
        """Do all that is asked for, now."""
        with self.soon.lock:
            self._take_turn()
            while self._work():
                pass

    def cancel(self) -> None:
        """End the run in hand where it stands."""
        run = self._run
        if run:
            run.cancel()

    def stop(self) -> None:
        """Forget all that is asked for."""
        self._asked += 1

    def _slice(self, turn: int) -> None:
        if turn != self._asked:
            return  # the learner has moved on
        self._take_turn()
        if not self.soon.deferred:
            self.finish()
        elif self._work(SLICE):
            self.soon(lambda: self._slice(turn))

    def _take_turn(self) -> None:
        if self._answering != self._asked:
            self._answering = self._asked
            self._run = None

    def _settle(self) -> None:
        if self._answered != self._answering:
            self._answered = self._answering
            self._settled()

    def _work(self, seconds: float = math.inf) -> bool:
        """Train for a while; returns whether there is more to do."""
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
