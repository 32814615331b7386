"""A collection of training loops: what a loop is, how it is registered, what it is made of."""

from tests.checkup.loops.collection import Case, Loop, broken, collect, healthy
from tests.checkup.loops.parts import (
    Tagger,
    cnn,
    fit,
    images,
    mlp,
    regression,
    sequences,
    simple,
    tagging,
    times,
    usual,
)

__all__ = [
    "Case",
    "Loop",
    "Tagger",
    "broken",
    "cnn",
    "collect",
    "fit",
    "healthy",
    "images",
    "mlp",
    "regression",
    "sequences",
    "simple",
    "tagging",
    "times",
    "usual",
]
