"""A picture that lives: everything that stays is drawn once, only the live run is drawn anew."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from gradwidgets.plots.panels import Panel
from gradwidgets.plots.scale import Limits
from gradwidgets.plots.shown import Shown
from gradwidgets.plots.theme import LIGHT, Theme

DPI = 100
LABEL_GAP = 0.075
"""Least distance between two labels at an edge, as a share of the axes' height."""


class Canvas:
    """One figure, kept. `render` returns it as PNG bytes.

    Axes, contours, and all runs but the live one are a stored background. It is drawn anew only
    when the limits, the other runs or the theme change; limits change in coarse steps.

    Args:
        panels: what to show, from left to right.
        size: (width, height) in pixels.
    """

    def __init__(self, panels: Sequence[Panel], size: tuple[int, int] = (1100, 320)) -> None:
        self.panels = list(panels)
        self.size = size
        self._figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
        self._agg = FigureCanvasAgg(self._figure)
        self._axes: list[Axes] = []
        self._background: Any = None
        self._known: Any = None

    def render(self, runs: Sequence[Shown], theme: Theme = LIGHT) -> bytes:
        """The picture of these runs, as PNG."""
        others = [run for run in runs if run.role != "live"]
        limits = [panel.limits(runs) for panel in self.panels]
        known = (limits, [(id(run.history), run.label) for run in others], theme)
        if known != self._known:
            self._draw_background(others, limits, theme)
            self._known = known
        self._agg.restore_region(self._background)  # type: ignore[no-untyped-call]
        for panel, axes in zip(self.panels, self._axes, strict=True):
            for run in runs:
                if run.role == "live":
                    self._draw(axes, panel.artists(run, axes, theme))
            self._draw(axes, _labels(panel, axes, runs, theme))
        return self._png()

    def _draw_background(
        self, others: Sequence[Shown], limits: Sequence[Limits], theme: Theme
    ) -> None:
        self._figure.clear()
        self._figure.set_facecolor(theme.paper)
        with matplotlib.rc_context(_style(theme)):
            self._axes = list(np.atleast_1d(self._figure.subplots(1, len(self.panels))))
            for panel, axes, limit in zip(self.panels, self._axes, limits, strict=True):
                panel.prepare(axes, limit, theme)
                axes.set_xlim(limit.x)
                axes.set_ylim(limit.y)
            self._figure.subplots_adjust(left=0.05, right=0.93, bottom=0.16, top=0.88, wspace=0.45)
            self._agg.draw()  # type: ignore[no-untyped-call]
        for panel, axes in zip(self.panels, self._axes, strict=True):
            for run in others:
                self._draw(axes, panel.artists(run, axes, theme))
        self._background = self._agg.copy_from_bbox(  # type: ignore[no-untyped-call]
            self._figure.bbox
        )

    def _draw(self, axes: Axes, artists: Sequence[Artist]) -> None:
        for artist in artists:
            axes.add_artist(artist)
            axes.draw_artist(artist)
            artist.remove()

    def _png(self) -> bytes:
        """Fast rather than small: no alpha, a low compression."""
        rgba = self._agg.buffer_rgba()  # type: ignore[no-untyped-call]
        rgb = np.asarray(rgba)[..., :3]
        stream = io.BytesIO()
        Image.fromarray(rgb).save(stream, "png", compress_level=1)
        return stream.getvalue()


def _style(theme: Theme) -> Any:
    """The theme as matplotlib settings."""
    return {
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.labelsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
    }


def _labels(panel: Panel, axes: Axes, runs: Sequence[Shown], theme: Theme) -> list[Artist]:
    """The names of the curves at the right edge, moved apart where they would overlap."""
    wanted = []
    for run in runs:
        for height, text in panel.labels(run):
            y = axes.transAxes.inverted().transform(axes.transData.transform((0, height)))[1]
            wanted.append((float(np.clip(np.nan_to_num(y), 0, 1)), text, run.color(theme)))
    wanted.sort()
    heights = _apart([y for y, _, _ in wanted])
    return [
        Text(
            1.02,
            y,
            text,
            color=color,
            fontsize=8.5,
            va="center",
            transform=axes.transAxes,
            clip_on=False,
        )
        for y, (_, text, color) in zip(heights, wanted, strict=True)
    ]


def _apart(heights: Sequence[float]) -> list[float]:
    """The same ascending heights, at least `LABEL_GAP` apart, moved as little as need be."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + LABEL_GAP) if placed else height)
    excess = max(0.0, (placed[-1] - 1.0) if placed else 0.0)
    ceiling = 2.0
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i] - (excess if i == len(placed) - 1 else 0), ceiling - LABEL_GAP)
        ceiling = placed[i]
    return placed
