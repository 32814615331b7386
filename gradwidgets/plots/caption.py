"""A sentence as pixels, to stand under a picture that is looked at without its notebook."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gradwidgets.plots.theme import Theme

DPI = 100
LINE = 18
"""Pixels from one line of text to the next."""
CHARACTER = 7
"""Pixels that a character takes, about."""


def caption(sentence: str, width: int, theme: Theme) -> np.ndarray[Any, Any]:
    """(height, width, 4) pixels of a sentence, as many lines high as it needs."""
    lines = textwrap.wrap(sentence, (width - 32) // CHARACTER) or [""]
    height = LINE * len(lines) + 10
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=theme.paper)
    text = "\n".join(lines)
    figure.text(16 / width, 1, text, color=theme.ink, fontsize=9.5, va="top", parse_math=False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
