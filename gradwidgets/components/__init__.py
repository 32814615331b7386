"""Pieces that the widgets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.components.cells import PagedTable, as_text, cell, empty_page
from gradwidgets.components.scheduler import STEP, Action, LatestTask, LoopScheduler, Steps

if TYPE_CHECKING:
    from gradwidgets.components.assets import script_of, style_of
    from gradwidgets.components.bar_table import BarTable
    from gradwidgets.components.choice import Choice
    from gradwidgets.components.fallback import StaticFallback, StaticView, close
    from gradwidgets.components.slider import Slider

__all__ = [
    "STEP",
    "Action",
    "BarTable",
    "Choice",
    "LatestTask",
    "LoopScheduler",
    "PagedTable",
    "Slider",
    "StaticFallback",
    "StaticView",
    "Steps",
    "as_text",
    "cell",
    "close",
    "empty_page",
    "script_of",
    "style_of",
]

__getattr__ = lazily(
    __name__,
    {
        "BarTable": "gradwidgets.components.bar_table",
        "Choice": "gradwidgets.components.choice",
        "Slider": "gradwidgets.components.slider",
        "StaticFallback": "gradwidgets.components.fallback",
        "StaticView": "gradwidgets.components.fallback",
        "close": "gradwidgets.components.fallback",
        "script_of": "gradwidgets.components.assets",
        "style_of": "gradwidgets.components.assets",
    },
)
