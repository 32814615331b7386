"""The effect of each edit on each gradient, update by update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily

if TYPE_CHECKING:
    from gradwidgets.ledger.view import Ledger

__all__ = ["Ledger"]

__getattr__ = lazily(__name__, {"Ledger": "gradwidgets.ledger.view"})
