"""A training loop under a checkup against the same loop alone, 0.6 million parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from benchmarks.measure import Row
from tests.checkup.overhead import (
    BATCH_SIZES,
    OPTIMIZERS,
    UPDATES,
    copies_of_the_parameters,
    usual_loop,
)

TARGET = 1.5


def rows() -> Iterator[Row]:
    """The usual loop, small and large batches; the name tells what a watch adds in memory."""
    for optimizer, size in product(OPTIMIZERS, BATCH_SIZES):
        kept = copies_of_the_parameters(optimizer)
        yield Row(
            f"checkup, {UPDATES} updates, {optimizer}, batch {size}, {kept:.2f} copies kept",
            partial(usual_loop, optimizer, size, watched=True),
            partial(usual_loop, optimizer, size, watched=False),
            pairs=25,
            target=TARGET,
        )
