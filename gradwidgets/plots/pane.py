"""One panel on a figure of its own: a stored background, on which the live run is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from gradwidgets.plots.labels import DPI, LINE, placed_labels, wrapped
from gradwidgets.plots.lines import LinePanel
from gradwidgets.plots.panels import Panel
from gradwidgets.plots.scale import Limits
from gradwidgets.plots.style import StyledRun, Theme

MARGINS = (64, 78, 50, 38)
"""Pixels to the left, right, bottom and top of the axes: numbers, curve names, labels, title."""
LABEL_AT, LABEL_SIZE = 1.02, 8.5
"""Place of the names of curves, as a share of the axes, and their points of type."""
TITLE_SIZE, LOW_SIZE = 10, 8.5
"""Points of type of a title in one line, and in two."""
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
        self.size = size
        width, height = size
        left, right, bottom, top = (text_scale * margin for margin in MARGINS)
        across, up = width - left - right, height - bottom - top
        dpi = DPI * text_scale
        self._figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
        self._agg = FigureCanvasAgg(self._figure)
        self._axes: Axes = self._figure.add_axes(
            (left / width, bottom / height, across / width, up / height)
        )
        self._line = text_scale * LINE / up
        self._title_room = (width - left) / text_scale - 2
        self._label_room = (width - left - LABEL_AT * across) / text_scale - 2
        self._axes_are_for: Any = None
        self._static_key: Any = None
        self._backgrounds: dict[Hashable, Any] = {}

    def limits(self, runs: Sequence[StyledRun]) -> Limits:
        """The ranges of the axes for these runs, whatever was drawn before.

        Only one thing is remembered: an axis that had to be linear, because a value was below
        zero, stays so.
        """
        limits = self.panel.limits(runs)
        if isinstance(self.panel, LinePanel) and not limits.log:
            self.panel = dataclasses.replace(self.panel, log=False)
        return limits

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
            self._fit_title()

    def _fit_title(self) -> None:
        """Put a title that is too long into two lines of smaller type."""
        title = self._axes.get_title(loc="left")
        if wrapped(title, self._title_room, TITLE_SIZE, "bold", most=1) != title:
            before, bracket, scale = title.rpartition(" (")
            two = f"{before}\n({scale}" if bracket else title
            lines = wrapped(two, self._title_room, LOW_SIZE, "bold", most=2)
            self._axes.set_title(lines, fontsize=LOW_SIZE, y=1.01)

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
            "fontsize": LABEL_SIZE,
            "va": "center",
            "transform": axes.transAxes,
            "clip_on": False,
            "parse_math": False,  # names are not formulas
        }

        def fit(text: str) -> str:
            return wrapped(text, self._label_room, LABEL_SIZE)

        return [
            Text(LABEL_AT, y, text, color=run.color(theme), **style)
            for y, text, run in placed_labels(self.panel, runs, share, self._line, fit)
        ]


def _style(theme: Theme) -> Any:
    """The theme as matplotlib settings."""
    return {
        "axes.labelcolor": theme.ink,
        "axes.labelsize": 9,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": TITLE_SIZE,
        "axes.titleweight": "bold",
        "axes.titley": 1.03,  # a fixed place: looking for one takes longer than all the rest
    }
