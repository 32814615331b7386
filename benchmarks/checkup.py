"""A training loop under a checkup against the same loop alone, 0.6 million parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.measure import Row
from tests.checkup.overhead import seconds

TARGET = 1.5
UPDATES = 20


def rows() -> Iterator[Row]:
    """The usual loop with Adam, at two batch sizes."""
    for batch_size in (64, 256):
        loop = partial(seconds, batch_size, UPDATES)
        yield Row(
            f"checkup around {UPDATES} updates, batch {batch_size}",
            partial(loop, watched=True),
            partial(loop, watched=False),
            pairs=15,
            target=TARGET,
        )
