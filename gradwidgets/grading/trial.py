"""A trial of a student's function: what it is given, the call, and what it has to leave alone.

A call is quiet, and that is all: what is called runs in this process and can reach all of it.
"""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradwidgets.grading.check import Function, Wrong
from gradwidgets.grading.numpy_oracle import Array, PlainSGD, loss_and_gradients
from gradwidgets.grading.strict_types import all_close, array, same

Batch = tuple[Array, Array]


def squared(output: Tensor, target: Tensor) -> Tensor:
    """The loss that students get: the mean squared error."""
    return ((output - target) ** 2).mean()


def tensor(values: Array) -> Tensor:
    """A copy of an array as a double tensor."""
    return torch.tensor(values.tolist(), dtype=torch.float64)


def tensors(batch: Batch) -> tuple[Tensor, Tensor]:
    """A copy of a batch for the student."""
    return tensor(batch[0]), tensor(batch[1])


class Case:
    """A small network with SGD, once as a model for the student, once as arrays for the oracle.

    Args:
        rng: where the numbers come from.
        layers: how many linear layers, with tanh between them.
        momentum: of SGD.
        decay: the weight decay of SGD.

    Attributes:
        start: the weights that the model begins with.
        expected: the weights that it should have by now.
        parameters: the model's own, whatever the model holds later.
    """

    def __init__(
        self, rng: np.random.Generator, layers: int = 2, momentum: float = 0.0, decay: float = 0.0
    ) -> None:
        self.rng = rng
        self.sizes = [int(size) for size in rng.integers(2, 5, layers + 1)]
        self.start: list[Array] = []
        modules: list[nn.Module] = []
        for before, after in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            self.start += [rng.normal(size=(after, before)), rng.normal(size=after)]
            # "meta": no generator is asked for the numbers of a layer
            linear = nn.Linear(before, after, device="meta", dtype=torch.float64)
            modules += [linear.to_empty(device="cpu"), nn.Tanh()]
        self.expected = self.start
        self.lr = float(rng.uniform(0.05, 0.2))
        self.oracle = PlainSGD(self.lr, momentum, decay)
        self.model = nn.Sequential(*modules[:-1])
        self.parameters = list(self.model.parameters())
        with torch.no_grad():
            for parameter, weight in zip(self.parameters, self.start, strict=True):
                parameter.copy_(tensor(weight))
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(
            self.parameters, lr=self.lr, momentum=momentum, weight_decay=decay
        )

    def batch(self, samples: int | None = None) -> Batch:
        """New inputs and targets, as arrays."""
        count = samples or int(self.rng.integers(3, 9))
        return (
            self.rng.normal(size=(count, self.sizes[0])),
            self.rng.normal(size=(count, self.sizes[-1])),
        )

    def leave_gradients(self) -> None:
        """Put numbers into `.grad`, as other code may have done before."""
        for parameter in self.parameters:
            parameter.grad = tensor(self.rng.normal(size=tuple(parameter.shape)))

    def step(self, batch: Batch, frozen: Sequence[int] = ()) -> float:
        """Move `expected` as one update on this batch should; returns the loss before it."""
        loss, gradients = loss_and_gradients(self.expected, *batch)
        kept = [None if index in frozen else slope for index, slope in enumerate(gradients)]
        self.expected = self.oracle.stepped(self.expected, kept)
        return loss

    def actual(self) -> list[Array]:
        """The values of the parameters that were made here."""
        return [array(parameter, "A parameter") for parameter in self.parameters]

    def demand(self, otherwise: str, unmoved: str = "") -> None:
        """Demand that the parameters are as expected.

        Raises:
            Wrong: they are not; says `otherwise`, or `unmoved` if they are where they began.
        """
        actual = self.actual()
        if unmoved and all_close(actual, self.start):
            raise Wrong(unmoved)
        if not all_close(actual, self.expected):
            raise Wrong(otherwise)


def call(function: Function, *arguments: Any) -> Any:
    """Call the function and return its value; what it prints and warns is not shown.

    An interrupt (nbgrader's time-out) passes through.

    Raises:
        Wrong: it raised something.
    """
    quiet = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            return function(*arguments)
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split())
        raise Wrong(f"It raises {type(error).__name__}: {message[:120]}") from None
    finally:
        torch.set_grad_enabled(True)


@contextlib.contextmanager
def generators_unchanged() -> Iterator[None]:
    """Demand that the global random number generators are left as found; put them back.

    Raises:
        Wrong: they are not.
    """
    of_torch, of_random, of_numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
        unchanged = {
            "torch": torch.get_rng_state().tolist() == of_torch.tolist(),
            "random": random.getstate() == of_random,
            "numpy": all(map(np.array_equal, np.random.get_state(), of_numpy)),
        }
    finally:
        torch.set_rng_state(of_torch)
        random.setstate(of_random)
        np.random.set_state(of_numpy)
    for library, found in unchanged.items():
        if not found:
            raise Wrong(f"The global random number generator of {library} is not as it was found.")


def values_unchanged(given: Any, values: Array, name: str) -> None:
    """Demand that a tensor that the function was given still holds its values.

    Raises:
        Wrong: it does not.
    """
    if not same(array(given, name), values):
        raise Wrong(f"{name} has been changed; it belongs to the caller.")


def batch_unchanged(given: tuple[Any, Any], batch: Batch) -> None:
    """The same for the inputs and the targets of a batch."""
    values_unchanged(given[0], batch[0], "`x`")
    values_unchanged(given[1], batch[1], "`y`")
