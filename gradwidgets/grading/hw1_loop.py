"""Homework 1: one training step, and three loops to be repaired."""

from __future__ import annotations

from functools import partial

import numpy as np

from gradwidgets.grading.case import (
    LOSS,
    MODEL,
    OPTIMIZER,
    Batch,
    Case,
    Step,
    batch_arguments,
    call,
    demand_batches_unchanged,
    demand_generators_unchanged,
    demand_number,
    list_of_batches,
)
from gradwidgets.grading.check import Check, Trial
from gradwidgets.grading.wrong import Wrong


def train(batch: Batch) -> Step:
    """One call of `train_step`."""
    return call(MODEL, OPTIMIZER, LOSS, *batch_arguments(batch))


def one_update(rng: np.random.Generator) -> Trial:
    """A single call on a fresh model moves every parameter by one step of SGD."""
    for _ in range(2):
        case = Case(rng)
        batch = case.batch()
        answer = yield case.asks(train(batch))
        case.step(batch)
        case.demand(
            answer.seen[0],
            "The parameters move, but not by one step of the optimizer on this batch.",
            unmoved="After the call the parameters stand where they stood.",
        )


def no_leak(rng: np.random.Generator) -> Trial:
    """Neither an earlier call nor other code leaks into a step; momentum stays."""
    case = Case(rng, momentum=0.9)
    case.leave_gradients()
    batches = [case.batch() for _ in range(3)]
    answer = yield case.asks(*map(train, batches))
    for number, (seen, batch) in enumerate(zip(answer.seen, batches, strict=True), 1):
        case.step(batch)
        case.demand(
            seen,
            "Call number {number} of a run steps differently than it should."
            if number > 1
            else "The step holds something that stood in `.grad` before the call.",
            number=number,
        )


def loss_before(rng: np.random.Generator) -> Trial:
    """It returns the loss of the batch before the update."""
    case = Case(rng)
    batches = [case.batch() for _ in range(2)]
    answer = yield case.asks(*map(train, batches))
    for seen, batch in zip(answer.seen, batches, strict=True):
        demand_number(
            seen,
            case.step(batch),
            "The number it returns is not the loss of this batch before the update.",
        )


def rest_unchanged(rng: np.random.Generator) -> Trial:
    """The global generators, the batch and the model's mode are left as found."""
    case = Case(rng)
    batch = case.batch()
    asked = case.asks(train(batch), training=False)
    answer = yield asked
    demand_generators_unchanged(answer, asked)
    demand_batches_unchanged(answer.seen[0], [batch])
    if answer.seen[0].training:
        raise Wrong("The model came in eval mode and is not in it any more.")


def repaired(rng: np.random.Generator, own_optimizer: bool = False) -> Trial:
    """A loop makes one right update for each batch, perhaps with an optimizer of its own."""
    for momentum in (0.0, 0.9):
        case = Case(rng, momentum=momentum)
        case.leave_gradients()
        batches = [case.batch() for _ in range(4)]
        with_what = (case.lr, momentum) if own_optimizer else (OPTIMIZER,)
        answer = yield case.asks(call(MODEL, *with_what, LOSS, list_of_batches(batches)))
        for batch in batches:
            case.step(batch)
        case.demand(
            answer.seen[0],
            "With momentum {momentum} four batches do not lead where four right updates lead.",
            unmoved="After four batches the parameters stand where they stood.",
            momentum=momentum,
        )


CHECKS = {
    "train_step": (
        Check("one update on a fresh model", 2, one_update),
        Check("nothing leaks into a step", 1, no_leak),
        Check("the loss is returned", 1, loss_before),
        Check("all else is left as found", 1, rest_unchanged),
    ),
    "loop_a": (Check("one right update for each batch", 2, repaired),),
    "loop_b": (Check("one right update for each batch", 2, repaired),),
    "loop_c": (Check("one right update for each batch", 2, partial(repaired, own_optimizer=True)),),
}
