"""`python -m benchmarks [word]`: print the table, or the rows whose name holds `word`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import torch

from benchmarks import checkup, imports, lab, training
from benchmarks.measure import HEAD, Row, line, measure

TABLE: tuple[Callable[[], Iterable[Row]], ...] = (
    training.rows,
    lab.rows,
    checkup.rows,
    imports.rows,
)
"""Where the rows come from: add a module with a function `rows` here."""


def main(word: str = "") -> None:
    """Measure and print row by row; both sides on one thread, as small models are trained."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}\n\n{HEAD}", flush=True)
    for rows in TABLE:
        for row in rows():
            if word in row.name:
                print(line(row, measure(row)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
