"""A picture that lives: panes side by side, of which only what changed is drawn anew."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from typing import Any

import numpy as np

from gradwidgets.plots.pane import Pane
from gradwidgets.plots.panels import Panel
from gradwidgets.plots.png import encode
from gradwidgets.plots.run_style import RunStyle
from gradwidgets.plots.scale import Limits, steadied
from gradwidgets.plots.theme import LIGHT, Theme

KEPT = 100
"""Pictures kept at most, each of some 50 kB; the oldest go first."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class Canvas:
    """Panels from left to right, kept; `render` returns them as PNG bytes.

    Args:
        panels: what to show.
        size: (width, height) in pixels.
        text_scale: factor on type, lines and margins, to be legible from the last row.
    """

    def __init__(
        self, panels: Sequence[Panel], size: tuple[int, int] = (1100, 320), text_scale: float = 1.0
    ) -> None:
        self.size = size
        self._drawn: dict[Hashable, bytes] = {}
        edges = np.linspace(0, size[0], len(panels) + 1).round().astype(int).tolist()
        self._limits: list[Limits | None] = [None] * len(panels)
        self._panes = [
            Pane(panel, (right - left, size[1]), text_scale)
            for panel, left, right in zip(panels, edges[:-1], edges[1:], strict=True)
        ]

    def render(self, runs: Sequence[RunStyle], theme: Theme = LIGHT) -> bytes:
        """The picture of these runs, as PNG."""
        limits = self._steadied(runs)
        self._limits = [*limits]
        return _whole(self._draw(runs, theme, limits))

    def prepare(self, runs: Sequence[RunStyle], theme: Theme) -> Generator[None, None, bytes]:
        """Render for later, a pane at each step: what `render` would return if it came next."""
        return self._draw(runs, theme, self._steadied(runs))

    def _draw(
        self, runs: Sequence[RunStyle], theme: Theme, limits: Sequence[Limits]
    ) -> Generator[None, None, bytes]:
        key = _key(runs, theme, limits)
        if key in self._drawn:
            return self._drawn[key]
        panes = []
        for place in range(len(limits)):
            panes.append(self._pixels(place, runs, theme, limits))
            yield
        png = encode(np.concatenate(panes, axis=1))
        if all(run.history.ended for run in runs):  # another will not be asked for again
            self._drawn[key] = png
        if len(self._drawn) > KEPT:
            del self._drawn[next(iter(self._drawn))]
        return png

    def _pixels(
        self, place: int, runs: Sequence[RunStyle], theme: Theme, limits: Sequence[Limits]
    ) -> Pixels:
        """(height, width, 3) pixels of one pane."""
        return self._panes[place].render(runs, theme, limits[place])[..., :3].copy()

    def _steadied(self, runs: Sequence[RunStyle]) -> list[Limits]:
        """Limits of each pane for these runs, as they are now where that will do."""
        pairs = zip(self._limits, self._panes, strict=True)
        return [steadied(old, pane.panel.limits(runs)) for old, pane in pairs]


def _whole(steps: Generator[None, None, bytes]) -> bytes:
    """All steps at once."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return bytes(end.value)


def _key(runs: Sequence[RunStyle], theme: Theme, limits: Sequence[Limits]) -> Hashable:
    """What a picture is kept under."""
    return theme, *limits, *(run.key for run in runs)
