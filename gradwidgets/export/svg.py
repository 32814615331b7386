"""Curves and axes of a saved page, as SVG markup: the panels of `lines`, without matplotlib."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from gradwidgets.core import Array
from gradwidgets.plots import Limits, LinePanel, RunStyle, Series, apart

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


@dataclass(frozen=True)
class Frame:
    """Where values of a panel stand on its drawing.

    Args:
        limits: the ranges of the axes.
        most: a curve has at most about so many points.
    """

    limits: Limits
    most: int

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


def frame_of(panel: LinePanel, runs: Sequence[RunStyle], most: int) -> Frame:
    """One frame for all runs, so that only curves move: wide enough for those that stay finite."""
    calm = [run for run in runs if not run.diverged] or list(runs)
    last = max(run.history.recipe.updates for run in runs)
    if any(panel.limits([run]).log for run in calm):  # another run may reach zero
        panel = dataclasses.replace(panel, log=True)
    limits = panel.limits(calm)
    return Frame(Limits((0, last), limits.y, limits.log), most)


def axes(panel: LinePanel, frame: Frame) -> str:
    """Title, grid and numbers: all that is the same for every run."""
    limits = frame.limits
    rows = [y for y in _heights(panel, limits) if limits.y[0] <= y <= limits.y[1]]
    columns = MaxNLocator(5, integer=True).tick_values(*limits.x)
    columns = [x for x in columns if limits.x[0] <= x <= limits.x[1]]
    parts = [_text(0, 14, panel.title + " (log scale)" * limits.log, "title")]
    for value, y in zip(rows, TOP + frame.down(np.array(rows)), strict=True):
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{ACROSS}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "left"))
    for value, x in zip(columns, LEFT + frame.across(np.array(columns)), strict=True):
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}v{UP}"/>')
        parts.append(_text(x, TOP + UP + 17, f"{value:g}", "below"))
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}v{UP}h{ACROSS}"/>')
    parts.append(_text(LEFT + ACROSS / 2, HEIGHT - 6, "update", "below"))
    return "".join(parts)


def curves(panel: LinePanel, frame: Frame, run: RunStyle) -> str:
    """The curves of one run; a cross where it diverged."""
    inside, crosses = "", ""
    for series in panel.series(run.history):
        points = _points(frame, series)
        inside += f'<path class="{run.role} {series.dash}" d="{_path(points)}"/>'
        if run.diverged and len(points):
            x, y = points[-1] / FINE
            y = TOP + float(np.clip(np.nan_to_num(y), 0, UP))
            cross = f"M{LEFT + x - 4:.1f} {y - 4:.1f}l8 8m0-8l-8 8"
            crosses += f'<path class="{run.role} cross" d="{cross}"/>'
    width, height, spill = ACROSS + 2 * SPILL, UP + 2 * SPILL, SPILL * FINE
    window = f"{-spill} {-spill} {width * FINE} {height * FINE}"
    place = f'x="{LEFT - SPILL}" y="{TOP - SPILL}" width="{width}" height="{height}"'
    return f'<svg {place} viewBox="{window}">{inside}</svg>{crosses}'


def names(panel: LinePanel, frame: Frame, runs: Sequence[RunStyle]) -> str:
    """The names of the curves, at the ends of these."""
    wanted = []
    for run in runs:
        for height, text in panel.labels(run):
            y = float(np.nan_to_num(frame.down(np.array([height]))[0]))
            wanted.append((1 - min(max(y / UP, 0.0), 1.0), text, run.role))
    wanted.sort()
    heights = apart([share for share, _, _ in wanted], LINE / UP)
    parts = []
    for share, (_, text, role) in zip(heights, wanted, strict=True):
        x, y = LEFT + ACROSS + 7, TOP + (1 - share) * UP + 4
        parts += [_text(x, y + LINE * n, t, role) for n, t in enumerate(text.split("\n"))]
    return "".join(parts)


def _heights(panel: LinePanel, limits: Limits) -> list[float]:
    if not limits.log:
        return list(MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(*limits.y))
    _, few = panel.scenery(limits)
    locator = LogLocator(subs=(1, 2, 5) if few else (1,), numticks=7)
    return list(locator.tick_values(*limits.y))


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _points(frame: Frame, series: Series) -> Array:
    """(n, 2) points in fine units, thinned: whole numbers, or NaN where there is no place."""
    points = np.stack([frame.across(series.x), frame.down(series.y)], axis=1) * FINE
    thinned: Array = np.rint(points)[kept(points[:, 1], frame.most)]
    return thinned


def kept(values: Array, most: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Which of many values to draw: the first, the last, and the extremes of each stretch."""
    if len(values) <= most:
        return np.arange(len(values))
    known = np.nan_to_num(values)
    stretches = np.array_split(np.arange(len(values)), most // 2)
    extremes = [s[find(known[s])] for s in stretches for find in (np.argmin, np.argmax)]
    return np.unique([0, *extremes, len(values) - 1])


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
