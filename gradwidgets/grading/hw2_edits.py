"""Homework 2: functions on gradients, and what masks and freezing must keep where it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gradwidgets.grading.answer import Seen
from gradwidgets.grading.case import (
    OPTIMIZER,
    PARAMETERS,
    STEP,
    Case,
    array,
    backward,
    call,
    demand_gradients,
    demand_number,
    demand_rests,
    demand_unchanged,
    normal,
    question,
    zero_grad,
)
from gradwidgets.grading.check import Check, Trial
from gradwidgets.grading.numpy_oracle import Array
from gradwidgets_homework import course_settings
from gradwidgets_worker import Data

CLIP_ROUNDING = 1e-5
"""The error that clipping may have: PyTorch adds 1e-6 to the norm before it divides."""


class Edited:
    """Four parameters with gradients for an edit.

    Args:
        rng: where the numbers come from.
        missing: the `.grad` of the second parameter is None.
    """

    def __init__(self, rng: np.random.Generator, missing: bool = False) -> None:
        shapes = [(3, 4), (3,), (2, 3), (2,)]
        self.rng = rng
        self.values = [normal(rng, *shape) for shape in shapes]
        self.gradients: list[Array | None] = [normal(rng, *shape) for shape in shapes]
        self.hidden = [rng.random(size=shape) < 0.5 for shape in shapes]
        if missing:
            self.gradients[1] = None

    @property
    def norm(self) -> float:
        """The joint norm of all gradients, as they were handed in."""
        return float(np.sqrt(sum((s**2).sum() for s in self.gradients if s is not None)))

    def asks(self, *arguments: Any) -> Data:
        """The question that calls the edit on the parameters, with further arguments."""
        step = call(PARAMETERS, *arguments)
        return question(self.rng, self.values, step, gradients=self.gradients)

    def demand(
        self,
        seen: Seen,
        wanted: Sequence[Array | None],
        share: float | None = None,
        otherwise: str = "",
    ) -> None:
        """Demand these gradients, and that the parameters rest.

        Raises:
            Wrong: something else stands there; says `otherwise` if it is another gradient.
        """
        names = [f"`parameters[{index}]`" for index in range(len(self.values))]
        demand_unchanged(seen.parameters, self.values, names)
        demand_gradients(seen, wanted, share, otherwise)

    def edited(self, edit: Any, *others: Sequence[Any]) -> list[Array | None]:
        """Every gradient after an edit; None stays."""
        rows = zip(self.gradients, *others, strict=True)
        return [None if row[0] is None else edit(*row) for row in rows]


def scaled(rng: np.random.Generator) -> Trial:
    """Every gradient is multiplied, in place of the old one."""
    for missing in (False, True):
        edited, factor = Edited(rng, missing), float(rng.uniform(-2, 2))
        answer = yield edited.asks(factor)
        edited.demand(answer.seen[0], edited.edited(lambda slope, by=factor: by * slope))


def masked(rng: np.random.Generator, odd: bool = False) -> Trial:
    """Hidden elements are zero, the others as they were; `odd`: even if infinite, or None."""
    edited = Edited(rng, missing=odd)
    first = edited.gradients[0]
    if odd and first is not None:
        edited.hidden[0][0, 0], first[0, 0] = True, np.inf
    answer = yield edited.asks({"list": [array(hidden) for hidden in edited.hidden]})
    wanted = edited.edited(lambda slope, hidden: np.where(hidden, 0, slope), edited.hidden)
    edited.demand(answer.seen[0], wanted)


def penalised(rng: np.random.Generator, missing: bool = False) -> Trial:
    """The gradients of both penalties are added; where there is no gradient, none appears."""
    for l1, l2 in ((0.0, float(rng.uniform(0.1, 1))), tuple(rng.uniform(0.1, 1, 2).tolist())):
        edited = Edited(rng, missing)
        answer = yield edited.asks(l1, l2)
        slopes = [l1 * np.sign(value) + l2 * value for value in edited.values]
        edited.demand(answer.seen[0], edited.edited(np.add, slopes))


def clipped(rng: np.random.Generator) -> Trial:
    """Gradients that are too long are shortened together, to the norm that is allowed."""
    for missing in (False, True):
        edited = Edited(rng, missing)
        factor = float(rng.uniform(0.2, 0.8))
        answer = yield edited.asks(factor * edited.norm)
        wanted = edited.edited(lambda slope, by=factor: by * slope)
        share = course_settings().numbers.get("clip_rounding", CLIP_ROUNDING)
        edited.demand(answer.seen[0], wanted, share)


def short_unchanged(rng: np.random.Generator) -> Trial:
    """Gradients that are short enough stay as they are."""
    edited = Edited(rng)
    answer = yield edited.asks(edited.norm * float(rng.uniform(1.5, 3)))
    edited.demand(
        answer.seen[0],
        edited.gradients,
        0.0,
        "Gradients shorter than `max_norm` have been changed.",
    )


def norm_before(rng: np.random.Generator) -> Trial:
    """It returns the joint norm as it was before."""
    for factor in (0.5, 2.0):
        edited = Edited(rng)
        answer = yield edited.asks(factor * edited.norm)
        demand_number(
            answer.seen[0],
            edited.norm,
            "The number it returns is not the joint norm before the edit.",
        )


Masks = Sequence[npt.NDArray[np.bool_]]


def masked_step(
    rng: np.random.Generator, momentum: float = 0.0, decay: float = 0.0, adamw: bool = False
) -> Trial:
    """Hidden elements rest in the third step of an optimizer that may remember two before."""
    case = Case(rng, momentum=momentum, decay=decay, adamw=adamw)
    batches = [case.batch() for _ in range(3)]
    hidden: Masks = [rng.random(size=weight.shape) < 0.5 for weight in case.start]
    loop = [[zero_grad(), backward(batch), STEP] for batch in batches]
    steps = [step for update in loop for step in update][:-1]
    answer = yield case.asks(
        *steps, call(OPTIMIZER, {"by_parameter": [array(each) for each in hidden]})
    )
    before, after = answer.seen[-2:]
    case.step(batches[0])
    case.step(batches[1])
    case.demand(before, "The parameters were changed before the call.")
    case.step(batches[2])
    pairs = zip(case.names, before.parameters, after.parameters, hidden, strict=True)
    for name, old, new, where in pairs:
        demand_rests(old, new, name, "A hidden element has moved.", where)
    case.expected = [
        np.where(where, old, new)
        for where, old, new in zip(hidden, before.parameters, case.expected, strict=True)
    ]
    case.demand(after, "The elements that are not hidden do not move as they would without a mask.")


FROZEN = (2, 3)
"""Weight and bias of the layer that is frozen: the middle one of three."""


def freezes(
    rng: np.random.Generator,
    set_to_none: bool = True,
    momentum: float = 0.9,
    decay: float = 0.05,
    adamw: bool = False,
) -> Trial:
    """A layer freezes in the middle of a run with momentum and decay; the others train on."""
    case = Case(rng, layers=3, momentum=momentum, decay=decay, adamw=adamw)
    batches = [case.batch() for _ in range(6)]
    loop = [[zero_grad(set_to_none), backward(batch), STEP] for batch in batches]
    freeze = call({"layer": [2]}, OPTIMIZER)
    steps = [*(step for update in loop[:3] for step in update), freeze]
    answer = yield case.asks(*steps, *(step for update in loop[3:] for step in update))
    before = answer.seen[len(steps) - 1]
    for update, batch in enumerate(batches):
        case.step(batch, frozen=FROZEN if update >= 3 else ())
        if update == 2:
            case.demand(before, "The call itself moves parameters.")
    end = answer.seen[-1]
    for index in FROZEN:
        demand_rests(
            before.parameters[index],
            end.parameters[index],
            case.names[index],
            "The layer still moves after it was frozen.",
        )
    case.demand(end, "The layer rests, but the others do not train on as they should.")


CHECKS = {
    "scale": (Check("every gradient is multiplied", 1, scaled),),
    "mask": (
        Check("hidden elements are zero", 1, masked),
        Check("odd gradients: infinite, or None", 1, partial(masked, odd=True)),
    ),
    "penalty": (
        Check("both penalties are added", 1, penalised),
        Check("where there is no gradient, none appears", 1, partial(penalised, missing=True)),
    ),
    "clip": (
        Check("long gradients are shortened together", 1, clipped),
        Check("short gradients are left alone", 1, short_unchanged),
        Check("the norm before is returned", 1, norm_before),
    ),
    "masked_step": (
        Check("hidden elements rest under plain SGD", 1, masked_step),
        Check(
            "... under momentum and weight decay", 1, partial(masked_step, momentum=0.9, decay=0.1)
        ),
        Check("... under AdamW", 1, partial(masked_step, decay=0.2, adamw=True)),
    ),
    "freeze": (
        Check("the layer rests, the others train on", 1, freezes),
        Check("... in a loop that clears with zeros", 1, partial(freezes, set_to_none=False)),
        Check("... under AdamW", 1, partial(freezes, set_to_none=False, decay=0.2, adamw=True)),
    ),
}
