"""Do what the learner asks for on the kernel's own event loop, one thing at a time."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from gradwidgets.core import PROCESS_LOCK

STEP = 0.02
"""Seconds that a step of work should take at most: so long the learner may have to wait."""

RESPITE = 0.1
"""Share of a longer step for which the loop is then left alone: it hands a message on in several
turns, and another step would come between any two."""

END = math.inf
"""The pause after the last step."""

Action = Callable[[], object]
Steps = Iterator[float | None]
"""Work, step by step: yields how many seconds to pause, or None."""


class LoopScheduler:
    """Does actions on the event loop that runs when this object is made; without one, at once.

    A loop that has been closed counts as none.

    Front ends deliver what the learner does on any thread. `soon` is the way in for all of it:
    actions are done in the order in which they came, each to its end before the next begins, and
    one at a time in the whole process. So they need not mind threads.

    >>> scheduler = LoopScheduler()
    >>> scheduler.soon(lambda: print("here is no event loop"))
    here is no event loop
    >>> scheduler.deferred
    False
    """

    def __init__(self) -> None:
        self._coming: deque[Action] = deque()
        self._busy = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    @property
    def deferred(self) -> bool:
        """True if there is an event loop, which runs actions later."""
        return self._loop is not None

    def soon(self, action: Action) -> None:
        """Do `action` after all that came before it. Returns at once if there is a loop."""
        self._coming.append(action)
        if not self._plan(self._catch_up):
            self._catch_up()

    def later(self, seconds: float, action: Action) -> None:
        """Do `action` after so many seconds; without a loop as `soon` does."""
        loop = self._loop
        if loop is None or not self._plan(partial(loop.call_later, seconds, self._do, action)):
            self.soon(action)

    def _plan(self, call: Action) -> bool:
        """Have the loop make a call; returns whether there is one. One that is closed is none."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            self._loop = None
        return self.deferred

    @contextmanager
    def now(self) -> Iterator[None]:
        """Let code on any thread act like an action inside the block: in order, and alone."""
        with PROCESS_LOCK:
            self._catch_up()
            within, self._busy = self._busy, True
            try:
                yield
            finally:
                self._busy = within
            self._catch_up()

    def _do(self, action: Action) -> None:
        with self.now():
            action()

    def _catch_up(self) -> None:
        with PROCESS_LOCK:
            if self._busy:
                return  # within an action, which comes first
            self._busy = True
            try:
                while self._coming:
                    self._do_next()
            finally:
                self._busy = False

    def _do_next(self) -> None:
        """One action that fails must not end the work of another, which may be waiting here."""
        action = self._coming.popleft()
        try:
            action()
        except Exception as error:
            if self._loop is None:
                raise
            failed = {"message": f"{action!r} failed", "exception": error}
            self._loop.call_soon_threadsafe(self._loop.call_exception_handler, failed)


class LatestTask:
    """Takes one step after another of a piece of work; newer work takes the place of older.

    Work is a generator: up to a `yield` is one step, of `STEP` seconds at most. After it whatever
    the learner has done comes first; `yield 0.3` pauses for 0.3 seconds, too.

    Args:
        scheduler: on which steps are taken; None makes one.

    Attributes:
        scheduler: for actions that must not come in the middle of a step.
        hurried: whether code waits for the work meanwhile.

    >>> task = LatestTask()
    >>> task.begin(print("step", number) for number in (1, 2))
    step 1
    step 2
    """

    def __init__(self, scheduler: LoopScheduler | None = None) -> None:
        self.scheduler = scheduler or LoopScheduler()
        self.hurried = not self.scheduler.deferred
        self._steps: Steps | None = None

    @property
    def busy(self) -> bool:
        """True if there may be steps left to take."""
        return self._steps is not None

    def begin(self, steps: Steps) -> None:
        """Take these steps soon, and no more of what was begun before."""
        self._steps = steps
        self.scheduler.later(0.0, partial(self._go_on, steps))

    def stop(self) -> None:
        """Take no more steps."""
        self._steps = None

    def finish(self, enough: Callable[[], bool] = lambda: False, seconds: float = math.inf) -> None:
        """Take steps here and now, without pauses: all, or until `enough`, or for so long.

        The event loop continues with what is left.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.scheduler.now():
                within, self.hurried = self.hurried, True
                try:
                    if enough() or self._step() == END:
                        return
                finally:
                    self.hurried = within
            time.sleep(0)  # whoever waits on another thread has its turn

    def _go_on(self, steps: Steps) -> None:
        if steps is self._steps:
            begun = time.monotonic()
            pause = self._step()
            took = time.monotonic() - begun
            if pause != END:
                respite = RESPITE * took if took > 2 * STEP else 0.0
                self.scheduler.later(pause or respite, partial(self._go_on, steps))

    def _step(self) -> float | None:
        """Take a step; returns the pause after it, or `END`."""
        steps = self._steps
        pause: float | None = END
        try:
            pause = END if steps is None else next(steps, END)
        finally:
            if pause == END and steps is self._steps:
                self._steps = None
        return pause
