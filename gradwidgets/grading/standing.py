"""Homework 2: what stands still, stands still: masked elements and frozen layers."""

from __future__ import annotations

import copy

import numpy as np
import torch

from gradwidgets.grading.calling import call
from gradwidgets.grading.cases import Case, squared, tensor
from gradwidgets.grading.reading import Array, all_close, same
from gradwidgets.grading.verdict import Check, Function, Task, Wrong

MIDDLE = (2, 3)
"""Weight and bias of the middle one of three layers."""


def backward(case: Case, x: Array, y: Array) -> None:
    """The gradients of a batch, into the model of a case."""
    squared(case.model(tensor(x)), tensor(y)).backward()  # type: ignore[no-untyped-call]


def hold(masked_step: Function, case: Case, wanted: list[Array]) -> None:
    """Call `masked_step` on a case, and demand that hidden elements rest and others arrive."""
    before = case.found()
    hidden = [case.draw.random(size=weight.shape) < 0.5 for weight in before]
    masks = {
        parameter: tensor(flags.astype(float)) > 0.5
        for parameter, flags in zip(case.parameters, hidden, strict=True)
    }
    call(masked_step, case.optimizer, masks)
    after = case.found()
    for old, new, flags in zip(before, after, hidden, strict=True):
        if not same(old[flags], new[flags]):
            raise Wrong("A hidden element has moved.")
    goals = zip(wanted, after, hidden, strict=True)
    pairs = [(goal[~flags], new[~flags]) for goal, new, flags in goals]
    if not all_close([new for _, new in pairs], [goal for goal, _ in pairs]):
        raise Wrong("The elements that are not hidden do not move as they would without a mask.")


def rests(
    masked_step: Function, draw: np.random.Generator, momentum: float = 0.0, decay: float = 0.0
) -> None:
    """Hidden elements rest in a step of SGD that may have momentum from steps before."""
    case = Case(draw, momentum=momentum, decay=decay)
    for update in range(3):
        x, y = case.batch()
        case.optimizer.zero_grad()
        backward(case, x, y)
        case.step(x, y)
        if update < 2:
            case.optimizer.step()
    hold(masked_step, case, case.weights)


def rests_under_momentum(masked_step: Function, draw: np.random.Generator) -> None:
    """The same with momentum and weight decay."""
    rests(masked_step, draw, momentum=0.9, decay=0.1)


def rests_under_adam(masked_step: Function, draw: np.random.Generator) -> None:
    """The same with AdamW; the oracle is a twin that steps without a mask."""
    twin = with_adam(copy.deepcopy(draw))
    twin.optimizer.step()
    hold(masked_step, with_adam(draw), twin.found())


def with_adam(draw: np.random.Generator) -> Case:
    """A case that has made two steps of AdamW, and has the gradients for a third."""
    case = Case(draw)
    case.optimizer = torch.optim.AdamW(case.parameters, lr=0.05, weight_decay=0.2)
    for update in range(3):
        case.optimizer.zero_grad()
        backward(case, *case.batch())
        if update < 2:
            case.optimizer.step()
    return case


def train(case: Case, updates: int, frozen: tuple[int, ...] = (), set_to_none: bool = True) -> None:
    """Train model and oracle on the same batches."""
    for _ in range(updates):
        x, y = case.batch()
        case.optimizer.zero_grad(set_to_none=set_to_none)
        backward(case, x, y)
        case.optimizer.step()
        case.step(x, y, frozen)


def freezes(freeze: Function, draw: np.random.Generator, set_to_none: bool = True) -> None:
    """A layer freezes in the middle of a run with momentum and decay; the others train on."""
    case = Case(draw, layers=3, momentum=0.9, decay=0.05)
    train(case, 3, set_to_none=set_to_none)
    before = case.found()
    call(freeze, case.model[2], case.optimizer)
    train(case, 3, MIDDLE, set_to_none)
    after = case.found()
    if not all(same(before[i], after[i]) for i in MIDDLE):
        raise Wrong("The layer still moves after it was frozen.")
    case.demand("The layer rests, but the others do not train on as they should.")


def freezes_zeros(freeze: Function, draw: np.random.Generator) -> None:
    """The same in a loop that clears with zeros."""
    freezes(freeze, draw, set_to_none=False)


def freezes_adam(freeze: Function, draw: np.random.Generator) -> None:
    """The same with AdamW, whose decay bypasses the gradient; the others must move."""
    case = Case(draw, layers=3)
    case.optimizer = torch.optim.AdamW(case.parameters, lr=0.05, weight_decay=0.2)
    for update in range(6):
        x, y = case.batch()
        case.optimizer.zero_grad(set_to_none=False)
        backward(case, x, y)
        case.optimizer.step()
        if update == 2:
            before = case.found()
            call(freeze, case.model[2], case.optimizer)
    moved = [not same(*pair) for pair in zip(before, case.found(), strict=True)]
    if any(moved[i] for i in MIDDLE):
        raise Wrong("The layer still moves after it was frozen.")
    if sum(moved) < len(moved) - len(MIDDLE):
        raise Wrong("The layer rests, but others rest with it.")


TASKS = (
    Task(
        "masked_step",
        (
            Check("hidden elements rest under plain SGD", 1, rests),
            Check("... under momentum and weight decay", 1, rests_under_momentum),
            Check("... under AdamW", 1, rests_under_adam),
        ),
    ),
    Task(
        "freeze",
        (
            Check("the layer rests, the others train on", 1, freezes),
            Check("... in a loop that clears with zeros", 1, freezes_zeros),
            Check("... under AdamW", 1, freezes_adam),
        ),
    ),
)
