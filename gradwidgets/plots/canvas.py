"""A picture that lives: panes side by side, of which only what changed is drawn anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradwidgets.plots.pane import Pane
from gradwidgets.plots.panels import Panel
from gradwidgets.plots.png import encode
from gradwidgets.plots.shown import Shown
from gradwidgets.plots.theme import LIGHT, Theme


class Canvas:
    """Panels from left to right, kept; `render` returns them as PNG bytes.

    Args:
        panels: what to show.
        size: (width, height) in pixels.
    """

    def __init__(self, panels: Sequence[Panel], size: tuple[int, int] = (1100, 320)) -> None:
        self.size = size
        edges = np.linspace(0, size[0], len(panels) + 1).round().astype(int).tolist()
        self._panes = [
            Pane(panel, (right - left, size[1]))
            for panel, left, right in zip(panels, edges[:-1], edges[1:], strict=True)
        ]

    def render(self, runs: Sequence[Shown], theme: Theme = LIGHT) -> bytes:
        """The picture of these runs, as PNG."""
        pixels = [pane.render(runs, theme)[..., :3] for pane in self._panes]
        return encode(np.concatenate(pixels, axis=1))
