"""What each edit did to each gradient, update by update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily
from gradwidgets.ledger.record import ledger, ledgers

if TYPE_CHECKING:
    from gradwidgets.ledger.view import Ledger

__all__ = ["Ledger", "ledger", "ledgers"]

__getattr__ = lazily(__name__, {"Ledger": "gradwidgets.ledger.view"})
