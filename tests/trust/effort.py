"""How much is tried: a sample at every change, all of it in `make soak`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SOAK = os.environ.get("GRADWIDGETS_SOAK") == "yes"


def tried(often: int, soak: int) -> settings:
    """Try so many examples; the same ones each time, but for a soak, which draws new ones."""
    return settings(
        max_examples=soak if SOAK else often,
        deadline=None,
        database=None,
        derandomize=not SOAK,
        print_blob=SOAK,
        suppress_health_check=list(HealthCheck),
    )
