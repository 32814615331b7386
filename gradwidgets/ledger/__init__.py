"""The effect of each edit on each gradient, update by update; and gradients in conflict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.ledger.conflicts import Conflicts, LossGradients, conflicts

if TYPE_CHECKING:
    from gradwidgets.ledger.view import Ledger

__all__ = ["Conflicts", "Ledger", "LossGradients", "conflicts"]

__getattr__ = lazily(__name__, {"Ledger": "gradwidgets.ledger.view"})
