"""The axes of a saved page as SVG markup; the page's own program draws the curves between them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gradwidgets.core import Array, Problem
from gradwidgets.plots import Limits, LinePanel, SurfacePanel, wrapped

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, BOTTOM, TOP = 54, 72, 42, 34
"""Room around the axes: numbers, names of curves, label, title."""
ACROSS, UP = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP
LABEL_SIZE = 8.5
"""Points of type, at which names are as wide as the page's 12 units make them, or wider."""
LAYOUT = {"left": LEFT, "top": TOP, "across": ACROSS, "up": UP, "line": 13}
"""The same for the page's program, and the units from one line of text to the next."""


def line_axes(panel: LinePanel, limits: Limits) -> str:
    """Title, grid and numbers of curves over the updates."""
    (left, right), (low, high) = limits.x, limits.y
    linear = MaxNLocator(5, steps=[1, 2, 5, 10])
    rows = (limits.log_ticks() if limits.log else linear).tick_values(low, high)
    columns = MaxNLocator(5, integer=True).tick_values(left, right)
    return _axes(panel.heading(limits), limits, columns, rows, ("update", ""))


def surface_axes(panel: SurfacePanel, limits: Limits) -> str:
    """Title, numbers, and the contours of the loss."""
    names, (x, y, heights) = panel.names, panel.heights(limits)
    levels = panel.levels(heights)
    found = Figure().subplots().contour(x, y, heights, levels).allsegs if levels else []
    lines = [
        _line(_across(line[:, 0], limits), _up(line[:, 1], limits))
        for level in found
        for line in level
        if len(line)
    ]
    drawn = f'<path class="contour" d="{"".join(lines)}"/>'
    return drawn + _plane(panel.title, limits, names)


def boundary_axes(title: str, problem: Problem, limits: Limits) -> str:
    """Title, numbers, and the samples: circles of class 0, triangles of class 1."""
    x, y = problem.batches()
    samples = []
    places = zip(_across(x[:, 0].numpy(), limits), _up(x[:, 1].numpy(), limits), strict=True)
    for (across, up), label in zip(places, y.tolist(), strict=True):
        shape = "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0" if label == 0 else "m0-3.4l3.2 6h-6.4z"
        samples.append(f'<path class="class-{label}" d="M{across:.1f} {up:.1f}{shape}"/>')
    return "".join(samples) + _plane(title, limits, ("input 1", "input 2"))


def fit(name: str) -> list[str]:
    """The name of a curve in lines that fit beside the axes."""
    return wrapped(name, RIGHT - 7, LABEL_SIZE).split("\n")


def _plane(title: str, limits: Limits, names: Sequence[str]) -> str:
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10])
    return _axes(title, limits, ticks.tick_values(*limits.x), ticks.tick_values(*limits.y), names)


def _axes(
    title: str,
    limits: Limits,
    columns: Sequence[float],
    rows: Sequence[float],
    names: Sequence[str],
) -> str:
    (left, right), (low, high) = limits.x, limits.y
    columns = [x for x in columns if left <= x <= right]
    rows = [y for y in rows if low <= y <= high]
    parts = [_text(0, 14, title, "title")]
    for value, y in zip(rows, _up(np.array(rows), limits), strict=True):
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{ACROSS}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "left"))
    for value, x in zip(columns, _across(np.array(columns), limits), strict=True):
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}v{UP}"/>')
        parts.append(_text(x, TOP + UP + 17, f"{value:g}", "below"))
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}v{UP}h{ACROSS}"/>')
    parts.append(_text(LEFT + ACROSS / 2, HEIGHT - 6, names[0], "below"))
    if names[1]:
        parts.append(_text(LEFT, TOP - 5, names[1], "name"))
    return "".join(parts)


def _across(values: Array, limits: Limits) -> Array:
    low, high = limits.x
    found: Array = LEFT + (values - low) / (high - low) * ACROSS
    return found


def _up(values: Array, limits: Limits) -> Array:
    ends = np.array(limits.y)
    if limits.log:
        values, ends = np.log(values), np.log(ends)
    found: Array = TOP + (1 - (values - ends[0]) / (ends[1] - ends[0])) * UP
    return found


def _line(x: Array, y: Array) -> str:
    points = " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    return f"M{points}"


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
