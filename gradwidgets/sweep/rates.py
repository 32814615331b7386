"""One optimizer for all replicas of a sweep, each of which has a learning rate of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gradwidgets.core import OPTIMIZERS, Recipe


class OwnRates:
    """A real optimizer whose step is as long for each replica as the replica's own `lr` says.

    The step of every optimizer that `sweep_fit` admits is proportional to `lr`, and its state
    does not depend on it. So all step with the largest `lr`, and each replica keeps its share of
    the way.
    """

    def __init__(self, values: Tensor, recipes: Sequence[Recipe]) -> None:
        rates = [recipe.lr for recipe in recipes]
        kind = OPTIMIZERS[recipes[0].optimizer]
        largest = max(rates) or 1.0
        self.optimizer = kind([values], lr=largest, **recipes[0].options)  # type: ignore[call-arg]
        self._values = values
        self._share = None
        if min(rates) < max(rates):
            shares = [rate / largest for rate in rates]
            self._share = values.new_tensor(shares).unsqueeze(1)

    def __call__(self) -> None:
        """Make the step."""
        if self._share is None:
            self.optimizer.step()
            return
        before = self._values.detach().clone()
        self.optimizer.step()
        self._values.copy_(torch.lerp(before, self._values, self._share))
