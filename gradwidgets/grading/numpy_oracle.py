"""The oracle: small networks, their gradients and their steps in plain arithmetic.

Nothing here is torch, and nothing here is in the process that runs a student's code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rates = float | Sequence[float]


def loss_and_gradients(
    weights: Sequence[Array], x: Array, y: Array, centred: bool = False
) -> tuple[float, list[Array]]:
    """Mean squared error of linear layers with tanh between them, and its gradients.

    Args:
        weights: weight (out, in) and bias (out,) of each layer in turn.
        x: inputs (samples, in).
        y: targets (samples, out).
        centred: after each tanh the mean over the samples is subtracted.
    """
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    inputs, hidden, output = [x], [x], x
    for index, (weight, bias) in enumerate(layers):
        if index:
            hidden.append(np.tanh(output))
            inputs.append(hidden[-1] - hidden[-1].mean(0) if centred else hidden[-1])
        output = inputs[-1] @ weight.T + bias
    slope, gradients = 2 * (output - y) / output.size, []
    for (weight, _), given, before in zip(layers[::-1], inputs[::-1], hidden[::-1], strict=True):
        gradients += [slope.sum(0), slope.T @ given]
        slope = slope @ weight
        slope = (slope - slope.mean(0) if centred else slope) * (1 - before**2)
        # of no use, and not used, below the first layer
    return float(np.mean((output - y) ** 2)), gradients[::-1]


class Stepper(Protocol):
    """An optimizer of the oracle."""

    def stepped(self, weights: Sequence[Array], gradients: Sequence[Array | None]) -> list[Array]:
        """The weights after a step; where the gradient is None, as they were."""


class PlainSGD:
    """SGD with momentum and coupled weight decay, as PyTorch documents `torch.optim.SGD`.

    `lr` and `decay` are one number for all weights, or one for each.
    """

    def __init__(self, lr: Rates, momentum: float = 0.0, decay: Rates = 0.0) -> None:
        self.lr, self.momentum, self.decay = lr, momentum, decay
        self._buffers: dict[int, Array] = {}

    def stepped(self, weights: Sequence[Array], gradients: Sequence[Array | None]) -> list[Array]:
        """See `Stepper`."""
        after = list(weights)
        lrs = np.broadcast_to(self.lr, len(after))
        decays = np.broadcast_to(self.decay, len(after))
        for index, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            if gradient is not None:
                decayed = gradient + decays[index] * weight
                before = self._buffers.get(index, np.zeros_like(decayed))
                self._buffers[index] = decayed + self.momentum * before
                after[index] = weight - lrs[index] * self._buffers[index]
        return after


class PlainAdamW:
    """AdamW with PyTorch's default betas, as PyTorch documents `torch.optim.AdamW`."""

    def __init__(self, lr: float, decay: float, eps: float) -> None:
        self.lr, self.decay, self.eps = lr, decay, eps
        self._moments: dict[int, tuple[int, Array, Array]] = {}

    def stepped(self, weights: Sequence[Array], gradients: Sequence[Array | None]) -> list[Array]:
        """See `Stepper`."""
        after = list(weights)
        for index, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            if gradient is not None:
                nothing = np.zeros_like(weight)
                count, mean, square = self._moments.get(index, (0, nothing, nothing))
                count, mean = count + 1, 0.9 * mean + 0.1 * gradient
                square = 0.999 * square + 0.001 * gradient**2
                self._moments[index] = count, mean, square
                root = np.sqrt(square / (1 - 0.999**count)) + self.eps
                slope = mean / (1 - 0.9**count) / root
                after[index] = weight * (1 - self.lr * self.decay) - self.lr * slope
        return after
