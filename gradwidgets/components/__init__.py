"""Pieces that the widgets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.components.cells import as_text, cell
from gradwidgets.components.scheduler import LoopScheduler
from gradwidgets.components.slices import LatestTask

if TYPE_CHECKING:
    from gradwidgets.components.assets import script_of, style_of
    from gradwidgets.components.bar_table import BarTable
    from gradwidgets.components.closing import close
    from gradwidgets.components.fallback import StaticFallback, StaticView
    from gradwidgets.components.slider import Move, Slider

__all__ = [
    "BarTable",
    "StaticFallback",
    "Move",
    "LatestTask",
    "Slider",
    "LoopScheduler",
    "StaticView",
    "as_text",
    "cell",
    "close",
    "script_of",
    "style_of",
]

__getattr__ = lazily(
    __name__,
    {
        "BarTable": "gradwidgets.components.bar_table",
        "StaticFallback": "gradwidgets.components.fallback",
        "Move": "gradwidgets.components.slider",
        "Slider": "gradwidgets.components.slider",
        "StaticView": "gradwidgets.components.fallback",
        "close": "gradwidgets.components.closing",
        "script_of": "gradwidgets.components.assets",
        "style_of": "gradwidgets.components.assets",
    },
)
