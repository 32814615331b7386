"""The starts of updates, kept so that going back is fast, and few enough to fit the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradwidgets.stepper.program import Program
from gradwidgets.stepper.walk import reads_first
from gradwidgets.stepper.workspace import Checkpoint

MEMORY = 256 * 2**20
"""Bytes that checkpoints may hold together; beyond, every other one is let go."""


class Checkpoints:
    """Checkpoints by the update at whose start they were made; the first is never let go."""

    def __init__(self) -> None:
        self._points: dict[int, Checkpoint] = {}
        self._stride = 1

    def __len__(self) -> int:
        return len(self._points)

    def __getitem__(self, update: int) -> Checkpoint:
        return self._points[update]

    def keep(self, update: int, remember: Callable[[], Checkpoint]) -> None:
        """Keep what `remember` returns for the start of an update, unless that is kept or left."""
        if update in self._points or update % self._stride:
            return
        self._points[update] = remember()
        while self._points[update].nbytes * len(self._points) > MEMORY and len(self._points) > 2:
            self._stride *= 2
            self._points = {at: p for at, p in self._points.items() if at % self._stride == 0}
            if update not in self._points:
                break

    def forget_after(self, update: int) -> None:
        """Let go of every later start than that of `update`."""
        self._points = {at: point for at, point in self._points.items() if at <= update}

    def sound_start(self, programs: Sequence[Program]) -> int:
        """From which start to execute these programs, one an update, to end as they did.

        The latest that lacks nothing: no statement from there reads a graph that no copy holds.
        """
        start = len(programs) - 1
        while start and (
            start not in self._points or reads_first(programs[start], self._points[start].graphs)
        ):
            start -= 1
        return start
