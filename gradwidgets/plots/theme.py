"""One style for every picture: colours that colour-blind people can tell apart, light and dark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Colours of a picture. Curves are the palette of Okabe and Ito (2008), lightened for dark.

    Args:
        paper: background.
        ink: text and axes.
        faint: grid lines.
        live: the run in hand.
        baseline: the run it is compared with.
        pinned: runs kept by the learner, in turn.
        classes: what stands for class 0, 1, ... in a plane.
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
