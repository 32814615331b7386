"""Homework 3: a function that says why a model does not learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from gradwidgets.grading.calling import call, undisturbed
from gradwidgets.grading.cases import Case, squared, tensor, untouched
from gradwidgets.grading.reading import array, gradient, same, text
from gradwidgets.grading.verdict import Check, Function, Task, Wrong

HEALTHY = "healthy"


class Cut(nn.Module):
    """Passes values on, and no gradients back."""

    def forward(self, x: Tensor) -> Tensor:
        """The same values without their graph."""
        return x.detach()


def frozen(case: Case) -> None:
    """Parameters that take no gradients."""
    for parameter in case.parameters[2:4]:
        parameter.requires_grad_(False)


def left_out(case: Case) -> None:
    """Parameters that the optimizer does not hold."""
    case.optimizer = torch.optim.SGD(case.parameters[:4], lr=case.lr)


def at_rest(case: Case) -> None:
    """A learning rate of zero."""
    case.optimizer.param_groups[0]["lr"] = 0.0


def cut(case: Case) -> None:
    """A graph that ends within the model."""
    case.model[3] = nn.Sequential(case.model[3], Cut())


def spoiled(case: Case) -> None:
    """A parameter that is not finite."""
    with torch.no_grad():
        case.parameters[-1][0] = float(case.draw.choice([np.nan, np.inf]))


FAULTS: dict[str, Callable[[Case], None]] = {
    "frozen": frozen,
    "not in the optimizer": left_out,
    "learning rate is zero": at_rest,
    "no gradient": cut,
    "not finite": spoiled,
}


def said(diagnose: Function, draw: np.random.Generator, fault: str = HEALTHY) -> str:
    """What the function says of a model with this fault."""
    case = Case(draw, layers=3)
    if fault in FAULTS:
        FAULTS[fault](case)
    x, y = map(tensor, case.batch())
    return text(call(diagnose, case.model, case.optimizer, squared, x, y), "What it returns")


def tells(diagnose: Function, draw: np.random.Generator) -> None:
    """A model that learns is called healthy, and not every broken one is."""
    for _ in range(3):
        if said(diagnose, draw) != HEALTHY:
            raise Wrong("A model that learns is not called healthy.")
    if all(said(diagnose, draw, fault) == HEALTHY for fault in FAULTS):
        raise Wrong("Every model is called healthy, the broken ones too.")


def finds(diagnose: Function, draw: np.random.Generator, fault: str) -> None:
    """One fault is called by its name, as often as it is met."""
    for _ in range(2):
        word = said(diagnose, draw, fault)
        if word != fault:
            raise Wrong(f"One of the faults was called {word[:40]!r}. Try them all by hand.")


def leaves_alone(diagnose: Function, draw: np.random.Generator) -> None:
    """Parameters, gradients, data and generators are as before the examination."""
    case = Case(draw, layers=3)
    case.soil()
    x, y = case.batch()
    given, before = (tensor(x), tensor(y)), [gradient(p) for p in case.parameters]
    with undisturbed():
        call(diagnose, case.model, case.optimizer, squared, *given)
    untouched(given[0], x, "x")
    untouched(given[1], y, "y")
    for parameter, weight, slope in zip(case.parameters, case.weights, before, strict=True):
        if not same(array(parameter, "A parameter"), weight):
            raise Wrong("The examination has moved the model.")
        now = gradient(parameter)
        if now is None or slope is None or not same(now, slope):
            raise Wrong("The model came with something in `.grad`, and it is not there any more.")


_FINDS = [
    Check(f"a fault ({number} of {len(FAULTS)})", 1, partial(finds, fault=fault))
    for number, fault in enumerate(FAULTS, 1)
]

TASKS = (
    Task(
        "diagnose",
        (
            Check("a healthy model is told from a broken one", 1, tells),
            *_FINDS,
            Check("all is left as found", 1, leaves_alone),
        ),
    ),
)
