"""The panels of a saved page as SVG markup, made from the same `LinePanel`s as a lab's picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from gradwidgets.core import Array
from gradwidgets.plots import Limits, LinePanel, Series, StyledRun, placed_labels, wrapped

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, BOTTOM, TOP = 54, 72, 42, 34
"""Room around the axes: numbers, names of curves, label, title."""
ACROSS, UP = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP
FINE = 10
"""Curves are drawn to this part of a unit; whole numbers keep the file small."""
SPILL = 3
"""Curves may be seen so far outside the axes, so that a line along an edge is whole."""
LINE = 13
"""Units from one line of text to the next."""
LABEL_SIZE = 8.5
"""Points of type, at which names are as wide as the page's 12 units make them, or wider."""


class PanelMarkup:
    """One panel whose axes are the same for all runs, so that only curves move with a slider.

    Args:
        panel: gives the curves and their labels.
        runs: all that are ever drawn; the axes are wide enough for those that stay finite.
        most: a curve has at most about so many points.
    """

    def __init__(self, panel: LinePanel, runs: Sequence[StyledRun], most: int) -> None:
        finite = [run for run in runs if not run.history.diverged] or list(runs)
        limits = panel.limits(finite)
        last = max(run.history.recipe.updates for run in runs)
        self.panel, self.most = panel, most
        self.limits = Limits((0, last), limits.y, limits.log)

    def axes(self) -> str:
        """Title, grid and numbers."""
        (left, right), (low, high) = self.limits.x, self.limits.y
        linear = MaxNLocator(5, steps=[1, 2, 5, 10])
        ticks = self.limits.log_ticks() if self.limits.log else linear
        rows = [y for y in ticks.tick_values(low, high) if low <= y <= high]
        columns = MaxNLocator(5, integer=True).tick_values(left, right)
        columns = [x for x in columns if left <= x <= right]
        parts = [_text(0, 14, self.panel.heading(self.limits), "title")]
        for value, y in zip(rows, TOP + self.down(np.array(rows)), strict=True):
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{ACROSS}"/>')
            parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "left"))
        for value, x in zip(columns, LEFT + self.across(np.array(columns)), strict=True):
            parts.append(f'<path class="grid" d="M{x:.1f} {TOP}v{UP}"/>')
            parts.append(_text(x, TOP + UP + 17, f"{value:g}", "below"))
        parts.append(f'<path class="axis" d="M{LEFT} {TOP}v{UP}h{ACROSS}"/>')
        parts.append(_text(LEFT + ACROSS / 2, HEIGHT - 6, "update", "below"))
        return "".join(parts)

    def curves(self, run: StyledRun) -> str:
        """The curves of one run; a cross where it diverged."""
        inside, crosses = "", ""
        for series in self.panel.series(run.history):
            points = self._points(series)
            inside += f'<path class="{run.role} {series.dash}" d="{_path(points)}"/>'
            if run.history.diverged and len(points):
                x, y = points[-1] / FINE
                y = TOP + float(np.clip(np.nan_to_num(y), 0, UP))
                cross = f"M{LEFT + x - 4:.1f} {y - 4:.1f}l8 8m0-8l-8 8"
                crosses += f'<path class="{run.role} cross" d="{cross}"/>'
        width, height, spill = ACROSS + 2 * SPILL, UP + 2 * SPILL, SPILL * FINE
        window = f"{-spill} {-spill} {width * FINE} {height * FINE}"
        place = f'x="{LEFT - SPILL}" y="{TOP - SPILL}" width="{width}" height="{height}"'
        return f'<svg {place} viewBox="{window}">{inside}</svg>{crosses}'

    def labels(self, runs: Sequence[StyledRun]) -> str:
        """The names of the curves, at the ends of these."""

        def share(height: float) -> float:
            return 1 - float(np.nan_to_num(self.down(np.array([height]))[0])) / UP

        parts = []
        for height, text, run in placed_labels(self.panel, runs, share, LINE / UP, _fit):
            lines = text.split("\n")
            x, y = LEFT + ACROSS + 7, TOP + (1 - height) * UP + 4 - LINE * (len(lines) - 1) / 2
            parts += [_text(x, y + LINE * n, line, run.role) for n, line in enumerate(lines)]
        return "".join(parts)

    def across(self, x: Array) -> Array:
        """Distances from the left edge of the axes."""
        low, high = self.limits.x
        return (x - low) / (high - low) * ACROSS

    def down(self, y: Array) -> Array:
        """Distances from the top edge, NaN where there is no place; far out is near enough."""
        low, high = self.limits.y
        with np.errstate(all="ignore"):
            values, ends = (np.log(y), np.log([low, high])) if self.limits.log else (y, [low, high])
            share = (values - ends[0]) / (ends[1] - ends[0])
        share[~np.isfinite(share)] = np.nan
        return (1 - np.clip(share, -1, 2)) * UP

    def _points(self, series: Series) -> Array:
        """(n, 2) points in fine units, thinned: whole numbers, or NaN where there is no place."""
        points = np.stack([self.across(series.x), self.down(series.y)], axis=1) * FINE
        thinned: Array = np.rint(points)[kept(points[:, 1], self.most)]
        return thinned


def kept(values: Array, most: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Places of the values to draw: the first, the last, and the extremes of each stretch."""
    if len(values) <= most:
        return np.arange(len(values))
    known = np.nan_to_num(values)
    stretches = np.array_split(np.arange(len(values)), most // 2)
    extremes = [s[find(known[s])] for s in stretches for find in (np.argmin, np.argmax)]
    return np.unique([0, *extremes, len(values) - 1])


def _fit(name: str) -> str:
    """The name of a curve in lines that fit beside the axes."""
    return wrapped(name, RIGHT - 7, LABEL_SIZE)


def _path(points: Array) -> str:
    """Relative steps, a new beginning after each gap; a point by itself becomes a dot."""
    parts: list[str] = []
    last: tuple[int, int] | None = None
    for x, y in points.tolist():
        if y != y:
            last = None
            continue
        if last is None:
            parts.append(f"M{x:.0f} {y:.0f}l0 0")
        else:
            parts.append(f" {x - last[0]:.0f} {y - last[1]:.0f}")
        last = (x, y)
    return "".join(parts).replace(" -", "-").removesuffix("l")


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
