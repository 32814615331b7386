"""A collection of training loops, each with what a checkup must say about it.

`wiring`, `order`, `loss`, `gradients` and `updates` hold a file for each code of a checkup, with
broken loops and how they are repaired; `healthy` holds loops that nothing is wrong with.
"""

from tests.checkup.loops.collection import (
    BETWEEN_PROCESSES,
    WITH_RULES,
    Case,
    Loop,
    collect,
    fault,
    no_fault,
    watched,
)
from tests.checkup.loops.parts import cnn, images, mlp, regression

__all__ = [
    "BETWEEN_PROCESSES",
    "WITH_RULES",
    "Case",
    "Loop",
    "cnn",
    "collect",
    "fault",
    "images",
    "mlp",
    "no_fault",
    "regression",
    "watched",
]
