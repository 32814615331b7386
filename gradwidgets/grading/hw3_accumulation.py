"""Homework 3: accumulation over micro-batches, and a function that says what is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradwidgets.grading.check import Check, Function, Wrong
from gradwidgets.grading.strict_types import array, close, gradient, returned, same
from gradwidgets.grading.trial import (
    Batch,
    Case,
    batch_unchanged,
    call,
    generators_unchanged,
    squared,
    tensors,
)


def unequal_sizes(rng: np.random.Generator) -> list[int]:
    """Sizes of micro-batches, no two alike, among them a single sample."""
    return [int(size) for size in rng.permutation([1, 3, 4, int(rng.integers(6, 10))])]


def accumulated(accumulate: Function, case: Case, batches: Sequence[Batch]) -> tuple[Any, float]:
    """Call `accumulate` and move the oracle.

    Returns:
        The value that came back, and the loss of the full batch.

    Raises:
        Wrong: the model was given more samples at once than a micro-batch has.
    """
    seen: list[int] = []
    handle = case.model.register_forward_hook(lambda *args: seen.append(len(args[2])))
    given = list(map(tensors, batches))
    value = call(accumulate, case.model, case.optimizer, squared, given)
    handle.remove()
    for pair, batch in zip(given, batches, strict=True):
        batch_unchanged(pair, batch)
    if max(seen, default=0) > max(len(x) for x, _ in batches):
        raise Wrong(f"The model saw {max(seen)} samples at once; no micro-batch has so many.")
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return value, case.step((x, y))


def equal_parts(accumulate: Function, rng: np.random.Generator) -> None:
    """Micro-batches of one size make the update of the full batch."""
    case = Case(rng)
    accumulated(accumulate, case, [case.batch(4) for _ in range(3)])
    case.demand(
        "Three micro-batches of 4 do not step as one batch of 12 does.",
        unmoved="After the call the parameters stand where they stood.",
    )


def unequal_parts(accumulate: Function, rng: np.random.Generator) -> None:
    """Micro-batches of any sizes make the update of the full batch."""
    for _ in range(2):
        case, sizes = Case(rng), unequal_sizes(rng)
        accumulated(accumulate, case, [case.batch(size) for size in sizes])
        case.demand(f"Micro-batches of {sizes} do not step as one batch of {sum(sizes)} does.")


def no_leak(accumulate: Function, rng: np.random.Generator) -> None:
    """Updates follow each other, with momentum, and nothing leaks from one into the next."""
    case = Case(rng, momentum=0.9)
    case.leave_gradients()
    for _ in range(3):
        accumulated(accumulate, case, [case.batch(2) for _ in range(2)])
        case.demand("In a run of several updates, a step holds what is not of its batches.")


def mean_loss(accumulate: Function, rng: np.random.Generator) -> None:
    """The loss of the full batch is returned, and the global generators rest."""
    case = Case(rng)
    with generators_unchanged():
        parts = [case.batch(size) for size in unequal_sizes(rng)]
        value, loss = accumulated(accumulate, case, parts)
    if not close(returned(float, value), loss):
        raise Wrong("The number it returns is not the mean loss of all samples.")


HEALTHY = "healthy"


class Detach(nn.Module):
    """Passes values on, and no gradients back."""

    def forward(self, x: Tensor) -> Tensor:
        """The same values without their graph."""
        return x.detach()


def freeze(case: Case) -> None:
    """Let parameters take no gradients."""
    for parameter in case.parameters[2:4]:
        parameter.requires_grad_(False)


def leave_out(case: Case) -> None:
    """Keep parameters from the optimizer."""
    case.optimizer = torch.optim.SGD(case.parameters[:4], lr=case.lr)


def set_lr_to_zero(case: Case) -> None:
    """Set the learning rate to zero."""
    case.optimizer.param_groups[0]["lr"] = 0.0


def cut_graph(case: Case) -> None:
    """End the graph within the model."""
    case.model[3] = nn.Sequential(case.model[3], Detach())


def spoil(case: Case) -> None:
    """Make an element of a parameter nan or infinite."""
    with torch.no_grad():
        case.parameters[-1][0] = float(case.rng.choice([np.nan, np.inf]))


FAULTS: dict[str, Callable[[Case], None]] = {
    "frozen": freeze,
    "not in the optimizer": leave_out,
    "learning rate is zero": set_lr_to_zero,
    "no gradient": cut_graph,
    "not finite": spoil,
}


def diagnosis(diagnose: Function, rng: np.random.Generator, fault: str = HEALTHY) -> str:
    """The word that the function has for a model with this fault."""
    case = Case(rng, layers=3)
    if fault in FAULTS:
        FAULTS[fault](case)
    x, y = tensors(case.batch())
    return returned(str, call(diagnose, case.model, case.optimizer, squared, x, y))


def tells_healthy_from_broken(diagnose: Function, rng: np.random.Generator) -> None:
    """A model that learns is called healthy, and not every broken one is."""
    for _ in range(3):
        if diagnosis(diagnose, rng) != HEALTHY:
            raise Wrong("A model that learns is not called healthy.")
    if all(diagnosis(diagnose, rng, fault) == HEALTHY for fault in FAULTS):
        raise Wrong("Every model is called healthy, the broken ones too.")


def finds(diagnose: Function, rng: np.random.Generator, fault: str) -> None:
    """One fault is called by its name, as often as it is met."""
    for _ in range(2):
        word = diagnosis(diagnose, rng, fault)
        if word != fault:
            raise Wrong(f"One of the faults was called {word[:40]!r}. Try them all by hand.")


def all_unchanged(diagnose: Function, rng: np.random.Generator) -> None:
    """Parameters, gradients, data and generators are as before the examination."""
    case = Case(rng, layers=3)
    case.leave_gradients()
    batch = case.batch()
    given, before = tensors(batch), [gradient(p) for p in case.parameters]
    with generators_unchanged():
        call(diagnose, case.model, case.optimizer, squared, *given)
    batch_unchanged(given, batch)
    for parameter, weight, slope in zip(case.parameters, case.start, before, strict=True):
        if not same(array(parameter, "A parameter"), weight):
            raise Wrong("The examination has moved the model.")
        now = gradient(parameter)
        if now is None or slope is None or not same(now, slope):
            raise Wrong("The model came with something in `.grad`, and it is not there any more.")


CHECKS = {
    "accumulate": (
        Check("micro-batches of one size equal the full batch", 1, equal_parts),
        Check("micro-batches of any sizes do", 2, unequal_parts),
        Check("nothing leaks from update to update", 1, no_leak),
        Check("the mean loss is returned", 1, mean_loss),
    ),
    "diagnose": (
        Check("a healthy model is told from a broken one", 1, tells_healthy_from_broken),
        *(
            Check(f"a fault ({number} of {len(FAULTS)})", 1, partial(finds, fault=fault))
            for number, fault in enumerate(FAULTS, 1)
        ),
        Check("all is left as found", 1, all_unchanged),
    ),
}
