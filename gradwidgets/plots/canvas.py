"""A picture that lives: panes beside or below each other, of which only what changed is redrawn."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from typing import Any

import numpy as np

from gradwidgets.plots.caption import caption
from gradwidgets.plots.pane import Pane
from gradwidgets.plots.panels import Panel
from gradwidgets.plots.png import encode
from gradwidgets.plots.style import LIGHT, StyledRun, Theme

KEPT = 100
"""Pictures kept at most, each of some 50 kB; the oldest go first."""


class Canvas:
    r"""Panels from left to right, or from top to bottom; `render` returns them as PNG bytes.

    Args:
        panels: the axes, in their order.
        size: (width, height) in pixels of the panels side by side.
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
        edges = np.linspace(0, size[0], len(panels) + 1).round().astype(int).tolist()
        self._panes = [
            Pane(panel, (right - left, size[1]), text_scale)
            for panel, left, right in zip(panels, edges[:-1], edges[1:], strict=True)
        ]

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
        limits = [pane.limits(runs) for pane in self._panes]
        key = theme, stacked, heading, *limits, *(run.key for run in runs)
        if key in self._drawn:
            return self._drawn[key]
        panes = []
        for pane, its_limits in zip(self._panes, limits, strict=True):
            panes.append(pane.render(runs, theme, its_limits)[..., :3].copy())
            yield
        pixels = _joined(panes, stacked)
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


def _joined(panes: Sequence[Pixels], stacked: bool) -> Pixels:
    """The panes side by side, or one above the other: widths may differ by a pixel."""
    if not stacked:
        return np.concatenate(panes, axis=1)
    width = min(pane.shape[1] for pane in panes)
    return np.concatenate([pane[:, :width] for pane in panes])
