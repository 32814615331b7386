"""One panel on a figure of its own: a stored background, on which the live run is drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from gradwidgets.plots.panels import Panel
from gradwidgets.plots.scale import Limits
from gradwidgets.plots.style import StyledRun, Theme

DPI = 100
MARGINS = (64, 78, 50, 38)
"""Pixels to the left, right, bottom and top of the axes: numbers, curve names, labels, title."""
LABEL_GAP = 14
"""Least pixels between two curve names."""
BACKGROUNDS = 4
"""Stored at most, each of half a megabyte."""


class Pane:
    """One panel of the picture.

    Axes, contours and all runs but the live one are a background, of which the latest few are
    stored: another is drawn only when the limits, the other runs or the theme change.

    Args:
        panel: the axes, and what they show of a run.
        size: (width, height) in pixels.
        text_scale: factor on type, lines and margins.
    """

    def __init__(self, panel: Panel, size: tuple[int, int], text_scale: float = 1.0) -> None:
        self.panel = panel
        width, height = size
        left, right, bottom, top = (text_scale * margin for margin in MARGINS)
        across, up = width - left - right, height - bottom - top
        dpi = DPI * text_scale
        self._figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
        self._agg = FigureCanvasAgg(self._figure)
        self._axes: Axes = self._figure.add_axes(
            (left / width, bottom / height, across / width, up / height)
        )
        self._gap = text_scale * LABEL_GAP / up
        self._axes_are_for: Any = None
        self._static_key: Any = None
        self._backgrounds: dict[Hashable, Any] = {}

    def render(
        self, runs: Sequence[StyledRun], theme: Theme, limits: Limits
    ) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """(height, width, 4) pixels of these runs; valid until the next call."""
        self._set_axes(limits, theme)
        others = [run for run in runs if run.role != "live"]
        key = limits, theme, *(run.key for run in others)
        background = self._backgrounds.pop(key, None) or self._draw_background(others, theme)
        self._backgrounds[key] = background  # now the last to go
        if len(self._backgrounds) > BACKGROUNDS:
            del self._backgrounds[next(iter(self._backgrounds))]
        self._agg.restore_region(background)  # type: ignore[no-untyped-call]
        for run in runs:
            if run.role == "live":
                self._draw(self.panel.artists(run, self._axes, theme))
        self._draw(self._labels(runs, theme))
        return np.asarray(self._agg.buffer_rgba())  # type: ignore[no-untyped-call]

    def _set_axes(self, limits: Limits, theme: Theme) -> None:
        """Make the axes what they have to be for these limits."""
        if (limits, theme) == self._axes_are_for:
            return
        self._axes_are_for = limits, theme
        self._figure.set_facecolor(theme.paper)
        key = (self.panel.static_key(limits), theme)
        if key != self._static_key:
            self._draw_static(limits, theme)
            self._static_key = key
        self._axes.set_xlim(limits.x)
        self._axes.set_ylim(limits.y)

    def _draw_background(self, others: Sequence[StyledRun], theme: Theme) -> Any:
        self._agg.draw()  # type: ignore[no-untyped-call]
        for run in others:
            self._draw(self.panel.artists(run, self._axes, theme))
        return self._agg.copy_from_bbox(self._figure.bbox)  # type: ignore[no-untyped-call]

    def _draw_static(self, limits: Limits, theme: Theme) -> None:
        with matplotlib.rc_context(_style(theme)):
            self._axes.clear()
            self._axes.set_facecolor(theme.paper)
            self._axes.tick_params(colors=theme.ink, labelsize=8.5)
            for side, spine in self._axes.spines.items():
                spine.set(color=theme.ink, visible=side in ("left", "bottom"))
            self.panel.draw_static(self._axes, limits, theme)

    def _draw(self, artists: Sequence[Artist]) -> None:
        for artist in artists:
            self._axes.add_artist(artist)
            self._axes.draw_artist(artist)
            artist.remove()

    def _labels(self, runs: Sequence[StyledRun], theme: Theme) -> list[Artist]:
        """The names of the curves at the right edge."""
        axes = self._axes

        def share(height: float) -> float:
            pixels = axes.transData.transform((0, height))
            return float(np.nan_to_num(axes.transAxes.inverted().transform(pixels)[1]))

        style: Any = {
            "fontsize": 8.5,
            "va": "center",
            "transform": axes.transAxes,
            "clip_on": False,
            "parse_math": False,  # names are not formulas
        }
        return [
            Text(1.02, y, text, color=run.color(theme), **style)
            for y, text, run in placed_labels(self.panel, runs, share, self._gap)
        ]


def placed_labels(
    panel: Panel, runs: Sequence[StyledRun], share: Callable[[float], float], gap: float
) -> list[tuple[float, str, StyledRun]]:
    """(height, text, run) of the names of curves, moved apart where they would overlap.

    Args:
        panel: gives each run's labels.
        runs: what is drawn.
        share: the share of the axes' height, 0 at the bottom, at which a value stands.
        gap: least share between two names.

    >>> from gradwidgets import train
    >>> from gradwidgets.plots import LOSS
    >>> history = train("bowl")
    >>> runs = [StyledRun(history, label) for label in ("one", "two")]
    >>> [(y, text) for y, text, _ in placed_labels(LOSS, runs, lambda loss: 0.5, 0.1)]
    [(0.5, 'one'), (0.6, 'two')]
    """
    wanted = [
        (min(max(share(height), 0.0), 1.0), text, run)
        for run in runs
        for height, text in panel.labels(run)
    ]
    wanted.sort(key=lambda label: label[:2])
    heights = apart([y for y, _, _ in wanted], gap)
    return [(y, text, run) for y, (_, text, run) in zip(heights, wanted, strict=True)]


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """The same ascending heights, at least `gap` apart, and none above 1 if that can be."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    ceiling = 1.0
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def _style(theme: Theme) -> Any:
    """The theme as matplotlib settings."""
    return {
        "axes.labelcolor": theme.ink,
        "axes.labelsize": 9,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titley": 1.03,  # a fixed place: looking for one takes longer than all the rest
    }
