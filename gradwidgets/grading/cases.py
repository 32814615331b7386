"""Drawn cases: the same network once as arrays for the oracle, once as a model for the student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradwidgets.grading.plain import PlainSGD, loss_and_gradients
from gradwidgets.grading.reading import Array, all_close, array, same
from gradwidgets.grading.verdict import Wrong


def squared(output: Tensor, target: Tensor) -> Tensor:
    """The loss that students get: the mean squared error."""
    return ((output - target) ** 2).mean()


def tensor(values: Array) -> Tensor:
    """A copy of an array as a double tensor."""
    return torch.tensor(values.tolist(), dtype=torch.float64)


def linear(before: int, after: int) -> nn.Linear:
    """A layer in double precision; no generator is asked for its numbers."""
    return nn.Linear(before, after, device="meta", dtype=torch.float64).to_empty(device="cpu")


class Case:
    """A small network with SGD, drawn from a generator; `weights` is where it should stand.

    Args:
        draw: where the numbers come from.
        layers: how many linear layers, with tanh between them.
        momentum: of SGD.
        decay: the weight decay of SGD.
    """

    def __init__(
        self, draw: np.random.Generator, layers: int = 2, momentum: float = 0.0, decay: float = 0.0
    ) -> None:
        self.draw = draw
        self.sizes = [int(size) for size in draw.integers(2, 5, layers + 1)]
        self.weights: list[Array] = []
        for before, after in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            self.weights += [draw.normal(size=(after, before)), draw.normal(size=after)]
        self.lr = float(draw.uniform(0.05, 0.2))
        self.plain = PlainSGD(self.lr, momentum, decay)
        self.model = self._model()
        self.parameters = list(self.model.parameters())
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(
            self.parameters, lr=self.lr, momentum=momentum, weight_decay=decay
        )

    def _model(self) -> nn.Sequential:
        modules: list[nn.Module] = []
        for before, after in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            modules += [linear(before, after)]
            modules += [nn.Tanh()]
        model = nn.Sequential(*modules[:-1])
        with torch.no_grad():
            for parameter, weight in zip(model.parameters(), self.weights, strict=True):
                parameter.copy_(tensor(weight))
        return model

    def batch(self, samples: int | None = None) -> tuple[Array, Array]:
        """New inputs and targets, as arrays."""
        count = samples or int(self.draw.integers(3, 9))
        return (
            self.draw.normal(size=(count, self.sizes[0])),
            self.draw.normal(size=(count, self.sizes[-1])),
        )

    def soil(self) -> None:
        """Leave something in `.grad`, as other code may have done before."""
        for parameter in self.parameters:
            parameter.grad = tensor(self.draw.normal(size=tuple(parameter.shape)))

    def step(self, x: Array, y: Array, frozen: Sequence[int] = ()) -> float:
        """Move `weights` as one update on this batch should; returns the loss before it."""
        loss, gradients = loss_and_gradients(self.weights, x, y)
        kept = [None if i in frozen else slope for i, slope in enumerate(gradients)]
        self.weights = self.plain.stepped(self.weights, kept)
        return loss

    def found(self) -> list[Array]:
        """Where the parameters stand. They are the ones made here, whatever the model holds now."""
        return [array(parameter, "A parameter") for parameter in self.parameters]

    def demand(self, otherwise: str) -> None:
        """Demand that the parameters stand where they should.

        Raises:
            Wrong: they do not; says `otherwise`.
        """
        if not all_close(self.found(), self.weights):
            raise Wrong(otherwise)


def untouched(given: Any, values: Array, name: str) -> None:
    """Demand that a tensor that was handed in still holds its values.

    Raises:
        Wrong: it does not.
    """
    if not same(array(given, name), values):
        raise Wrong(f"`{name}` has been changed; it belongs to the caller.")
