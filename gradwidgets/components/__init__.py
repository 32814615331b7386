"""Pieces that the widgets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.components.cells import as_text, cell
from gradwidgets.components.scheduler import Soon
from gradwidgets.components.slices import Slices

if TYPE_CHECKING:
    from gradwidgets.components.assets import script_of, style_of
    from gradwidgets.components.bar_table import BarTable
    from gradwidgets.components.closing import close
    from gradwidgets.components.fallback import Lasting, Still
    from gradwidgets.components.slider import Move, Slider

__all__ = [
    "BarTable",
    "Lasting",
    "Move",
    "Slices",
    "Slider",
    "Soon",
    "Still",
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
        "Lasting": "gradwidgets.components.fallback",
        "Move": "gradwidgets.components.slider",
        "Slider": "gradwidgets.components.slider",
        "Still": "gradwidgets.components.fallback",
        "close": "gradwidgets.components.closing",
        "script_of": "gradwidgets.components.assets",
        "style_of": "gradwidgets.components.assets",
    },
)
