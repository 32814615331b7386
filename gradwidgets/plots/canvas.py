"""A picture that lives: panes side by side, of which only what changed is drawn anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradwidgets.plots.caption import caption
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
        text_scale: factor on type, lines and margins, to be legible from the last row.
    """

    def __init__(
        self, panels: Sequence[Panel], size: tuple[int, int] = (1100, 320), text_scale: float = 1.0
    ) -> None:
        self.size = size
        edges = np.linspace(0, size[0], len(panels) + 1).round().astype(int).tolist()
        self._panes = [
            Pane(panel, (right - left, size[1]), text_scale)
            for panel, left, right in zip(panels, edges[:-1], edges[1:], strict=True)
        ]

    def render(
        self, runs: Sequence[Shown], theme: Theme = LIGHT, sentence: str | None = None
    ) -> bytes:
        """The picture of these runs, as PNG; with a `sentence`, that stands under it."""
        pixels = np.concatenate([pane.render(runs, theme) for pane in self._panes], axis=1)
        if sentence:
            pixels = np.concatenate([pixels, caption(sentence, self.size[0], theme)])
        return encode(pixels[..., :3])
