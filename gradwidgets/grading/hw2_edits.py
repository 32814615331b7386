"""Homework 2: functions on gradients, and what masks and freezing must keep where it is."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gradwidgets.grading.check import Check, Function, Wrong
from gradwidgets.grading.numpy_oracle import Array
from gradwidgets.grading.strict_types import SMALL, all_close, close, gradient, returned, same
from gradwidgets.grading.trial import Batch, Case, call, squared, tensor, tensors, values_unchanged

CLIP_ROUNDING = 1e-5
"""The error that clipping may have: PyTorch adds 1e-6 to the norm before it divides."""


def mask_of(hidden: npt.NDArray[np.bool_]) -> Tensor:
    """The hidden elements as a boolean tensor."""
    return tensor(hidden.astype(float)) > 0.5


class Edited:
    """Four parameters with gradients for an edit.

    Args:
        rng: where the numbers come from.
        missing: the `.grad` of the second parameter is None.
    """

    def __init__(self, rng: np.random.Generator, missing: bool = False) -> None:
        shapes = [(3, 4), (3,), (2, 3), (2,)]
        self.values = [rng.normal(size=shape) for shape in shapes]
        self.gradients = [rng.normal(size=shape) for shape in shapes]
        self.hidden = [rng.random(size=shape) < 0.5 for shape in shapes]
        self.present = [True, not missing, True, True]
        self.parameters = [nn.Parameter(tensor(values)) for values in self.values]
        for parameter, slope, present in self._pairs(self.gradients):
            parameter.grad = tensor(slope) if present else None

    @property
    def norm(self) -> float:
        """The joint norm of all gradients, as they were handed in."""
        squares = [float((s**2).sum()) for _, s, present in self._pairs(self.gradients) if present]
        return float(np.sqrt(sum(squares)))

    def demand(
        self,
        wanted: list[Array],
        share: float = SMALL,
        otherwise: str = "`.grad` does not hold what the edit should leave there.",
    ) -> None:
        """Demand these gradients, None where there was none, and that the parameters rest.

        Raises:
            Wrong: something else stands there; says `otherwise` if it is another gradient.
        """
        for parameter, values in zip(self.parameters, self.values, strict=True):
            values_unchanged(parameter, values, "A parameter")
        for parameter, slope, present in self._pairs(wanted):
            found = gradient(parameter)
            if not present and found is not None:
                raise Wrong("A `.grad` that was None is not None any more.")
            if present and found is None:
                raise Wrong("A `.grad` is None after the edit.")
            if found is not None and not close(found, slope, share):
                raise Wrong(otherwise)

    def _pairs(self, gradients: list[Array]) -> list[tuple[nn.Parameter, Array, bool]]:
        return list(zip(self.parameters, gradients, self.present, strict=True))


def scaled(scale: Function, rng: np.random.Generator) -> None:
    """Every gradient is multiplied, in place of the old one."""
    for missing in (False, True):
        edited, factor = Edited(rng, missing), float(rng.uniform(-2, 2))
        call(scale, edited.parameters, factor)
        edited.demand([factor * slope for slope in edited.gradients])


def masked(mask: Function, rng: np.random.Generator, odd: bool = False) -> None:
    """Hidden elements are zero, the others as they were; `odd`: even if infinite, or None."""
    edited = Edited(rng, missing=odd)
    if odd:
        edited.hidden[0][0, 0] = True
        first = edited.parameters[0].grad
        assert first is not None
        first[0, 0] = float("inf")
    call(mask, edited.parameters, list(map(mask_of, edited.hidden)))
    pairs = zip(edited.hidden, edited.gradients, strict=True)
    edited.demand([np.where(hidden, 0, slope) for hidden, slope in pairs])


def penalised(penalty: Function, rng: np.random.Generator, missing: bool = False) -> None:
    """The gradients of both penalties are added; where there is no gradient, none appears."""
    for l1, l2 in ((0.0, float(rng.uniform(0.1, 1))), tuple(rng.uniform(0.1, 1, 2).tolist())):
        edited = Edited(rng, missing)
        call(penalty, edited.parameters, l1, l2)
        pairs = zip(edited.gradients, edited.values, strict=True)
        edited.demand([slope + l1 * np.sign(value) + l2 * value for slope, value in pairs])


def clipped(clip: Function, rng: np.random.Generator) -> None:
    """Gradients that are too long are shortened together, to the norm that is allowed."""
    for missing in (False, True):
        edited = Edited(rng, missing)
        max_norm = edited.norm * float(rng.uniform(0.2, 0.8))
        call(clip, edited.parameters, max_norm)
        factor = max_norm / edited.norm
        edited.demand([factor * slope for slope in edited.gradients], CLIP_ROUNDING)


def short_unchanged(clip: Function, rng: np.random.Generator) -> None:
    """Gradients that are short enough stay as they are."""
    edited = Edited(rng)
    call(clip, edited.parameters, edited.norm * float(rng.uniform(1.5, 3)))
    edited.demand(edited.gradients, 0.0, "Gradients shorter than `max_norm` have been changed.")


def norm_before(clip: Function, rng: np.random.Generator) -> None:
    """It returns the joint norm as it was before."""
    for factor in (0.5, 2.0):
        edited = Edited(rng)
        value = call(clip, edited.parameters, factor * edited.norm)
        if not close(returned(float, value), edited.norm):
            raise Wrong("The number it returns is not the joint norm before the edit.")


FROZEN = (2, 3)
"""Weight and bias of the layer that is frozen: the middle one of three."""


def backward(case: Case, batch: Batch) -> None:
    """Add the gradients of a batch to those of a case's model."""
    x, y = tensors(batch)
    squared(case.model(x), y).backward()  # type: ignore[no-untyped-call]


def third_step_due(case: Case) -> None:
    """Train for two updates, and leave the gradients for a third, which the oracle makes, too."""
    for update in range(3):
        batch = case.batch()
        case.optimizer.zero_grad()
        backward(case, batch)
        case.step(batch)
        if update < 2:
            case.optimizer.step()


def hidden_rest(masked_step: Function, case: Case, expected: list[Array]) -> None:
    """Call `masked_step`: hidden elements rest, the others arrive where they are expected."""
    before = case.actual()
    hidden = [case.rng.random(size=weight.shape) < 0.5 for weight in before]
    call(masked_step, case.optimizer, dict(zip(case.parameters, map(mask_of, hidden), strict=True)))
    after = case.actual()
    if not all(same(old[h], new[h]) for old, new, h in zip(before, after, hidden, strict=True)):
        raise Wrong("A hidden element has moved.")
    wanted = map(np.where, hidden, before, expected)
    if not all_close(after, list(wanted)):
        raise Wrong("The elements that are not hidden do not move as they would without a mask.")


def masked_sgd(
    masked_step: Function, rng: np.random.Generator, momentum: float = 0.0, decay: float = 0.0
) -> None:
    """Hidden elements rest in a step of SGD that may have momentum from steps before."""
    case = Case(rng, momentum=momentum, decay=decay)
    third_step_due(case)
    hidden_rest(masked_step, case, case.expected)


def masked_adamw(masked_step: Function, rng: np.random.Generator) -> None:
    """The same with AdamW; the oracle is a twin that steps without a mask."""
    twin, case = Case(copy.deepcopy(rng)), Case(rng)
    for each in (twin, case):
        each.optimizer = adamw(each)
        third_step_due(each)
    twin.optimizer.step()
    hidden_rest(masked_step, case, twin.actual())


def adamw(case: Case) -> torch.optim.Optimizer:
    """AdamW, whose weight decay bypasses the gradient, on a case's parameters."""
    return torch.optim.AdamW(case.parameters, lr=0.05, weight_decay=0.2)


def freezes(freeze: Function, rng: np.random.Generator, set_to_none: bool = True) -> None:
    """A layer freezes in the middle of a run with momentum and decay; the others train on."""
    case = Case(rng, layers=3, momentum=0.9, decay=0.05)
    for update in range(6):
        if update == 3:
            before = case.actual()
            call(freeze, case.model[2], case.optimizer)
        batch = case.batch()
        case.optimizer.zero_grad(set_to_none=set_to_none)
        backward(case, batch)
        case.optimizer.step()
        case.step(batch, frozen=FROZEN if update >= 3 else ())
    after = case.actual()
    if not all(same(before[index], after[index]) for index in FROZEN):
        raise Wrong("The layer still moves after it was frozen.")
    case.demand("The layer rests, but the others do not train on as they should.")


def freezes_adamw(freeze: Function, rng: np.random.Generator) -> None:
    """The same with AdamW and a loop that clears with zeros; all other parameters must move."""
    case = Case(rng, layers=3)
    case.optimizer = adamw(case)
    for update in range(6):
        if update == 3:
            before = case.actual()
            call(freeze, case.model[2], case.optimizer)
        case.optimizer.zero_grad(set_to_none=False)
        backward(case, case.batch())
        case.optimizer.step()
    moved = [not same(*pair) for pair in zip(before, case.actual(), strict=True)]
    if any(moved[index] for index in FROZEN):
        raise Wrong("The layer still moves after it was frozen.")
    if sum(moved) < len(moved) - len(FROZEN):
        raise Wrong("The layer rests, but others rest with it.")


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
        Check("hidden elements rest under plain SGD", 1, masked_sgd),
        Check(
            "... under momentum and weight decay", 1, partial(masked_sgd, momentum=0.9, decay=0.1)
        ),
        Check("... under AdamW", 1, masked_adamw),
    ),
    "freeze": (
        Check("the layer rests, the others train on", 1, freezes),
        Check("... in a loop that clears with zeros", 1, partial(freezes, set_to_none=False)),
        Check("... under AdamW", 1, freezes_adamw),
    ),
}
