"""Pieces that the widgets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.components.cells import PagedTable, as_text, cell, empty_page
from gradwidgets.components.scheduler import STEP, Action, LatestTask, LoopScheduler, Steps

if TYPE_CHECKING:
    from gradwidgets.components.assets import script_of, style_of
    from gradwidgets.components.bar_table import BarTable
    from gradwidgets.components.buttons import Buttons
    from gradwidgets.components.check import Check
    from gradwidgets.components.choice import Choice
    from gradwidgets.components.fallback import StaticFallback, StaticView, close
    from gradwidgets.components.slider import Slider
    from gradwidgets.components.text_field import TextField

__all__ = [
    "STEP",
    "Action",
    "BarTable",
    "Buttons",
    "Check",
    "Choice",
    "LatestTask",
    "LoopScheduler",
    "PagedTable",
    "Slider",
    "StaticFallback",
    "StaticView",
    "Steps",
    "TextField",
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
        "Buttons": "gradwidgets.components.buttons",
        "Check": "gradwidgets.components.check",
        "Choice": "gradwidgets.components.choice",
        "Slider": "gradwidgets.components.slider",
        "TextField": "gradwidgets.components.text_field",
        "StaticFallback": "gradwidgets.components.fallback",
        "StaticView": "gradwidgets.components.fallback",
        "close": "gradwidgets.components.fallback",
        "script_of": "gradwidgets.components.assets",
        "style_of": "gradwidgets.components.assets",
    },
)
