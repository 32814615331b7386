"""One update of the training loop, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.stepper.engine import Stepping

if TYPE_CHECKING:
    from gradwidgets.stepper.view import Stepper

__all__ = ["Stepper", "Stepping"]

__getattr__ = lazily(__name__, {"Stepper": "gradwidgets.stepper.view"})
