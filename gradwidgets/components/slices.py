"""Newest wins: work in short slices on the event loop, so that nothing ever queues."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from gradwidgets.components.scheduler import LoopScheduler

SLICE = 0.02
"""Seconds of work between two looks at what the learner has done meanwhile."""


class LatestTask:
    """Does work slice by slice; a newer request takes the place of an older one.

    All of it is done on the event loop that runs when this object is made: front ends deliver
    what the learner does on other threads too. Without a loop (plain Python) it is done at once.

    Args:
        work: works for about so many seconds; returns whether there is more to do.

    Attributes:
        turn: the number of requests so far.
        soon: does other things on the same event loop, between two slices.
    """

    def __init__(self, work: Callable[[float], bool]) -> None:
        self._work = work
        self.turn = self._planned = 0
        self.soon = LoopScheduler()

    def request(self) -> None:
        """Work soon; what an older request has left undone is dropped."""
        self.turn += 1
        self._go_on()

    def unless_newer(self, action: Callable[[], object]) -> Callable[[], None]:
        """The action, which does nothing once there is a newer request."""
        turn = self.turn

        def guarded() -> None:
            if turn == self.turn:
                action()

        return guarded

    def finish(self, seconds: float = math.inf) -> None:
        """Do all that is asked for, now; what takes longer is gone on with on the event loop."""
        end = time.monotonic() + (seconds if self.soon.deferred else math.inf)
        with self.soon.lock:
            while self._work(end - time.monotonic()):
                if time.monotonic() >= end:
                    self._go_on()
                    return

    def stop(self) -> None:
        """Forget all that is asked for."""
        self.turn += 1

    def _slice(self) -> None:
        turn = self.turn
        if not self.soon.deferred:
            self.finish()
        elif self._work(SLICE) and turn == self.turn:  # another thread may have stopped it
            self._go_on()

    def _go_on(self) -> None:
        """Plan the next slice; one that is planned already will not be."""
        self._planned += 1
        plan, slice_ = self._planned, self.unless_newer(self._slice)
        self.soon(lambda: slice_() if plan == self._planned else None)
