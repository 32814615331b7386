"""A picture that lives: panes side by side, of which only what changed is drawn again."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence

import numpy as np

from gradwidgets.plots.pane import Pane
from gradwidgets.plots.panels import Panel
from gradwidgets.plots.png import encode
from gradwidgets.plots.scale import Limits, steadied
from gradwidgets.plots.style import LIGHT, StyledRun, Theme

KEPT = 100
"""Pictures kept at most, each of some 50 kB; the oldest go first."""


class Canvas:
    r"""Panels from left to right; `render` returns them as PNG bytes.

    Args:
        panels: the axes, from left to right.
        size: (width, height) in pixels.
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
        self._drawn: dict[Hashable, bytes] = {}
        edges = np.linspace(0, size[0], len(panels) + 1).round().astype(int).tolist()
        self._limits: list[Limits | None] = [None] * len(panels)
        self._panes = [
            Pane(panel, (right - left, size[1]), text_scale)
            for panel, left, right in zip(panels, edges[:-1], edges[1:], strict=True)
        ]

    def render(self, runs: Sequence[StyledRun], theme: Theme = LIGHT) -> bytes:
        """The picture of these runs, as PNG."""
        limits = self._steadied(runs)
        self._limits = [*limits]
        steps = self._draw(runs, theme, limits)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            return bytes(end.value)

    def prepare(self, runs: Sequence[StyledRun], theme: Theme) -> Generator[None, None, bytes]:
        """Render for later, a pane at each step: what `render` would return if it came next."""
        return self._draw(runs, theme, self._steadied(runs))

    def _draw(
        self, runs: Sequence[StyledRun], theme: Theme, limits: Sequence[Limits]
    ) -> Generator[None, None, bytes]:
        key = theme, *limits, *(run.key for run in runs)
        if key in self._drawn:
            return self._drawn[key]
        panes = []
        for pane, its_limits in zip(self._panes, limits, strict=True):
            panes.append(pane.render(runs, theme, its_limits)[..., :3].copy())
            yield
        png = encode(np.concatenate(panes, axis=1))
        if all(run.history.ended for run in runs):  # another will not be asked for again
            self._drawn[key] = png
        if len(self._drawn) > KEPT:
            del self._drawn[next(iter(self._drawn))]
        return png

    def _steadied(self, runs: Sequence[StyledRun]) -> list[Limits]:
        """Limits of each pane for these runs, as they are now where that will do."""
        pairs = zip(self._limits, self._panes, strict=True)
        return [steadied(old, pane.panel.limits(runs)) for old, pane in pairs]
