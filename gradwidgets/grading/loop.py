"""Homework 1: one training step, and three loops to be repaired."""

from __future__ import annotations

import numpy as np

from gradwidgets.grading.calling import call, undisturbed
from gradwidgets.grading.cases import Case, squared, tensor, untouched
from gradwidgets.grading.reading import all_close, close, number
from gradwidgets.grading.verdict import Check, Function, Task, Wrong


def one_update(train_step: Function, draw: np.random.Generator) -> None:
    """A single call on a fresh model moves every parameter by one step of SGD."""
    for _ in range(2):
        case = Case(draw)
        x, y = case.batch()
        before = case.found()
        call(train_step, case.model, case.optimizer, squared, tensor(x), tensor(y))
        case.step(x, y)
        if all_close(case.found(), before):
            raise Wrong("After the call the parameters stand where they stood.")
        case.demand("The parameters move, but not by one step of the optimizer on this batch.")


def clean_slate(train_step: Function, draw: np.random.Generator) -> None:
    """Neither an earlier call nor other code leaks into a step; momentum stays."""
    case = Case(draw, momentum=0.9)
    case.soil()
    for update in range(3):
        x, y = case.batch()
        call(train_step, case.model, case.optimizer, squared, tensor(x), tensor(y))
        case.step(x, y)
        case.demand(
            "The step holds something that stood in `.grad` before the call."
            if update == 0
            else f"Call number {update + 1} of a run steps differently than it should."
        )


def loss_before(train_step: Function, draw: np.random.Generator) -> None:
    """It returns the loss of the batch before the update."""
    case = Case(draw)
    for _ in range(2):
        x, y = case.batch()
        value = call(train_step, case.model, case.optimizer, squared, tensor(x), tensor(y))
        if not close(number(value, "What it returns"), case.step(x, y)):
            raise Wrong("The number it returns is not the loss of this batch before the update.")


def manners(train_step: Function, draw: np.random.Generator) -> None:
    """The global generators, the batch and the model's mode are left as found."""
    case = Case(draw)
    x, y = case.batch()
    given = tensor(x), tensor(y)
    case.model.eval()
    with undisturbed():
        call(train_step, case.model, case.optimizer, squared, *given)
    untouched(given[0], x, "x")
    untouched(given[1], y, "y")
    if case.model.training:
        raise Wrong("The model came in eval mode and is not in it any more.")


def repaired(loop: Function, draw: np.random.Generator) -> None:
    """A loop makes one right update for each batch."""
    for momentum in (0.0, 0.9):
        case = Case(draw, momentum=momentum)
        batches = [case.batch() for _ in range(4)]
        before = case.found()
        given = [(tensor(x), tensor(y)) for x, y in batches]
        call(loop, case.model, case.optimizer, squared, given)
        for x, y in batches:
            case.step(x, y)
        if all_close(case.found(), before):
            raise Wrong("After four batches the parameters stand where they stood.")
        case.demand("After four batches the parameters are not where four right updates lead.")


def repaired_momentum(loop: Function, draw: np.random.Generator) -> None:
    """A loop that makes its own optimizer makes one right update for each batch."""
    for momentum in (0.0, 0.9):
        case = Case(draw, momentum=momentum)
        batches = [case.batch() for _ in range(4)]
        given = [(tensor(x), tensor(y)) for x, y in batches]
        call(loop, case.model, case.lr, momentum, squared, given)
        for x, y in batches:
            case.step(x, y)
        case.demand(f"With momentum {momentum} four batches do not lead where they should.")


TASKS = (
    Task(
        "train_step",
        (
            Check("one update on a fresh model", 2, one_update),
            Check("nothing leaks into a step", 1, clean_slate),
            Check("the loss is returned", 1, loss_before),
            Check("all else is left as found", 1, manners),
        ),
    ),
    Task("loop_a", (Check("one right update for each batch", 2, repaired),)),
    Task("loop_b", (Check("one right update for each batch", 2, repaired),)),
    Task("loop_c", (Check("one right update for each batch", 2, repaired_momentum),)),
)
