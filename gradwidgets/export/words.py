"""All that a saved page says of its runs in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradwidgets.core import History, metric_value
from gradwidgets.plots import StyledRun, describe
from gradwidgets.script import Line

ROWS = 11
"""Updates in the table of a run, about; its lowest and highest loss are among them."""
NOTHING = "\N{EN DASH}"
"""Stands where a table has no number."""


def heard(history: History, titles: Sequence[str]) -> str:
    """The picture of a run in words, behind its sentence: what else its curves do."""
    words = describe([StyledRun(history, "now")], titles)
    return words.partition(history.summary())[2].strip()


def columns(history: History) -> list[str]:
    """The heads of the table's columns."""
    right = [f"held-out {history.metric}"] if len(history.held_out) else []
    return ["update", "loss", "gradient norm", "after the edits", *right]


def table(history: History, rows: int = ROWS) -> str:
    r"""The numbers at some updates: cells between tabs, rows between "|".

    >>> from gradwidgets import Recipe, train
    >>> table(train("line", Recipe(lr=0.1, updates=2)))
    '0\t3.771\t3.361\t3.361|1\t2.742\t2.77\t2.77'
    """
    numbers = [history.loss, history.grad_norm, history.edited_norm]
    held_out = {int(done): value for done, value in history.held_out}
    lines = []
    for update in _chosen(history, rows):
        inside = update < history.updates
        texts = [f"{column[update]:.4g}" if inside else NOTHING for column in numbers]
        if held_out:
            known = update in held_out
            texts.append(metric_value(history.metric, held_out[update]) if known else NOTHING)
        lines.append("\t".join([str(update), *texts]))
    return "|".join(lines)


def _chosen(history: History, rows: int) -> list[int]:
    """Updates from first to last, evenly, with those where the metric was measured."""
    if not history.updates:
        return []
    last = history.updates - 1
    spread = np.linspace(0, last, rows).round().astype(int)
    measured = history.held_out[:: -max(1, len(history.held_out) // rows), 0].astype(int)
    extremes = [int(np.argmin(history.loss)), int(np.argmax(history.loss))]
    some = measured if len(measured) else spread
    return sorted({0, last, *extremes, *map(int, some)})


class Programs:
    """The programs of all runs: each line once, and a program as the numbers of its lines."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._programs: list[list[int]] = []

    def add(self, lines: Sequence[Line]) -> None:
        """Add the program of the next run."""
        numbers = self._numbers
        self._programs.append([numbers.setdefault(line.text, len(numbers)) for line in lines])

    @property
    def lines(self) -> list[str]:
        """All lines that occur, by their numbers."""
        return list(self._numbers)

    def text(self, number: int) -> str:
        """A program; nothing for a run that has none, since its settings do not go together."""
        lines = self.lines
        return "\n".join(lines[line] for one in self._programs[number : number + 1] for line in one)

    def codes(self) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
        """(runs, lines) numbers plus 1; 0 behind the end of a program."""
        most = max(map(len, self._programs))
        table = np.zeros((len(self._programs), most), np.uint16)
        for row, program in zip(table, self._programs, strict=True):
            row[: len(program)] = np.array(program) + 1
        return table
