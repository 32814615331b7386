"""The cost of gradient accumulation, compared with the full batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily

if TYPE_CHECKING:
    from gradwidgets.meter.view import Meter

__all__ = ["Meter"]

__getattr__ = lazily(__name__, {"Meter": "gradwidgets.meter.view"})
