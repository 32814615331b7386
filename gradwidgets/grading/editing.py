"""Homework 2: scale, mask, penalty and clip as functions on gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from gradwidgets.grading.calling import call
from gradwidgets.grading.cases import tensor, untouched
from gradwidgets.grading.reading import Array, close, gradient, number, same
from gradwidgets.grading.verdict import Check, Function, Task, Wrong

ROUNDING = 1e-5
"""What clipping may be off: PyTorch adds 1e-6 to the norm before it divides."""


class Edited:
    """Parameters with gradients, an edit on them, and what `.grad` should hold afterwards."""

    def __init__(self, draw: np.random.Generator, missing: bool = False) -> None:
        shapes = [(3, 4), (3,), (2, 3), (2,)]
        self.values = [draw.normal(size=shape) for shape in shapes]
        self.slopes: list[Array | None] = [draw.normal(size=shape) for shape in shapes]
        self.hidden = [draw.random(size=shape) < 0.5 for shape in shapes]
        if missing:
            self.slopes[1] = None
        self.parameters = [nn.Parameter(tensor(values)) for values in self.values]
        for parameter, slope in zip(self.parameters, self.slopes, strict=True):
            parameter.grad = None if slope is None else tensor(slope)

    @property
    def masks(self) -> list[Any]:
        """The hidden elements as boolean tensors."""
        return [tensor(hidden.astype(float)) > 0.5 for hidden in self.hidden]

    def demand(self, wanted: list[Array | None], share: float = 1e-9) -> None:
        """Demand these gradients, and that the parameters have not moved.

        Raises:
            Wrong: something else stands there.
        """
        for parameter, values in zip(self.parameters, self.values, strict=True):
            untouched(parameter, values, "a parameter")
        for found, slope in zip(map(gradient, self.parameters), wanted, strict=True):
            if slope is None and found is not None:
                raise Wrong("A `.grad` that was None is not None any more.")
            if slope is not None and found is None:
                raise Wrong("A `.grad` is None after the edit.")
            if slope is not None and found is not None and not close(found, slope, share):
                raise Wrong("`.grad` does not hold what the edit should leave there.")

    def norm(self) -> float:
        """The joint norm of all gradients, as they were handed in."""
        return float(np.sqrt(sum(float((s**2).sum()) for s in self.slopes if s is not None)))


def scaled(scale: Function, draw: np.random.Generator) -> None:
    """Every gradient is multiplied, in place of the old one."""
    for missing in (False, True):
        edited, factor = Edited(draw, missing), float(draw.uniform(-2, 2))
        call(scale, edited.parameters, factor)
        edited.demand([None if s is None else factor * s for s in edited.slopes])


def masked(mask: Function, draw: np.random.Generator) -> None:
    """Hidden elements are zero, the others as they were."""
    edited = Edited(draw)
    call(mask, edited.parameters, edited.masks)
    edited.demand([np.where(h, 0, s) for h, s in zip(edited.hidden, edited.slopes, strict=True)])  # type: ignore[arg-type]


def masked_oddly(mask: Function, draw: np.random.Generator) -> None:
    """Hidden elements are zero even where they are infinite; None stays None."""
    edited = Edited(draw, missing=True)
    edited.hidden[0][0, 0] = True
    first = edited.parameters[0].grad
    assert first is not None
    first[0, 0] = float("inf")
    call(mask, edited.parameters, edited.masks)
    edited.demand(
        [
            None if s is None else np.where(h, 0, s)
            for h, s in zip(edited.hidden, edited.slopes, strict=True)
        ]
    )


def penalised(penalty: Function, draw: np.random.Generator, missing: bool = False) -> None:
    """The gradients of both penalties are added."""
    for one, two in ((0.0, float(draw.uniform(0.1, 1))), tuple(draw.uniform(0.1, 1, 2).tolist())):
        edited = Edited(draw, missing)
        call(penalty, edited.parameters, one, two)
        pairs = zip(edited.slopes, edited.values, strict=True)
        edited.demand([None if s is None else s + one * np.sign(p) + two * p for s, p in pairs])


def penalised_oddly(penalty: Function, draw: np.random.Generator) -> None:
    """Where there is no gradient, none appears."""
    penalised(penalty, draw, missing=True)


def clipped(clip: Function, draw: np.random.Generator) -> None:
    """Gradients that are too long are shortened together, to the norm that is allowed."""
    for missing in (False, True):
        edited = Edited(draw, missing)
        allowed = edited.norm() * float(draw.uniform(0.2, 0.8))
        call(clip, edited.parameters, allowed)
        factor = allowed / edited.norm()
        edited.demand([None if s is None else factor * s for s in edited.slopes], ROUNDING)


def left_alone(clip: Function, draw: np.random.Generator) -> None:
    """Gradients that are short enough stay as they are."""
    edited = Edited(draw)
    call(clip, edited.parameters, edited.norm() * float(draw.uniform(1.5, 3)))
    for found, slope in zip(map(gradient, edited.parameters), edited.slopes, strict=True):
        if found is None or slope is None or not same(found, slope):
            raise Wrong("Gradients shorter than `max_norm` have been changed.")


def norm_before(clip: Function, draw: np.random.Generator) -> None:
    """It returns the joint norm as it was before."""
    for factor in (0.5, 2.0):
        edited = Edited(draw)
        value = call(clip, edited.parameters, factor * edited.norm())
        if not close(number(value, "What it returns"), edited.norm()):
            raise Wrong("The number it returns is not the joint norm before the edit.")


TASKS = (
    Task("scale", (Check("every gradient is multiplied", 1, scaled),)),
    Task(
        "mask",
        (
            Check("hidden elements are zero", 1, masked),
            Check("odd gradients: infinite, or None", 1, masked_oddly),
        ),
    ),
    Task(
        "penalty",
        (
            Check("both penalties are added", 1, penalised),
            Check("where there is no gradient, none appears", 1, penalised_oddly),
        ),
    ),
    Task(
        "clip",
        (
            Check("long gradients are shortened together", 1, clipped),
            Check("short gradients are left alone", 1, left_alone),
            Check("the norm before is returned", 1, norm_before),
        ),
    ),
)
