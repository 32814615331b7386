"""The names of curves: cut into lines that fit, and moved apart where they would overlap."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from gradwidgets.plots.panels import Panel
from gradwidgets.plots.style import StyledRun

DPI = 100
LINE = 14
"""Pixels from one line to the next."""
MOST_LINES = 3
"""Lines of the name of a curve; what does not fit ends in an ellipsis."""
GAP = 0.3
"""Lines left free around a name of several lines, to tell it from the next."""
PARTS = re.compile(r"[._]*[^._]+[._]*|[._]+")
"""Parts of a name such as "layers.0.weight", each with the signs behind it."""
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def placed_labels(
    panel: Panel,
    runs: Sequence[StyledRun],
    share: Callable[[float], float],
    line: float,
    fit: Callable[[str], str] = str,
) -> list[tuple[float, str, StyledRun]]:
    """(height, text, run) of the names of curves, moved apart where they would overlap.

    Args:
        panel: gives each run's labels.
        runs: what is drawn.
        share: the share of the axes' height, 0 at the bottom, at which a value stands.
        line: the share that a line of text takes.
        fit: cuts a name into lines.

    Returns:
        For each name the height of its middle, its lines, and whose it is.

    >>> from gradwidgets import train
    >>> from gradwidgets.plots import LOSS
    >>> history = train("bowl")
    >>> runs = [StyledRun(history, label) for label in ("one", "two")]
    >>> [(y, text) for y, text, _ in placed_labels(LOSS, runs, lambda loss: 0.5, 0.25)]
    [(0.5, 'one'), (0.75, 'two')]
    """
    wanted = [
        (min(max(share(height), 0.0), 1.0), fit(text), run)
        for run in runs
        for height, text in panel.labels(run)
    ]
    wanted.sort(key=lambda label: label[:2])
    counts = [len(text.split("\n")) for _, text, _ in wanted]
    sizes = [line * (count if count == 1 else count + GAP) for count in counts]
    heights = apart([y for y, _, _ in wanted], sizes)
    return [(y, text, run) for y, (_, text, run) in zip(heights, wanted, strict=True)]


def apart(heights: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """The middles of labels of these sizes, near the same ascending heights, none on another.

    None reaches above 1.
    """
    placed: list[float] = []
    floor = float("-inf")
    for height, size in zip(heights, sizes, strict=True):
        placed.append(max(height, floor + size / 2))
        floor = placed[-1] + size / 2
    ceiling = 1.0
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], ceiling - sizes[index] / 2)
        ceiling = placed[index] - sizes[index] / 2
    return placed


def wrapped(
    text: str, width: float, size: float, weight: str = "normal", most: int = MOST_LINES
) -> str:
    """A text in at most so many lines of at most so many pixels; an ellipsis says what is left out.

    A word that is too long is broken after its dots and underscores, as of a parameter's name.

    Args:
        text: words; its own lines are kept.
        width: pixels.
        size: of the type, in points.
        weight: "normal" or "bold".
        most: lines.

    >>> wrapped("encoder.layers.0.weight", 70, 8.5).splitlines()
    ['encoder.', 'layers.0.', 'weight']
    """
    lines = [
        part for line in text.split("\n") for part in _broken(line.split(), width, size, weight)
    ]
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + ELLIPSIS]
    return "\n".join(_cut(line, width, size, weight) for line in lines)


def _broken(words: Sequence[str], width: float, size: float, weight: str) -> list[str]:
    lines: list[str] = []
    for word in words:
        fits = _pixels(word, size, weight) <= width
        for number, part in enumerate([word] if fits else PARTS.findall(word)):
            longer = lines[-1] + " " * (number == 0) + part if lines else part
            if lines and _pixels(longer, size, weight) <= width:
                lines[-1] = longer
            else:
                lines.append(part)
    return lines or [""]


def _cut(line: str, width: float, size: float, weight: str) -> str:
    """The line, without the end for which there is no room."""
    kept = line.removesuffix(ELLIPSIS)
    if _pixels(line, size, weight) <= width:
        return line
    while kept and _pixels(kept + ELLIPSIS, size, weight) > width:
        kept = kept[:-1]
    return kept + ELLIPSIS


@lru_cache(1000)
def _pixels(text: str, size: float, weight: str) -> float:
    """The width of a text."""
    renderer = RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]
    font = FontProperties(size=size, weight=weight)
    return float(renderer.get_text_width_height_descent(text, font, ismath=False)[0])  # type: ignore[no-untyped-call]
