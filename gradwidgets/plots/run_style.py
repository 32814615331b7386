"""What a picture shows: histories, each with its part in the comparison."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from weakref import ref

from gradwidgets.core import History
from gradwidgets.plots.theme import Theme


@dataclass(frozen=True, eq=False)
class RunStyle:
    """A history on the picture.

    Args:
        history: what happened.
        label: what stands at the end of its curve.
        role: "live", "baseline" or "pinned".
        number: counts pinned runs, for their colours.
        seeds: the same recipe under several seeds, to be drawn as a band.
    """

    history: History
    label: str
    role: str = "live"
    number: int = 0
    seeds: tuple[History, ...] = ()

    @property
    def key(self) -> Hashable:
        """Equal for those that look the same, and keeps no history alive."""
        return *map(ref, (self.history, *self.seeds)), self.label, self.role, self.number

    def color(self, theme: Theme) -> str:
        """The colour of this run's curves."""
        if self.role == "pinned":
            return theme.pinned[self.number % len(theme.pinned)]
        return theme.live if self.role == "live" else theme.baseline

    @property
    def diverged(self) -> bool:
        """Whether the run ended because its loss was no longer finite."""
        return self.history.stopped is not None and self.history.stopped[1] == "diverged"

    @property
    def dash(self) -> str:
        """The line pattern of this run's curves."""
        return {"live": "solid", "baseline": "dashed", "pinned": "dashdot"}[self.role]

    @property
    def width(self) -> float:
        """The line width of this run's curves, in points."""
        return 2.2 if self.role == "live" else 1.6
