"""The oracle: small networks, their gradients and their steps in plain arithmetic.

Nothing here is torch, so nothing that is done to torch changes what is right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rates = float | Sequence[float]


def loss_and_gradients(weights: Sequence[Array], x: Array, y: Array) -> tuple[float, list[Array]]:
    """Mean squared error of linear layers with tanh between them, and its gradients.

    Args:
        weights: weight (out, in) and bias (out,) of each layer in turn.
        x: inputs (samples, in).
        y: targets (samples, out).
    """
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    inputs, output = [], x
    for index, (weight, bias) in enumerate(layers):
        inputs.append(np.tanh(output) if index else output)
        output = inputs[-1] @ weight.T + bias
    slope, gradients = 2 * (output - y) / output.size, []
    for (weight, _), given in zip(layers[::-1], inputs[::-1], strict=True):
        gradients += [slope.sum(0), slope.T @ given]
        slope = (slope @ weight) * (1 - given**2)  # of no use, and not used, below the first layer
    return float(np.mean((output - y) ** 2)), gradients[::-1]


class PlainSGD:
    """SGD with momentum and coupled weight decay, as PyTorch documents `torch.optim.SGD`.

    `lr` and `decay` are one number for all weights, or one for each.
    """

    def __init__(self, lr: Rates, momentum: float = 0.0, decay: Rates = 0.0) -> None:
        self.lr, self.momentum, self.decay = lr, momentum, decay
        self._buffers: dict[int, Array] = {}

    def stepped(self, weights: Sequence[Array], gradients: Sequence[Array | None]) -> list[Array]:
        """The weights after a step; where the gradient is None, as they were."""
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
