"""Homework 3: one update from several micro-batches, equal to that of the full batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradwidgets.grading.calling import call, undisturbed
from gradwidgets.grading.cases import Case, squared, tensor, untouched
from gradwidgets.grading.reading import Array, all_close, close, number
from gradwidgets.grading.verdict import Check, Function, Task, Wrong

Batch = tuple[Array, Array]


def ragged(draw: np.random.Generator) -> list[int]:
    """Sizes of micro-batches, no two alike, among them a single sample."""
    return [int(size) for size in draw.permutation([1, 3, 4, int(draw.integers(6, 10))])]


def accumulated(accumulate: Function, case: Case, batches: Sequence[Batch]) -> Any:
    """Call `accumulate` and move the oracle; returns what came back, and the full batch's loss.

    Raises:
        Wrong: the model was given more samples at once than a micro-batch has.
    """
    seen: list[int] = []
    handle = case.model.register_forward_hook(lambda *args: seen.append(len(args[2])))
    given = [(tensor(x), tensor(y)) for x, y in batches]
    value = call(accumulate, case.model, case.optimizer, squared, given)
    handle.remove()
    for pair, (x, y) in zip(given, batches, strict=True):
        untouched(pair[0], x, "x")
        untouched(pair[1], y, "y")
    if max(seen, default=0) > max(len(x) for x, _ in batches):
        raise Wrong(f"The model saw {max(seen)} samples at once; no micro-batch has so many.")
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return value, case.step(x, y)


def even(accumulate: Function, draw: np.random.Generator) -> None:
    """Micro-batches of one size make the update of the full batch."""
    case = Case(draw)
    batches, before = [case.batch(4) for _ in range(3)], case.found()
    accumulated(accumulate, case, batches)
    if all_close(case.found(), before):
        raise Wrong("After the call the parameters stand where they stood.")
    case.demand("Three micro-batches of 4 do not step as one batch of 12 does.")


def uneven(accumulate: Function, draw: np.random.Generator) -> None:
    """Micro-batches of any sizes make the update of the full batch."""
    for _ in range(2):
        case, sizes = Case(draw), ragged(draw)
        accumulated(accumulate, case, [case.batch(size) for size in sizes])
        case.demand(f"Micro-batches of {sizes} do not step as one batch of {sum(sizes)} does.")


def no_leak(accumulate: Function, draw: np.random.Generator) -> None:
    """Updates follow each other, with momentum, and nothing leaks from one into the next."""
    case = Case(draw, momentum=0.9)
    case.soil()
    for _ in range(3):
        accumulated(accumulate, case, [case.batch(2) for _ in range(2)])
        case.demand("In a run of several updates, a step holds what is not of its batches.")


def mean_loss(accumulate: Function, draw: np.random.Generator) -> None:
    """The loss of the full batch is returned, and the global generators rest."""
    case = Case(draw)
    with undisturbed():
        value, loss = accumulated(accumulate, case, [case.batch(size) for size in ragged(draw)])
    if not close(number(value, "What it returns"), loss):
        raise Wrong("The number it returns is not the mean loss of all samples.")


TASKS = (
    Task(
        "accumulate",
        (
            Check("micro-batches of one size equal the full batch", 1, even),
            Check("micro-batches of any sizes do", 2, uneven),
            Check("nothing leaks from update to update", 1, no_leak),
            Check("the mean loss is returned", 1, mean_loss),
        ),
    ),
)
