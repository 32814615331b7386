"""Do what the learner asks for on the kernel's own event loop, one thing at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial


class LoopScheduler:
    """Calls actions on the event loop that runs when this object is made.

    Front ends deliver what the learner does on other threads too. Without a loop (plain Python)
    an action is done at once. Whoever works outside an action holds `lock` meanwhile.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    @property
    def deferred(self) -> bool:
        """Whether there is an event loop to wait for."""
        return self._loop is not None

    def __call__(self, action: Callable[[], object]) -> None:
        """Do `action` soon, and not at the same time as another."""
        if self._loop is None:
            self._guarded(action)
        else:
            self._loop.call_soon_threadsafe(self._guarded, action)

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do `action` after so many seconds; without a loop at once."""
        loop = self._loop
        if loop is None or not seconds:
            self(action)
        else:
            wait = partial(loop.call_later, seconds, self._guarded, action)
            loop.call_soon_threadsafe(wait)

    def _guarded(self, action: Callable[[], object]) -> None:
        with self.lock:
            action()
