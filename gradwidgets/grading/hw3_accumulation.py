"""Homework 3: accumulation over micro-batches, and a function that says what is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from gradwidgets.grading.answer import Answer
from gradwidgets.grading.case import (
    LOSS,
    MODEL,
    OPTIMIZER,
    Batch,
    Case,
    batch_arguments,
    call,
    demand_batches_unchanged,
    demand_generators_unchanged,
    demand_gradients,
    demand_number,
    demand_unchanged,
    list_of_batches,
)
from gradwidgets.grading.check import Check, Trial
from gradwidgets.grading.wrong import Wrong
from gradwidgets_worker import Data, encoded


def unequal_sizes(rng: np.random.Generator) -> list[int]:
    """Sizes of micro-batches, no two alike, among them a single sample."""
    return [int(size) for size in rng.permutation([1, 3, 4, int(rng.integers(6, 10))])]


def accumulates(case: Case, *updates: Sequence[Batch]) -> Data:
    """The question that calls `accumulate` for each list of micro-batches."""
    return case.asks(*(call(MODEL, OPTIMIZER, LOSS, list_of_batches(each)) for each in updates))


def equal_parts(rng: np.random.Generator) -> Trial:
    """Micro-batches of one size make the update of the full batch, and the model sees only them."""
    case = Case(rng)
    parts = [case.batch(4) for _ in range(3)]
    answer = yield accumulates(case, parts)
    demand_batches_unchanged(answer.seen[0], parts)
    case.step(*parts)
    case.demand(
        answer.seen[0],
        "Three micro-batches of 4 do not step as one batch of 12 does.",
        unmoved="After the call the parameters stand where they stood.",
    )
    yield from parts_alone(rng)


def parts_alone(rng: np.random.Generator) -> Trial:
    """The model never sees more samples at once than a part has.

    A layer that subtracts the mean over all samples that it sees makes this a matter of numbers:
    another update comes from all samples at once than from the parts, one by one. Parts of parts,
    down to single samples, are allowed.
    """
    case = Case(rng, centred=True)
    parts = [case.batch(4) for _ in range(3)]
    answer = yield accumulates(case, parts)
    (seen,) = answer.seen
    singles = [(x[i : i + 1], y[i : i + 1]) for x, y in parts for i in range(len(x))]
    halves = [(x[i : i + 2], y[i : i + 2]) for x, y in parts for i in (0, 2)]
    whole = [(np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]))]
    if case.arrives(seen, *whole):
        raise Wrong(
            "The model saw {seen} samples at once; no micro-batch has more than {most}.",
            seen=12,
            most=4,
        )
    if not case.arrives(seen, *singles) and not case.arrives(seen, *halves):
        case.step(*parts)
        case.demand(
            seen,
            "With a layer that subtracts the mean of the samples it sees, as BatchNorm does, "
            "the step is not that of the micro-batches one by one.",
        )


def unequal_parts(rng: np.random.Generator) -> Trial:
    """Micro-batches of any sizes make the update of the full batch."""
    for _ in range(2):
        case, sizes = Case(rng), unequal_sizes(rng)
        parts = [case.batch(size) for size in sizes]
        answer = yield accumulates(case, parts)
        demand_batches_unchanged(answer.seen[0], parts)
        case.step(*parts)
        case.demand(
            answer.seen[0],
            "Micro-batches of {sizes} do not step as one batch of {sum} does.",
            sizes=sizes,
            sum=sum(sizes),
        )


def no_leak(rng: np.random.Generator) -> Trial:
    """Updates follow each other, with momentum, and nothing leaks from one into the next."""
    case = Case(rng, momentum=0.9)
    case.leave_gradients()
    updates = [[case.batch(2) for _ in range(2)] for _ in range(3)]
    answer = yield accumulates(case, *updates)
    for seen, parts in zip(answer.seen, updates, strict=True):
        case.step(*parts)
        case.demand(seen, "In a run of several updates, a step holds what is not of its batches.")


def mean_loss(rng: np.random.Generator) -> Trial:
    """The loss of the full batch is returned, and the global generators rest."""
    case = Case(rng)
    parts = [case.batch(size) for size in unequal_sizes(rng)]
    asked = accumulates(case, parts)
    answer = yield asked
    demand_generators_unchanged(answer, asked)
    demand_number(
        answer.seen[0],
        case.step(*parts),
        "The number it returns is not the mean loss of all samples.",
    )


HEALTHY = "healthy"


def freeze(case: Case, asked: Data) -> None:
    """Let parameters take no gradients."""
    layer = int(case.rng.integers(3))
    asked["requires_grad"][2 * layer : 2 * layer + 2] = [False, False]


def leave_out(case: Case, asked: Data) -> None:
    """Keep parameters from the optimizer."""
    groups = asked["optimizer"]["groups"]
    groups[int(case.rng.integers(len(groups)))]["params"].pop()


def set_lr_to_zero(case: Case, asked: Data) -> None:
    """Set a learning rate to zero."""
    groups = asked["optimizer"]["groups"]
    groups[int(case.rng.integers(len(groups)))]["lr"] = 0.0


def cut_graph(case: Case, asked: Data) -> None:
    """End the graph within the model."""
    asked["layers"].insert(int(case.rng.integers(1, 5)), {"kind": "detach"})


def spoil(case: Case, asked: Data) -> None:
    """Make an element of the last bias nan or infinite."""
    case.start[-1][0] = float(case.rng.choice([np.nan, np.inf]))
    asked["parameters"][-1] = encoded(case.start[-1])


FAULTS: dict[str, Callable[[Case, Data], None]] = {
    "frozen": freeze,
    "not in the optimizer": leave_out,
    "learning rate is zero": set_lr_to_zero,
    "no gradient": cut_graph,
    "not finite": spoil,
}


def examination(rng: np.random.Generator, fault: str = HEALTHY) -> Data:
    """The question that shows a model with this fault; it says what is there, and no more."""
    case = Case(rng, layers=3)
    cut = int(rng.integers(1, 6))
    case.optimizer["groups"] = [
        {"params": list(part), "lr": float(rng.uniform(0.05, 0.2))}
        for part in (range(cut), range(cut, 6))
    ]
    case.layers = list(case.layers)
    asked = case.asks(call(MODEL, OPTIMIZER, LOSS, *batch_arguments(case.batch())))
    if fault in FAULTS:
        FAULTS[fault](case, asked)
    return asked


def word(answer: Answer) -> str:
    """The text that came back; capitals, spaces and full stops do not count.

    Raises:
        Wrong: it is no text.
    """
    text = answer.seen[0].returned.text().casefold()
    return " ".join(text.replace("_", " ").replace("-", " ").strip(" .!\n").split())


def tells_healthy_from_broken(rng: np.random.Generator) -> Trial:
    """A model that learns is called healthy, and not every broken one is."""
    shown = [HEALTHY] * 3 + list(FAULTS)
    words = []
    for number in rng.permutation(len(shown)):
        answer = yield examination(rng, shown[number])
        words.append((shown[number], word(answer)))
    for fault, said in words:
        if fault == HEALTHY and said != HEALTHY:
            raise Wrong("A model that learns is called {said}.", said=repr(said[:40]))
    if all(said == HEALTHY for _, said in words):
        raise Wrong("Every model is called healthy, the broken ones too.")


def finds(rng: np.random.Generator, fault: str) -> Trial:
    """One fault is called by its name, as often as it is met."""
    for _ in range(2):
        answer = yield examination(rng, fault)
        if word(answer) != fault:
            raise Wrong(
                "One of the faults was called {said}. Try them all by hand.",
                said=repr(word(answer)[:40]),
            )


def all_unchanged(rng: np.random.Generator) -> Trial:
    """Parameters, gradients, data and generators are as before the examination."""
    case = Case(rng, layers=3)
    case.leave_gradients()
    batch = case.batch()
    asked = case.asks(call(MODEL, OPTIMIZER, LOSS, *batch_arguments(batch)))
    answer = yield asked
    (seen,) = answer.seen
    demand_generators_unchanged(answer, asked)
    demand_batches_unchanged(seen, [batch])
    demand_unchanged(seen.parameters, case.start, [f"`{name}`" for name in case.names])
    demand_gradients(
        seen,
        case.gradients or [],
        0.0,
        "The model came with something in `.grad`, and it is not there any more.",
    )


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
