"""The words above a picture that is kept: what was trained, and with which settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from gradwidgets.core import settings
from gradwidgets.plots.labels import DPI, LINE, wrapped
from gradwidgets.plots.style import StyledRun, Theme

MARGIN = 12
"""Pixels around the words."""
SIZE = 8.5
"""Points of type, those of the names of curves."""


def caption(
    heading: str, runs: Sequence[StyledRun], theme: Theme, width: int, text_scale: float
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(height, width, 3) pixels: the heading, then the settings of each run in its colour."""
    rows = [(heading, theme.ink, "bold")]
    for run in runs:
        said = settings.in_words([run.history.recipe])
        rows.append((f"{run.label}: {said}", run.color(theme), "normal"))
    margin, line = MARGIN * text_scale, LINE * text_scale * 1.25
    room = width - 2 * margin
    lines = [
        (part, color, weight)
        for text, color, weight in rows
        for part in wrapped(text, room, SIZE * text_scale, weight, most=6).split("\n")
    ]
    height = round(len(lines) * line + 2 * margin)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=theme.paper)
    canvas = FigureCanvasAgg(figure)
    for number, (text, color, weight) in enumerate(lines):
        figure.add_artist(
            Text(
                margin / width,
                1 - (margin + number * line) / height,
                text,
                color=color,
                fontsize=SIZE * text_scale,
                fontweight=weight,
                va="top",
                parse_math=False,
            )
        )
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
