"""Homework 1: one training step, and three loops to be repaired."""

from __future__ import annotations

from functools import partial

import numpy as np

from gradwidgets.grading.check import Check, Function, Wrong
from gradwidgets.grading.strict_types import close, returned
from gradwidgets.grading.trial import (
    Case,
    batch_unchanged,
    call,
    generators_unchanged,
    squared,
    tensors,
)


def one_update(train_step: Function, rng: np.random.Generator) -> None:
    """A single call on a fresh model moves every parameter by one step of SGD."""
    for _ in range(2):
        case = Case(rng)
        batch = case.batch()
        call(train_step, case.model, case.optimizer, squared, *tensors(batch))
        case.step(batch)
        case.demand(
            "The parameters move, but not by one step of the optimizer on this batch.",
            unmoved="After the call the parameters stand where they stood.",
        )


def no_leak(train_step: Function, rng: np.random.Generator) -> None:
    """Neither an earlier call nor other code leaks into a step; momentum stays."""
    case = Case(rng, momentum=0.9)
    case.leave_gradients()
    for update in range(3):
        batch = case.batch()
        call(train_step, case.model, case.optimizer, squared, *tensors(batch))
        case.step(batch)
        case.demand(
            f"Call number {update + 1} of a run steps differently than it should."
            if update
            else "The step holds something that stood in `.grad` before the call."
        )


def loss_before(train_step: Function, rng: np.random.Generator) -> None:
    """It returns the loss of the batch before the update."""
    case = Case(rng)
    for _ in range(2):
        batch = case.batch()
        value = call(train_step, case.model, case.optimizer, squared, *tensors(batch))
        if not close(returned(float, value), case.step(batch)):
            raise Wrong("The number it returns is not the loss of this batch before the update.")


def rest_unchanged(train_step: Function, rng: np.random.Generator) -> None:
    """The global generators, the batch and the model's mode are left as found."""
    case = Case(rng)
    batch = case.batch()
    given = tensors(batch)
    case.model.eval()
    with generators_unchanged():
        call(train_step, case.model, case.optimizer, squared, *given)
    batch_unchanged(given, batch)
    if case.model.training:
        raise Wrong("The model came in eval mode and is not in it any more.")


def repaired(loop: Function, rng: np.random.Generator, own_optimizer: bool = False) -> None:
    """A loop makes one right update for each batch, perhaps with an optimizer of its own."""
    for momentum in (0.0, 0.9):
        case = Case(rng, momentum=momentum)
        batches = [case.batch() for _ in range(4)]
        with_what = (case.lr, momentum) if own_optimizer else (case.optimizer,)
        call(loop, case.model, *with_what, squared, list(map(tensors, batches)))
        for batch in batches:
            case.step(batch)
        case.demand(
            f"With momentum {momentum} four batches do not lead where four right updates lead.",
            unmoved="After four batches the parameters stand where they stood.",
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
