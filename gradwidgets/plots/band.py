"""Several runs as one band: the middle half of their curves, and the median."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D

from gradwidgets.core import Array
from gradwidgets.plots.run_style import RunStyle
from gradwidgets.plots.scale import LARGEST
from gradwidgets.plots.theme import DASHES, Theme


@dataclass(frozen=True, eq=False)
class Band:
    """Quartiles at each position: (n,) arrays."""

    x: Array
    low: Array
    median: Array
    high: Array


def quartiles(curves: Sequence[tuple[Array, Array]]) -> Band:
    """Quartiles (by nearest rank) of curves (x, y) that start together.

    A curve that ended early because its run diverged counts as infinite from there on.
    """
    x = max((x for x, _ in curves), key=len)
    table = np.full((len(curves), len(x)), np.inf)
    for row, (_, y) in zip(table, curves, strict=True):
        row[: len(y)] = y
    return Band(x, *np.quantile(table, (0.25, 0.5, 0.75), axis=0, method="nearest"))


def band_artists(run: RunStyle, shown: Band, theme: Theme) -> list[Artist]:
    """The middle half as an area, the median as a thin line, in the run's colour."""
    finite = np.isfinite(shown.median) & np.isfinite(shown.low)
    x, color = shown.x[finite], run.color(theme)
    high = np.minimum(shown.high[finite], LARGEST)
    outline = np.concatenate(
        [np.stack([x, shown.low[finite]], axis=1), np.stack([x, high], axis=1)[::-1]]
    )
    area = PolyCollection([outline], facecolor=color, edgecolor=color, alpha=0.22)
    line = Line2D(x, shown.median[finite], color=color, linestyle=DASHES[run.dash], linewidth=1.0)
    return [area, line] if len(x) else []
