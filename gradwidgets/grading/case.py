"""A case: what a student's function is given, as a question, and what it has to leave behind."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gradwidgets.grading.answer import Answer, Seen, is_close, is_same
from gradwidgets.grading.numpy_oracle import (
    Array,
    PlainAdamW,
    PlainSGD,
    Stepper,
    loss_and_gradients,
)
from gradwidgets.grading.wrong import Wrong
from gradwidgets_worker import Data, encoded

Batch = tuple[Array, Array]
Step = list[Any]

MODEL, OPTIMIZER, LOSS, PARAMETERS = (
    {"object": name} for name in ("model", "optimizer", "loss", "parameters")
)
"""Arguments that a question names instead of holding them."""


def call(*arguments: Any) -> Step:
    """The step that calls the student's function."""
    return ["call", *arguments]


def array(values: Array) -> Data:
    """An argument that is a tensor."""
    return {"array": encoded(values)}


def batch_arguments(batch: Batch) -> list[Data]:
    """The two arguments that a batch is."""
    return [array(part) for part in batch]


def list_of_batches(batches: Sequence[Batch]) -> Data:
    """The argument that is a list of pairs."""
    return {"list": [{"tuple": batch_arguments(batch)} for batch in batches]}


def backward(batch: Batch) -> Step:
    """The step that adds the gradients of a batch to those of the model."""
    return ["backward", *map(encoded, batch)]


def zero_grad(set_to_none: bool = True) -> Step:
    """The step that clears."""
    return ["zero_grad", set_to_none]


STEP: Step = ["step"]
"""The step of the optimizer."""


def normal(rng: np.random.Generator, *shape: int) -> Array:
    """Numbers that float32 and float64 hold alike."""
    return rng.normal(size=shape).astype(np.float32).astype(float)


def question(
    rng: np.random.Generator, parameters: Sequence[Array], *steps: Step, **more: Any
) -> Data:
    """A question, complete: what is not said is as a fresh model has it.

    Args:
        rng: draws the seed of the global generators.
        parameters: their values.
        steps: what is to be done.
        more: `gradients`, `requires_grad`, `layers`, `optimizer`, `training`.
    """
    count = len(parameters)
    gradients = more.pop("gradients", None) or [None] * count
    return {
        "seed": int(rng.integers(2**31)),
        "parameters": [encoded(values) for values in parameters],
        "gradients": [None if slope is None else encoded(slope) for slope in gradients],
        "requires_grad": [True] * count,
        "layers": [],
        "optimizer": None,
        "training": True,
        **more,
        "steps": list(steps),
    }


EPS = 0.1
"""AdamW's eps: so large, a gradient near zero is not divided by its own size."""


class Case:
    """A small network with its optimizer, as a question for a worker and as the oracle's arrays.

    Args:
        rng: where the numbers come from.
        layers: how many linear layers, with tanh between them.
        momentum: of SGD.
        decay: the weight decay.
        adamw: AdamW takes the place of SGD.
        centred: behind each tanh a layer subtracts the mean over the samples.

    Attributes:
        start: the weights that the model begins with.
        expected: the weights that it should have by now.
        gradients: what stands in `.grad` at the start, or None.
        optimizer: its description.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        layers: int = 2,
        momentum: float = 0.0,
        decay: float = 0.0,
        adamw: bool = False,
        centred: bool = False,
    ) -> None:
        self.rng = rng
        self.sizes = [int(size) for size in rng.integers(2, 5, layers + 1)]
        self.start: list[Array] = []
        self.layers: list[Data] = []
        self.names: list[str] = []
        for index, (before, after) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            if index:
                self.layers += [{"kind": "tanh"}] + [{"kind": "centre"}] * centred
            self.names += [f"{len(self.layers)}.weight", f"{len(self.layers)}.bias"]
            self.layers.append({"kind": "linear", "weight": 2 * index, "bias": 2 * index + 1})
            self.start += [normal(rng, after, before), normal(rng, after)]
        self.centred = centred
        self.expected = self._last = self.start
        self.lr = 0.05 if adamw else float(rng.uniform(0.05, 0.2))
        self.oracle: Stepper = (
            PlainAdamW(self.lr, decay, EPS) if adamw else PlainSGD(self.lr, momentum, decay)
        )
        everything = list(range(len(self.start)))
        self.optimizer: Data = {
            "kind": "AdamW" if adamw else "SGD",
            "groups": [{"params": everything}],
            "lr": self.lr,
            "weight_decay": decay,
            **({"eps": EPS} if adamw else {"momentum": momentum}),
        }
        self.gradients: list[Array] | None = None

    def batch(self, samples: int | None = None) -> Batch:
        """New inputs and targets."""
        count = samples or int(self.rng.integers(3, 9))
        return normal(self.rng, count, self.sizes[0]), normal(self.rng, count, self.sizes[-1])

    def leave_gradients(self) -> None:
        """Put numbers into `.grad`, as other code may have done before."""
        self.gradients = [normal(self.rng, *weight.shape) for weight in self.start]

    def asks(self, *steps: Step, **more: Any) -> Data:
        """The question that takes these steps with the model."""
        more = {"layers": self.layers, "optimizer": self.optimizer, **more}
        return question(self.rng, self.start, *steps, gradients=self.gradients, **more)

    def step(self, *batches: Batch, frozen: Sequence[int] = ()) -> float:
        """Move `expected` as one update on these batches together should.

        Returns:
            The mean loss of all samples before it.
        """
        loss, slopes = self._mean_of(batches)
        kept = [None if index in frozen else slope for index, slope in enumerate(slopes)]
        self.expected = self.oracle.stepped(self.expected, kept)
        return loss

    def demand(self, seen: Seen, otherwise: str, unmoved: str = "", **values: object) -> None:
        """Demand that the parameters are as expected.

        Raises:
            Wrong: they are not; says `otherwise`, or `unmoved` if they are where they began.
        """
        if unmoved and all(map(is_same, seen.parameters, self.start)):
            raise Wrong(unmoved, None, **values)
        for index, (found, wanted) in enumerate(zip(seen.parameters, self.expected, strict=True)):
            if not is_close(found, wanted):
                raise Wrong(otherwise, self._moved(index, found), **values)
        self._last = seen.parameters

    def arrives(self, seen: Seen, *batches: Batch) -> bool:
        """True if one update on these batches leads to the parameters seen; moves nothing."""
        _, slopes = self._mean_of(batches)
        wanted = copy.deepcopy(self.oracle).stepped(self.expected, slopes)
        return all(map(is_close, seen.parameters, wanted))

    def _mean_of(self, batches: Sequence[Batch]) -> tuple[float, list[Array]]:
        """The mean over all samples, of which the model sees one batch at a time."""
        total = sum(len(x) for x, _ in batches)
        loss, slopes = 0.0, [np.zeros_like(weight) for weight in self.start]
        for x, y in batches:
            part, gradients = loss_and_gradients(self.expected, x, y, self.centred)
            loss += part * len(x) / total
            slopes = [s + g * len(x) / total for s, g in zip(slopes, gradients, strict=True)]
        return loss, slopes

    def _moved(self, index: int, found: Array) -> Wrong:
        """By how much a parameter moved since the last demand, and should have."""
        wanted, before, name = self.expected[index], self._last[index], self.names[index]
        if found.shape != wanted.shape:
            return unlike(f"Parameter {index + 1} (`{name}`)", found, wanted)
        place = worst(found, wanted)
        moves = float(found[place]) - float(before[place]), float(wanted[place] - before[place])
        one, other = figures(*moves)
        return Wrong(
            "Parameter {number} (`{name}`), element {place}, moved by {found} where {wanted} was "
            "asked for.",
            number=index + 1,
            name=name,
            place=list(place),
            found=one,
            wanted=other,
        )


def worst(found: Array, wanted: Array) -> tuple[int, ...]:
    """The place of the element that is farthest from what was wanted; nan is farthest of all."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.nan_to_num(np.abs(found.astype(float) - wanted), nan=np.inf)
    return tuple(int(n) for n in np.unravel_index(int(np.argmax(off)), off.shape))


def figures(found: float, wanted: float) -> tuple[str, str]:
    """Two numbers, rounded to as few figures as tell them apart.

    >>> figures(0.031249, 0.0104)
    ('0.0312', '0.0104')
    >>> figures(1.00001, 1.0)
    ('1.00001', '1')
    """
    for digits in (3, 6, 9, 17):
        one, other = f"{found:.{digits}g}", f"{wanted:.{digits}g}"
        if one != other:
            break
    return one, other


def unlike(name: str, found: Array, wanted: Array) -> Wrong:
    """An array of another shape or type than it should have."""
    if found.dtype.kind == "V":
        return Wrong("{name} is no plain tensor of float32 or float64.", name=name)
    shapes = tuple(found.shape), tuple(wanted.shape)
    return Wrong(
        "{name} has the shape {found} where {wanted} was asked for.",
        name=name,
        found=shapes[0],
        wanted=shapes[1],
    )


def demand_gradients(
    seen: Seen, wanted: Sequence[Array | None], share: float | None = None, otherwise: str = ""
) -> None:
    """Demand these gradients, None where None is wanted.

    Raises:
        Wrong: something else stands there; says `otherwise` if it is another gradient.
    """
    for index, (found, slope) in enumerate(zip(seen.gradients, wanted, strict=True)):
        name = f"`parameters[{index}].grad`"
        if found is None and slope is not None:
            raise Wrong("{name} is None after the call.", name=name)
        if found is not None and slope is None:
            raise Wrong("{name} was None, and is not None any more.", name=name)
        if found is not None and slope is not None and not is_close(found, slope, share):
            detail = element(name, found, slope)
            raise Wrong(otherwise, detail) if otherwise else detail


def element(name: str, found: Array, wanted: Array) -> Wrong:
    """The element of an array that is farthest from what was asked for."""
    if found.shape != wanted.shape:
        return unlike(name, found, wanted)
    place = worst(found, wanted)
    one, other = figures(float(found[place]), float(wanted[place]))
    return Wrong(
        "{name}, element {place}, is {found} where {wanted} was asked for.",
        name=name,
        place=list(place),
        found=one,
        wanted=other,
    )


def demand_rests(
    before: Array,
    after: Array,
    name: str,
    otherwise: str,
    where: npt.NDArray[np.bool_] | None = None,
    **values: object,
) -> None:
    """Demand that a parameter, or the elements of it that are hidden, did not move at all.

    Raises:
        Wrong: it did; says `otherwise`, and by how much.
    """
    if after.shape != before.shape:
        raise Wrong(otherwise, unlike(f"`{name}`", after, before), **values)
    moves = after.astype(float) - before.astype(float)
    size = np.nan_to_num(np.abs(moves), nan=np.inf) * (True if where is None else where)
    if size.any():
        place = tuple(int(n) for n in np.unravel_index(int(np.argmax(size)), size.shape))
        detail = Wrong(
            "`{name}`, element {place}, moved by {by:.3g}.",
            name=name,
            place=list(place),
            by=float(moves[place]),
        )
        raise Wrong(otherwise, detail, **values)


def demand_number(seen: Seen, wanted: float, otherwise: str) -> None:
    """Demand that the function returned this number.

    Raises:
        Wrong: it did not, or no plain float.
    """
    found = seen.returned.number()
    if not is_close(found, wanted):
        one, other = figures(found, wanted)
        detail = Wrong("It is {found} where {wanted} was asked for.", found=one, wanted=other)
        raise Wrong(otherwise, detail)


def demand_unchanged(found: Sequence[Array], given: Sequence[Array], names: Sequence[str]) -> None:
    """Demand that arrays still hold their values.

    Raises:
        Wrong: one does not.
    """
    if len(found) != len(given):
        raise Wrong("What it was given is not there any more.")
    for now, before, name in zip(found, given, names, strict=True):
        if not is_same(now, before):
            detail = element(name, now, before)
            raise Wrong("{name} has been changed; it belongs to the caller.", detail, name=name)


def demand_batches_unchanged(seen: Seen, batches: Sequence[Batch]) -> None:
    """The same for the inputs and targets that the function was called with."""
    given = [part for batch in batches for part in batch]
    demand_unchanged(seen.given, given, ["`x`", "`y`"] * len(batches))


def demand_generators_unchanged(answer: Answer, asked: Data) -> None:
    """Demand that the global generators were left as found: what they draw next shows it.

    Raises:
        Wrong: one was not.
    """
    seed = asked["seed"]
    torchs = torch.Generator("cpu").manual_seed(seed)
    wanted = {
        "torch": torch.rand((), generator=torchs, device="cpu", dtype=torch.float64).item(),
        "random": random.Random(seed).random(),
        "numpy": np.random.RandomState(seed).random_sample(),
    }
    for library, number in wanted.items():
        if answer.drawn[library] != number:
            raise Wrong(
                "The global random number generator of {library} is not as it was found.",
                library=library,
            )
