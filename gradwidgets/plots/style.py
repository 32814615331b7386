"""The look of pictures: colours that colour-blind people can tell apart, and a run with its own."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from weakref import ref

from gradwidgets.core import History


@dataclass(frozen=True)
class Theme:
    """Colours of a picture. Curves are the palette of Okabe and Ito (2008), lightened for dark.

    Args:
        paper: background.
        ink: text and axes.
        faint: grid lines.
        live: the run that the controls stand at.
        baseline: the run it is compared with.
        pinned: runs that the learner keeps, one after the other.
        classes: samples of class 0, 1, ... in a plane.

    >>> LIGHT.paper, DARK.paper
    ('#ffffff', '#111111')
    """

    paper: str
    ink: str
    faint: str
    live: str
    baseline: str
    pinned: tuple[str, ...]
    classes: tuple[str, ...]


LIGHT = Theme(
    paper="#ffffff",
    ink="#212121",
    faint="#e0e0e0",
    live="#0072b2",
    baseline="#6b6b6b",
    pinned=("#d55e00", "#00805c", "#b0528f", "#8a6100"),
    classes=("#0072b2", "#d55e00"),
)
DARK = Theme(
    paper="#111111",
    ink="#e8e8e8",
    faint="#3a3a3a",
    live="#56b4e9",
    baseline="#a8a8a8",
    pinned=("#f0824a", "#2bc39a", "#e0a0c8", "#e6b83c"),
    classes=("#56b4e9", "#f0824a"),
)

DASHES: dict[str, tuple[float, tuple[float, ...]]] = {
    "solid": (0, ()),
    "dashed": (0, (5, 2)),
    "dotted": (0, (1.2, 1.6)),
    "dashdot": (0, (6, 2, 1.2, 2)),
}
"""Line patterns by name: colour is never the only sign."""


@dataclass(frozen=True, eq=False)
class StyledRun:
    """A history on the picture, with its label, colour and line.

    Args:
        history: what happened at every update.
        label: stands at the end of its curve.
        role: "live", "baseline" or "pinned".
        number: counts pinned runs, for their colours.
        seeds: the same recipe under several seeds, to be drawn as a band.

    >>> from gradwidgets import train
    >>> start = StyledRun(train("bowl"), "start", role="baseline")
    >>> start.dash, start.color(LIGHT) == LIGHT.baseline
    ('dashed', True)
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
    def dash(self) -> str:
        """The line pattern of this run's curves."""
        return {"live": "solid", "baseline": "dashed", "pinned": "dashdot"}[self.role]

    @property
    def width(self) -> float:
        """The line width of this run's curves, in points."""
        return 2.2 if self.role == "live" else 1.6
