"""Two ways of doing one thing, timed in turn, so that a busy machine slows both alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table: ours beside the bare thing.

    Args:
        name: what is compared.
        ours: done once with gradwidgets.
        bare: done once without.
        pairs: how often both are done.
        target: the ratio not to be exceeded; None states a comparison only.
        clock: what reads the seconds; `time.process_time` leaves out what others take.
    """

    name: str
    ours: Callable[[], object]
    bare: Callable[[], object]
    pairs: int = 60
    target: float | None = None
    clock: Callable[[], float] = time.perf_counter


@dataclass(frozen=True)
class Result:
    """Medians of a row: seconds of each side, and quartiles of the ratio of the pairs.

    `undisturbed` is the ratio of the fastest tenths: what a busy machine inflates least.
    """

    ours: float
    bare: float
    quartiles: tuple[float, float, float]
    undisturbed: float


def measure(row: Row) -> Result:
    """Time both sides in turn, the first to go alternating, after one round to warm up."""
    row.ours(), row.bare()
    times: list[tuple[float, float]] = []
    gc.collect()
    gc.disable()
    for number in range(row.pairs):
        if number % 2:
            bare, ours = seconds(row.bare, row.clock), seconds(row.ours, row.clock)
        else:
            ours, bare = seconds(row.ours, row.clock), seconds(row.bare, row.clock)
        times.append((ours, bare))
    gc.enable()
    low, middle, high = statistics.quantiles([ours / bare for ours, bare in times], n=4)
    sides = list(zip(*times, strict=True))
    ours, bare = map(statistics.median, sides)
    fast_ours, fast_bare = (statistics.quantiles(side, n=10)[0] for side in sides)
    return Result(ours, bare, (low, middle, high), fast_ours / fast_bare)


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """How long one call takes."""
    begun = clock()
    work()
    return clock() - begun


def line(row: Row, result: Result) -> str:
    """The row as a line of a Markdown table."""
    low, middle, high = result.quartiles
    target = "" if row.target is None else f"{row.target:.2f}"
    return (
        f"| {row.name} | {1e3 * result.ours:.1f} | {1e3 * result.bare:.1f} "
        f"| {middle:.2f} | {low:.2f} to {high:.2f} | {result.undisturbed:.2f} | {target} |"
    )


HEAD = """\
| ours, against the bare one | ours (ms) | bare (ms) | ratio | middle half | fastest | at most |
|---|--:|--:|--:|--:|--:|--:|"""
