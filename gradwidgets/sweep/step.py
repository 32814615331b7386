"""The steps of `torch.optim` with a learning rate, momentum and decay for each replica.

The operations are those of PyTorch's own loop over single tensors, in its order: a factor that
differs between replicas is a column (R, 1), computed in Python's double precision and rounded
once, as PyTorch rounds a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gradwidgets.core import Recipe, name_of, option_defaults

OWN_OPTIONS = ("momentum", "weight_decay")
"""The options in which replicas may differ, beside the learning rate."""

TAKEN: dict[str, tuple[str, ...]] = {
    "SGD": ("momentum", "dampening", "weight_decay", "nesterov"),
    "Adam": ("betas", "eps", "weight_decay"),
    "AdamW": ("betas", "eps", "weight_decay"),
    "RMSprop": ("alpha", "eps", "weight_decay", "momentum"),
    "Adagrad": ("lr_decay", "weight_decay", "initial_accumulator_value", "eps"),
}
"""The known optimizers, and the options that are known of each; others must be at their default."""


def column(values: Sequence[float], like: Tensor) -> Tensor:
    """(R, 1) the values, rounded once to the dtype of `like`."""
    return torch.tensor(values, dtype=torch.float64, device=like.device).to(like.dtype).unsqueeze(1)


class Step:
    """Moves the replicas' parameters (R, elements) by their gradients."""

    def __init__(self, values: Tensor, recipes: Sequence[Recipe]) -> None:
        first = recipes[0]
        self._values = values
        self._options = {**option_defaults(first.optimizer), **first.options}
        self.set_lrs([r.lr for r in recipes])
        self._momentum = self._own(recipes, "momentum")
        self._decay = self._own(recipes, "weight_decay")
        self._average = torch.zeros_like(values)
        self._squares = torch.full_like(values, self._options.get("initial_accumulator_value", 0.0))
        self._count = 0
        self._move: Callable[[Tensor], None] = getattr(self, f"_{name_of(first.optimizer).lower()}")

    def set_lrs(self, lrs: Sequence[float]) -> None:
        """Take these learning rates, one for each replica, from the next step on."""
        self._lr = torch.tensor(lrs, dtype=torch.float64).unsqueeze(1)

    def _own(self, recipes: Sequence[Recipe], option: str) -> Tensor | None:
        """(R, 1) float64 an option of each replica; None if it is 0 for all."""
        usual = option_defaults(recipes[0].optimizer).get(option, 0.0)
        values = [float(recipe.options.get(option, usual)) for recipe in recipes]
        return torch.tensor(values, dtype=torch.float64).unsqueeze(1) if any(values) else None

    def _rounded(self, numbers: Tensor) -> Tensor:
        return numbers.to(self._values)

    @torch.no_grad()
    def __call__(self, gradients: Tensor) -> None:
        """Make one step; the gradients (R, elements) stay as they are."""
        self._count += 1
        self._move(gradients)

    def _decayed(self, gradients: Tensor) -> Tensor:
        if self._decay is None:
            return gradients
        return torch.addcmul(gradients, self._values, self._rounded(self._decay))

    def _sgd(self, gradients: Tensor) -> None:
        gradients = self._decayed(gradients)
        if self._momentum is not None:
            momentum, average = self._rounded(self._momentum), self._average
            if self._count == 1:
                average.copy_(gradients)
            else:
                average.mul_(momentum).add_(gradients, alpha=1 - self._options["dampening"])
            if self._options["nesterov"]:
                gradients = torch.addcmul(gradients, average, momentum)
            else:
                gradients = torch.where(momentum == 0, gradients, average)
        self._values.addcmul_(gradients, self._rounded(self._lr), value=-1)

    def _adam(self, gradients: Tensor) -> None:
        self._adam_with(self._decayed(gradients))

    def _adamw(self, gradients: Tensor) -> None:
        if self._decay is not None:
            self._values.mul_(self._rounded(1 - self._lr * self._decay))
        self._adam_with(gradients)

    def _adam_with(self, gradients: Tensor) -> None:
        (beta1, beta2), count = self._options["betas"], self._count
        self._average.lerp_(gradients, 1 - beta1)
        self._squares.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        spread = (self._squares.sqrt() / (1 - beta2**count) ** 0.5).add_(self._options["eps"])
        length = self._rounded(-(self._lr / (1 - beta1**count)))
        self._values.addcdiv_(self._average * length, spread)

    def _rmsprop(self, gradients: Tensor) -> None:
        gradients, alpha = self._decayed(gradients), self._options["alpha"]
        self._squares.mul_(alpha).addcmul_(gradients, gradients, value=1 - alpha)
        spread = self._squares.sqrt().add_(self._options["eps"])
        plain = torch.addcdiv(self._values, gradients * self._rounded(-self._lr), spread)
        if self._momentum is None:
            self._values.copy_(plain)
            return
        self._average.mul_(self._rounded(self._momentum)).addcdiv_(gradients, spread)
        pushed = torch.addcmul(self._values, self._average, self._rounded(self._lr), value=-1)
        self._values.copy_(torch.where(self._momentum == 0, plain, pushed))

    def _adagrad(self, gradients: Tensor) -> None:
        gradients = self._decayed(gradients)
        self._squares.addcmul_(gradients, gradients, value=1)
        length = self._lr / (1 + (self._count - 1) * self._options["lr_decay"])
        spread = self._squares.sqrt().add_(self._options["eps"])
        self._values.addcdiv_(gradients * self._rounded(-length), spread)
