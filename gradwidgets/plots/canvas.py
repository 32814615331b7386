"""A picture that lives: panes beside or below each other, of which only what changed is redrawn."""

from __future__ import annotations

import math
from collections.abc import Generator, Hashable, Sequence
from functools import cached_property
from itertools import cycle, pairwise
from typing import Any

import numpy as np

from gradwidgets.plots.caption import caption
from gradwidgets.plots.pane import Pane
from gradwidgets.plots.panels import Panel
from gradwidgets.plots.png import encode
from gradwidgets.plots.style import LIGHT, StyledRun, Theme

KEPT = 100
"""Pictures kept at most, each of some 50 kB; the oldest go first."""


IN_A_ROW = 3
"""Panels side by side at most; more stand in several rows, which are lower then."""
LOWER = 0.8
"""The height of one of several rows, as a share of that of a single one."""
STACKED = 367
"""Width in pixels of panels one above the other, at most: on a telephone type stays legible."""


class Canvas:
    r"""Panels in rows, or one above the other; `render` returns them as PNG bytes.

    Args:
        panels: the axes, in their order.
        size: (width, height) in pixels of up to three panels side by side; more take several rows.
        text_scale: factor on type, lines and margins, to be legible from the last row.

    >>> from gradwidgets import train
    >>> from gradwidgets.plots import LOSS
    >>> canvas = Canvas([LOSS], size=(360, 300))
    >>> canvas.render([StyledRun(train("bowl"), "now")])[:8]
    b'\x89PNG\r\n\x1a\n'
    """

    def __init__(
        self, panels: Sequence[Panel], size: tuple[int, int] = (1100, 320), text_scale: float = 1.0
    ) -> None:
        self.size = size
        self._text_scale = text_scale
        self._drawn: dict[Hashable, bytes] = {}
        rows = math.ceil(len(panels) / IN_A_ROW)
        self._columns = math.ceil(len(panels) / rows)
        edges = np.linspace(0, size[0], self._columns + 1).round().astype(int).tolist()
        height = size[1] if rows == 1 else round(LOWER * size[1])
        sizes = [(right - left, height) for left, right in pairwise(edges)]
        self._panes = [
            Pane(panel, each, text_scale) for panel, each in zip(panels, cycle(sizes), strict=False)
        ]

    @cached_property
    def _stacked(self) -> list[Pane]:
        """The panes one above the other: those of a single row, unless they are too wide."""
        width, height = self._panes[0].size
        narrow = min(width, round(STACKED * self._text_scale)), self.size[1]
        if narrow == (width, height):
            return self._panes
        return [Pane(pane.panel, narrow, self._text_scale) for pane in self._panes]

    def render(
        self,
        runs: Sequence[StyledRun],
        theme: Theme = LIGHT,
        stacked: bool = False,
        heading: str = "",
    ) -> bytes:
        """The picture of these runs, as PNG.

        Args:
            runs: what is drawn.
            theme: its colours.
            stacked: panels stand one above the other, for a narrow screen.
            heading: stands above the panels, with the settings of each run below it.
        """
        steps = self._draw(runs, theme, stacked, heading)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            return bytes(end.value)

    def prepare(
        self, runs: Sequence[StyledRun], theme: Theme, stacked: bool = False
    ) -> Generator[None, None, bytes]:
        """Render for later, a pane at each step: what `render` would return."""
        return self._draw(runs, theme, stacked)

    def _draw(
        self, runs: Sequence[StyledRun], theme: Theme, stacked: bool, heading: str = ""
    ) -> Generator[None, None, bytes]:
        panes = self._stacked if stacked else self._panes
        limits = [pane.limits(runs) for pane in panes]
        key = theme, stacked, heading, *limits, *(run.key for run in runs)
        if key in self._drawn:
            return self._drawn[key]
        drawn = []
        for pane, its_limits in zip(panes, limits, strict=True):
            drawn.append(pane.render(runs, theme, its_limits)[..., :3].copy())
            yield
        pixels = _joined(drawn, 1 if stacked else self._columns)
        if heading:
            top = caption(heading, runs, theme, pixels.shape[1], self._text_scale)
            pixels = np.concatenate([top, pixels])
        png = encode(pixels)
        if all(run.history.ended for run in runs):  # another will not be asked for again
            self._drawn[key] = png
        if len(self._drawn) > KEPT:
            del self._drawn[next(iter(self._drawn))]
        return png


Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def _joined(panes: Sequence[Pixels], columns: int) -> Pixels:
    """The panes in rows: widths may differ by a pixel, and the last row may end in paper."""
    starts = range(0, len(panes), columns)
    rows = [np.concatenate(panes[start : start + columns], axis=1) for start in starts]
    width = min(row.shape[1] for row in rows[: len(panes) // columns])
    room = [(0, 0), (0, max(0, width - rows[-1].shape[1])), (0, 0)]
    rows[-1] = np.pad(rows[-1], room, mode="edge")
    return np.concatenate([row[:, :width] for row in rows])
