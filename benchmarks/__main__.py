"""`python -m benchmarks [word]`: rows whose name holds `word`; without, all, into BENCHMARKS.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import torch

from benchmarks import checkup, drawing, imports, lab, page, sweeps, training
from benchmarks.measure import HEAD, Row, line, measure

TABLE: tuple[Callable[[], Iterable[Row]], ...] = (
    training.rows,
    sweeps.rows,
    lab.rows,
    drawing.rows,
    checkup.rows,
    imports.rows,
)
"""Where the rows come from: add a module with a function `rows` here."""


def main(word: str = "") -> None:
    """Measure and print row by row; both sides on one thread, as small models are trained."""
    torch.set_num_threads(1)
    lines = [HEAD]
    print(HEAD, flush=True)
    for rows in TABLE:
        for row in rows():
            if word in row.name:
                lines.append(line(row, measure(row)))
                print(lines[-1], flush=True)
    if not word:
        page.put("Ratios", lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
