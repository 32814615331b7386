"""Homework 4: a schedule by hand, groups of parameters, and layers that thaw one after another."""

from __future__ import annotations

from functools import partial

import numpy as np

from gradwidgets.grading.answer import Seen, is_close, is_same
from gradwidgets.grading.case import (
    LOSS,
    MODEL,
    OPTIMIZER,
    STEP,
    Batch,
    Case,
    Step,
    backward,
    call,
    demand_batches_unchanged,
    demand_rests,
    figures,
    list_of_batches,
    normal,
    question,
    zero_grad,
)
from gradwidgets.grading.check import Check, Trial
from gradwidgets.grading.numpy_oracle import Array, PlainSGD
from gradwidgets.grading.wrong import Wrong
from gradwidgets_worker import Data, encoded


class Rates:
    """Calls of `learning_rate` for one run, and the numbers that should come back."""

    def __init__(self, rng: np.random.Generator, warmup: int, total: int) -> None:
        self.rng, self.warmup, self.total = rng, warmup, total
        self.peak = float(rng.uniform(0.05, 2))

    def asks(self, updates: list[int]) -> Data:
        """The question for these updates, in any order."""
        calls = [call(update, self.peak, self.warmup, self.total) for update in updates]
        return question(self.rng, [], *calls)

    def demand(self, seen: Seen, update: int) -> None:
        """Demand the learning rate of one update.

        Raises:
            Wrong: it is another one, or no plain float.
        """
        if update < self.warmup:
            wanted = self.peak * (update + 1) / self.warmup
        else:
            wanted = self.peak * max(self.total - update, 0) / (self.total - self.warmup)
        found = seen.returned.number()
        if not is_close(found, wanted):
            one, other = figures(found, wanted)
            raise Wrong(
                "Of {total} updates, {warmup} of them warm-up to {peak:.3f}, number {update} "
                "(counted from 0) is made with {found} where {wanted} was asked for.",
                total=self.total,
                warmup=self.warmup,
                peak=self.peak,
                update=update,
                found=one,
                wanted=other,
            )


def rates(rates: Rates, updates: list[int]) -> Trial:
    """Ask for updates in an order of their own, and look at them from the first to the last."""
    order = [updates[place] for place in rates.rng.permutation(len(updates))]
    answer = yield rates.asks(order)
    for update, seen in sorted(zip(order, answer.seen, strict=True), key=lambda pair: pair[0]):
        rates.demand(seen, update)


def rises_and_falls(rng: np.random.Generator) -> Trial:
    """It rises in a line to the peak, and falls in a line from there."""
    for _ in range(3):
        warmup, after = int(rng.integers(3, 9)), int(rng.integers(5, 20))
        yield from rates(Rates(rng, warmup, warmup + after), list(range(warmup + after)))


def without_warmup(rng: np.random.Generator) -> Trial:
    """With no warm-up it begins with the peak; with a warm-up of one update, too."""
    for warmup in (0, 1):
        total = int(rng.integers(5, 20))
        yield from rates(Rates(rng, warmup, total), list(range(total)))


def after_the_end(rng: np.random.Generator) -> Trial:
    """From the end on it is zero."""
    total = int(rng.integers(10, 20))
    yield from rates(Rates(rng, 4, total), [total, total + 1, 3 * total])


class Scheduled:
    """A case, one factor for each of its batches, and perhaps two groups with their own lr.

    Args:
        rng: where the numbers come from.
        groups: 1 or 2.
        momentum: of SGD.
    """

    def __init__(self, rng: np.random.Generator, groups: int = 1, momentum: float = 0.0) -> None:
        self.case = Case(rng, momentum=momentum)
        self.base = [float(lr) for lr in rng.uniform(0.05, 0.2, groups)]
        halves = [[0, 1], [2, 3]] if groups == 2 else [[0, 1, 2, 3]]
        pairs = zip(halves, self.base, strict=True)
        self.case.optimizer["groups"] = [{"params": part, "lr": lr} for part, lr in pairs]
        self.of_each = [self.base[0]] * 2 + [self.base[-1]] * 2
        self.oracle = self.case.oracle = PlainSGD(self.of_each, momentum)
        self.runs: list[tuple[list[Batch], list[float]]] = []

    def run(self) -> Step:
        """The step that calls the loop on new batches with new factors."""
        batches = [self.case.batch() for _ in range(4)]
        factors = [float(factor) for factor in self.case.rng.uniform(0.1, 1.5, len(batches))]
        self.runs.append((batches, factors))
        return call(MODEL, OPTIMIZER, LOSS, list_of_batches(batches), {"table": factors})

    def advance(self, seen: Seen, run: int) -> None:
        """Move the oracle over a run.

        Raises:
            Wrong: the batches of the run have been changed.
        """
        batches, factors = self.runs[run]
        demand_batches_unchanged(seen, batches)
        for batch, factor in zip(batches, factors, strict=True):
            self.oracle.lr = [factor * lr for lr in self.of_each]
            self.case.step(batch)


def follows(rng: np.random.Generator) -> Trial:
    """Each update is made with the optimizer's lr times its own factor."""
    for _ in range(2):
        scheduled = Scheduled(rng)
        answer = yield scheduled.case.asks(scheduled.run())
        scheduled.advance(answer.seen[0], 0)
        scheduled.case.demand(
            answer.seen[0],
            "Four batches do not lead where four updates with the schedule's learning rates lead.",
            unmoved="After four batches the parameters stand where they stood.",
        )


def keeps_ratios(rng: np.random.Generator) -> Trial:
    """Two groups with their own lr follow the schedule together; momentum stays."""
    scheduled = Scheduled(rng, groups=2, momentum=0.9)
    answer = yield scheduled.case.asks(scheduled.run())
    scheduled.advance(answer.seen[0], 0)
    scheduled.case.demand(
        answer.seen[0], "With two groups, each with an lr of its own, the steps are others."
    )


def begins_again(rng: np.random.Generator) -> Trial:
    """After the loop each lr is what it was, and a second loop begins from there."""
    scheduled = Scheduled(rng, groups=2)
    answer = yield scheduled.case.asks(scheduled.run(), scheduled.run())
    for number, seen in enumerate(answer.seen):
        scheduled.advance(seen, number)
        left = [group.options.get("lr", np.nan) for group in seen.groups]
        if not is_close(np.array(left), np.array(scheduled.base)):
            raise Wrong(
                "After the loop the optimizer's learning rates are {found} where they were "
                "{wanted} before.",
                found=[f"{lr:.3g}" for lr in left],
                wanted=[f"{lr:.3g}" for lr in scheduled.base],
            )
    scheduled.case.demand(
        answer.seen[-1], "A second loop with the same optimizer does not step as it should."
    )


def groups(
    rng: np.random.Generator, otherwise: str, norm: bool = False, tied: bool = False
) -> Trial:
    """A step of SGD made from the groups moves each parameter with its own lr and decay.

    Args:
        rng: where the numbers come from.
        otherwise: the sentence if it does not.
        norm: a LayerNorm stands between the layers, and another one is nested.
        tied: two layers share a weight.
    """
    for _ in range(2):
        grouped = Grouped(rng, norm, tied)
        answer = yield grouped.asks()
        grouped.demand(answer.seen, otherwise)


class Grouped:
    """A model with a head, gradients for all parameters, and the numbers for its groups."""

    def __init__(self, rng: np.random.Generator, norm: bool = False, tied: bool = False) -> None:
        self.rng, self.width = rng, int(rng.integers(2, 5))
        self.start: list[Array] = []
        self.names: list[str] = []
        body = [self._linear("0.0"), {"kind": "tanh"}, self._linear("0.2", 0 if tied else None)]
        if norm:
            body.append(self._norm("0.3"))
            nested = [self._linear("0.4.0"), self._norm("0.4.1")]
            body.append({"kind": "sequence", "layers": nested})
        self.head = len(self.start)
        self.layers = [{"kind": "sequence", "layers": body}, self._linear("1")]
        self.lr, self.head_lr, self.decay = (float(value) for value in rng.uniform(0.05, 0.5, 3))
        self.gradients = [normal(rng, *weight.shape) for weight in self.start]

    def asks(self) -> Data:
        """The question that makes the groups, an optimizer from them, and a step."""
        return question(
            self.rng,
            self.start,
            call(MODEL, {"layer": [1]}, self.lr, self.head_lr, self.decay),
            ["optimizer from what it returned", "SGD", {"lr": 7.0, "weight_decay": 3.0}],
            ["gradients", *map(encoded, self.gradients)],
            STEP,
            layers=self.layers,
        )

    def demand(self, seen: list[Seen], otherwise: str) -> None:
        """Demand that each parameter is held once, and moves with its own lr and decay.

        Raises:
            Wrong: it is not, or does not; says `otherwise`, and which options differ.
        """
        returned = seen[0].returned
        for kind, found in [("list", returned), *(("dict", item) for item in returned.items)]:
            if found.kind != kind:
                raise Wrong(
                    "It should return a list of dictionaries; there is one of type {kind}.",
                    kind=found.kind,
                )
        held = [number for group in seen[1].groups for number in group.params]
        for index, name in enumerate(self.names):
            if held.count(index) > 1:
                raise Wrong("Parameter `{name}` is held more than once.", name=name)
        oracle = PlainSGD(self.lrs, decay=self.decays)
        wanted = oracle.stepped(self.start, list(self.gradients))
        for index, name in enumerate(self.names):
            if not is_close(seen[-1].parameters[index], wanted[index]):
                raise Wrong(otherwise, self._options(seen[1], index, name))

    @property
    def lrs(self) -> list[float]:
        """The learning rate of each parameter."""
        return [self.head_lr if n >= self.head else self.lr for n in range(len(self.start))]

    @property
    def decays(self) -> list[float]:
        """The weight decay of each parameter."""
        return [self.decay if weight.ndim > 1 else 0.0 for weight in self.start]

    def _options(self, seen: Seen, index: int, name: str) -> Wrong:
        """The options that a parameter has, and those that it should have."""
        for group in seen.groups:
            if index in group.params:
                return Wrong(
                    "Parameter `{name}` has lr {lr:.3g} and weight_decay {decay:.3g} where "
                    "{right_lr:.3g} and {right_decay:.3g} were asked for.",
                    name=name,
                    lr=group.options.get("lr", np.nan),
                    decay=group.options.get("weight_decay", np.nan),
                    right_lr=self.lrs[index],
                    right_decay=self.decays[index],
                )
        return Wrong("Parameter `{name}` is in no group.", name=name)

    def _linear(self, name: str, weight: int | None = None) -> Data:
        if weight is None:
            weight = self._new(f"{name}.weight", self.width, self.width)
        return {"kind": "linear", "weight": weight, "bias": self._new(f"{name}.bias", self.width)}

    def _norm(self, name: str) -> Data:
        weight = self._new(f"{name}.weight", self.width)
        return {"kind": "norm", "weight": weight, "bias": self._new(f"{name}.bias", self.width)}

    def _new(self, name: str, *shape: int) -> int:
        self.names.append(name)
        self.start.append(normal(self.rng, *shape))
        return len(self.start) - 1


THAWED = (1, 1, 2, 2, 3, 3)
"""The number of layers that train, update by update."""


def thaws(
    rng: np.random.Generator,
    set_to_none: bool = True,
    all_held: bool = True,
    each_update: bool = False,
) -> Trial:
    """Of three layers the last `count` train; those below rest until their turn has come.

    Args:
        rng: where the numbers come from.
        set_to_none: how the loop clears.
        all_held: if the optimizer holds all parameters from the start, or only the head's.
        each_update: if the function is called before each update, or only for a new layer.
    """
    case = Case(rng, layers=3, momentum=0.9, decay=0.05)
    case.leave_gradients()
    if not all_held:
        case.optimizer["groups"] = [{"params": [4, 5]}]
    layers = {"list": [{"layer": [place]} for place in (0, 2, 4)]}
    batches = [case.batch() for _ in THAWED]
    steps: list[Step] = []
    ends: list[int] = []
    for update, (count, batch) in enumerate(zip(THAWED, batches, strict=True)):
        if each_update or update == 0 or THAWED[update - 1] != count:
            steps.append(call(layers, OPTIMIZER, count))
        steps += [zero_grad(set_to_none), backward(batch), STEP]
        ends.append(len(steps) - 1)
    answer = yield case.asks(*steps)
    before = case.start
    for count, batch, end in zip(THAWED, batches, ends, strict=True):
        frozen = range(2 * (3 - count))
        case.step(batch, frozen=frozen)
        after = answer.seen[end]
        _demand_thawed(case, before, after, frozen, count)
        before = after.parameters


def _demand_thawed(case: Case, before: list[Array], after: Seen, frozen: range, count: int) -> None:
    for index, name in enumerate(case.names):
        old, new = before[index], after.parameters[index]
        if index in frozen:
            otherwise = "With {count} of 3 layers unfrozen, a layer below them moves."
            demand_rests(old, new, name, otherwise, count=count)
        elif is_same(old, new):
            raise Wrong(
                "With {count} of 3 layers unfrozen, one of these does not move: `{name}`.",
                count=count,
                name=name,
            )
    case.demand(
        after,
        "With {count} of 3 layers unfrozen, the right layers move, but by other steps.",
        count=count,
    )


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
