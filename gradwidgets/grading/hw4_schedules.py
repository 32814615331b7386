"""Homework 4: a schedule by hand, groups of parameters, and layers that thaw one after another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from gradwidgets.grading.check import Check, Function, Wrong
from gradwidgets.grading.numpy_oracle import Array, PlainSGD
from gradwidgets.grading.strict_types import all_close, array, close, returned, same
from gradwidgets.grading.trial import Case, batch_unchanged, call, squared, tensor, tensors


def demand_lr(learning_rate: Function, update: int, peak: float, warmup: int, total: int) -> None:
    """Demand the learning rate of one update.

    Raises:
        Wrong: it is another one, or no plain float.
    """
    value = returned(float, call(learning_rate, update, peak, warmup, total))
    if update < warmup:
        wanted = peak * (update + 1) / warmup
    else:
        wanted = peak * max(total - update, 0) / (total - warmup)
    if not close(value, wanted):
        raise Wrong(
            f"Of {total} updates, {warmup} of them warm-up to {peak:.3f}, number {update} "
            f"(counted from 0) is made with {value:.4f}."
        )


def rises_and_falls(learning_rate: Function, rng: np.random.Generator) -> None:
    """It rises in a line to the peak, and falls in a line from there."""
    for _ in range(3):
        warmup, after = int(rng.integers(3, 9)), int(rng.integers(5, 20))
        peak = float(rng.uniform(0.05, 2))
        for update in range(warmup + after):
            demand_lr(learning_rate, update, peak, warmup, warmup + after)


def without_warmup(learning_rate: Function, rng: np.random.Generator) -> None:
    """With no warm-up it begins with the peak; with a warm-up of one update, too."""
    for warmup in (0, 1):
        total = int(rng.integers(5, 20))
        for update in range(total):
            demand_lr(learning_rate, update, float(rng.uniform(0.05, 2)), warmup, total)


def after_the_end(learning_rate: Function, rng: np.random.Generator) -> None:
    """From the end on it is zero."""
    total = int(rng.integers(10, 20))
    for update in (total, total + 1, 3 * total):
        demand_lr(learning_rate, update, float(rng.uniform(0.05, 2)), 4, total)


class Scheduled:
    """A case, one factor for each of its batches, and perhaps two groups with their own lr.

    Args:
        rng: where the numbers come from.
        groups: 1 or 2.
        momentum: of SGD.
    """

    def __init__(self, rng: np.random.Generator, groups: int = 1, momentum: float = 0.0) -> None:
        self.case = Case(rng, momentum=momentum)
        self.rng = rng
        self.base = [float(lr) for lr in rng.uniform(0.05, 0.2, groups)]
        parameters = self.case.parameters
        halves = [parameters[:2], parameters[2:]] if groups == 2 else [parameters]
        pairs = zip(halves, self.base, strict=True)
        self.case.optimizer = torch.optim.SGD(
            [{"params": part, "lr": lr} for part, lr in pairs], momentum=momentum
        )
        self.of_each = [self.base[0]] * 2 + [self.base[-1]] * 2
        self.case.oracle = PlainSGD(self.of_each, momentum)

    def run(self, scheduled_loop: Function) -> None:
        """Call the loop on new batches with new factors, and move the oracle."""
        batches = [self.case.batch() for _ in range(4)]
        factors = [float(factor) for factor in self.rng.uniform(0.1, 1.5, len(batches))]
        given = list(map(tensors, batches))

        def schedule(update: int) -> float:
            return factors[update] if 0 <= update < len(factors) else 0.0

        call(scheduled_loop, self.case.model, self.case.optimizer, squared, given, schedule)
        for pair, batch, factor in zip(given, batches, factors, strict=True):
            batch_unchanged(pair, batch)
            self.case.oracle.lr = [factor * lr for lr in self.of_each]
            self.case.step(batch)


def follows(scheduled_loop: Function, rng: np.random.Generator) -> None:
    """Each update is made with the optimizer's lr times its own factor."""
    for _ in range(2):
        scheduled = Scheduled(rng)
        scheduled.run(scheduled_loop)
        scheduled.case.demand(
            "Four batches do not lead where four updates with the schedule's learning rates lead.",
            unmoved="After four batches the parameters stand where they stood.",
        )


def keeps_ratios(scheduled_loop: Function, rng: np.random.Generator) -> None:
    """Two groups with their own lr follow the schedule together; momentum stays."""
    scheduled = Scheduled(rng, groups=2, momentum=0.9)
    scheduled.run(scheduled_loop)
    scheduled.case.demand("With two groups, each with an lr of its own, the steps are others.")


def begins_again(scheduled_loop: Function, rng: np.random.Generator) -> None:
    """After the loop each lr is what it was, and a second loop begins from there."""
    scheduled = Scheduled(rng, groups=2)
    for _ in range(2):
        scheduled.run(scheduled_loop)
        left = [group["lr"] for group in scheduled.case.optimizer.param_groups]
        if not all(type(lr) is float for lr in left) or not close(
            np.array(left), np.array(scheduled.base)
        ):
            raise Wrong("After the loop the optimizer's learning rates are not what they were.")
    scheduled.case.demand("A second loop with the same optimizer does not step as it should.")


class Grouped:
    """A model with a head, gradients for all parameters, and the numbers for its groups.

    Args:
        rng: where the numbers come from.
        norm: a LayerNorm stands between the layers, and another one is nested.
        tied: two layers share a weight.
    """

    def __init__(self, rng: np.random.Generator, norm: bool = False, tied: bool = False) -> None:
        width = int(rng.integers(2, 5))
        layers: list[nn.Module] = [_linear(width), nn.Tanh(), _linear(width)]
        if norm:
            layers += [_norm(width), nn.Sequential(_linear(width), _norm(width))]
        self.head = _linear(width)
        self.model = nn.Sequential(nn.Sequential(*layers), self.head)
        if tied:
            layers[2].weight = layers[0].weight
        self.parameters = list(self.model.parameters())
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.copy_(tensor(rng.normal(size=tuple(parameter.shape))))
        self.start = self.actual()
        self.lr, self.head_lr, self.decay = (float(value) for value in rng.uniform(0.05, 0.5, 3))
        self.gradients = [rng.normal(size=weight.shape) for weight in self.start]

    def actual(self) -> list[Array]:
        """The values of all parameters now."""
        return [array(parameter, "A parameter") for parameter in self.parameters]

    def demand(self, make_groups: Function, otherwise: str) -> None:
        """Demand that a step of SGD made from the groups is the right one for each parameter.

        Raises:
            Wrong: no optimizer can be made, or a parameter goes elsewhere; says `otherwise`.
        """
        made = call(make_groups, self.model, self.head, self.lr, self.head_lr, self.decay)
        groups = [returned(dict, group) for group in returned(list, made)]
        try:
            optimizer = torch.optim.SGD(groups, lr=7.0, weight_decay=3.0)
        except Exception as error:
            raise Wrong(f"SGD takes no such groups: {str(error).split(chr(10))[0][:120]}") from None
        held = [id(p) for group in optimizer.param_groups for p in group["params"]]
        if len(held) != len(set(held)):
            raise Wrong("A parameter is held more than once.")
        for parameter, slope in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = tensor(slope)
        optimizer.step()
        if not all_close(self.actual(), self._expected()):
            raise Wrong(otherwise)

    def _expected(self) -> list[Array]:
        heads = [any(p is own for own in self.head.parameters()) for p in self.parameters]
        lrs = [self.head_lr if head else self.lr for head in heads]
        decays = [self.decay if weight.ndim > 1 else 0.0 for weight in self.start]
        return PlainSGD(lrs, decay=decays).stepped(self.start, self.gradients)


def _linear(width: int) -> nn.Linear:
    """A layer whose numbers no generator is asked for."""
    return nn.Linear(width, width, device="meta", dtype=torch.float64).to_empty(device="cpu")


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, dtype=torch.float64)


def groups(
    make_groups: Function,
    rng: np.random.Generator,
    otherwise: str,
    norm: bool = False,
    tied: bool = False,
) -> None:
    """A step made from the groups moves each parameter with its own lr and decay."""
    for _ in range(2):
        Grouped(rng, norm, tied).demand(make_groups, otherwise)


THAWED = (1, 1, 2, 2, 3, 3)
"""The number of layers that train, update by update."""


def thaws(
    unfreeze: Function,
    rng: np.random.Generator,
    set_to_none: bool = True,
    all_held: bool = True,
    each_update: bool = False,
) -> None:
    """Of three layers the last `count` train; those below rest until their turn has come.

    Args:
        unfreeze: the function.
        rng: where the numbers come from.
        set_to_none: how the loop clears.
        all_held: if the optimizer holds all parameters from the start, or only the head's.
        each_update: if the function is called before each update, or only for a new layer.
    """
    case = Case(rng, layers=3, momentum=0.9, decay=0.05)
    layers = [case.model[0], case.model[2], case.model[4]]
    if not all_held:
        case.optimizer = torch.optim.SGD(
            layers[2].parameters(), lr=case.lr, momentum=0.9, weight_decay=0.05
        )
    case.leave_gradients()
    for update, count in enumerate(THAWED):
        if each_update or THAWED[max(update - 1, 0)] != count or not update:
            call(unfreeze, layers, case.optimizer, count)
        before = case.actual()
        batch = case.batch()
        case.optimizer.zero_grad(set_to_none=set_to_none)
        x, y = tensors(batch)
        squared(case.model(x), y).backward()  # type: ignore[no-untyped-call]
        case.optimizer.step()
        frozen = range(2 * (len(layers) - count))
        case.step(batch, frozen=frozen)
        _demand_thawed(case, before, frozen, count)


def _demand_thawed(case: Case, before: Sequence[Array], frozen: range, count: int) -> None:
    after = case.actual()
    if not all(same(before[index], after[index]) for index in frozen):
        raise Wrong(f"With {count} of 3 layers unfrozen, a layer below them moves.")
    if any(same(*pair) for pair in list(zip(before, after, strict=True))[len(frozen) :]):
        raise Wrong(f"With {count} of 3 layers unfrozen, one of these does not move.")
    case.demand(f"With {count} of 3 layers unfrozen, the right layers move, but by other steps.")


CHECKS = {
    "learning_rate": (
        Check("it rises to the peak and falls from there", 2, rises_and_falls),
        Check("no warm-up, or one of a single update", 1, without_warmup),
        Check("after the end it is zero", 1, after_the_end),
    ),
    "scheduled_loop": (
        Check("each update has the learning rate of its turn", 2, follows),
        Check("two groups keep their own", 1, keeps_ratios),
        Check("afterwards the optimizer is as before", 1, begins_again),
    ),
    "make_groups": (
        Check(
            "weights decay, biases do not, the head has its lr",
            2,
            partial(groups, otherwise="In a step of SGD a weight, a bias or the head goes wrong."),
        ),
        Check(
            "norms do not decay, nested ones neither",
            1,
            partial(groups, otherwise="In a model with LayerNorm a step goes wrong.", norm=True),
        ),
        Check(
            "a weight that two layers share is held once",
            1,
            partial(groups, otherwise="With a shared weight a step goes wrong.", tied=True),
        ),
    ),
    "unfreeze": (
        Check("the last layers train, the others rest", 2, thaws),
        Check("... in a loop that clears with zeros", 1, partial(thaws, set_to_none=False)),
        Check("... with an optimizer that holds only the head", 1, partial(thaws, all_held=False)),
        Check("... called before each update", 1, partial(thaws, all_held=False, each_update=True)),
    ),
}
