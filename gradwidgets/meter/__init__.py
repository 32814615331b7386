"""What gradient accumulation costs against the full batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.meter.measure import meter

if TYPE_CHECKING:
    from gradwidgets.meter.view import Meter

__all__ = ["Meter", "meter"]

__getattr__ = lazily(__name__, {"Meter": "gradwidgets.meter.view"})
