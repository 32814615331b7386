"""The edits of many recipes at once, on the gradients of their replicas: (R, elements)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gradwidgets.core import Mask, Recipe, edits_of


class SweptEdits:
    """Scale, mask, penalty and clip, each with a value of its own for every replica.

    Args:
        recipes: one a replica; they may differ in `scale`, `mask`, `mask_kind`, `l1`, `l2`,
            `max_norm` and `seed`.
        model: any replica, for the names and shapes of its parameters.
    """

    def __init__(self, recipes: Sequence[Recipe], model: nn.Module) -> None:
        self._scale = _column([r.scale for r in recipes], unless=1.0, like=model)
        self._l1 = _column([r.l1 for r in recipes], unless=0.0, like=model)
        self._l2 = _column([r.l2 for r in recipes], unless=0.0, like=model)
        norms = [math.inf if r.max_norm is None else r.max_norm for r in recipes]
        self._max_norm = _column(norms, unless=math.inf, like=model)
        self._hidden = _hidden(recipes, model)

    def __bool__(self) -> bool:
        parts = (self._scale, self._l1, self._l2, self._max_norm, self._hidden)
        return any(part is not None for part in parts)

    def __call__(self, values: Tensor, gradients: Tensor) -> None:
        """Edit `gradients` (R, elements) of `values` (R, elements) in place."""
        if self._scale is not None:
            gradients.mul_(self._scale)
        if self._hidden is not None:
            gradients.masked_fill_(self._hidden, 0)
        if self._l1 is not None:
            gradients.addcmul_(values.sign(), self._l1)
        if self._l2 is not None:
            gradients.addcmul_(values, self._l2)
        if self._max_norm is not None:
            norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            share = (self._max_norm / (norms + 1e-6)).clamp(max=1)  # as clip_grad_norm_
            gradients.mul_(torch.where(self._max_norm.isinf(), 1, share))


def _column(values: list[float], unless: float, like: nn.Module) -> Tensor | None:
    """(R, 1) the values, or None if all of them are `unless`, which changes nothing."""
    if all(value == unless for value in values):
        return None
    first = next(like.parameters())
    return torch.tensor(values, dtype=first.dtype, device=first.device).unsqueeze(1)


def _hidden(recipes: Sequence[Recipe], model: nn.Module) -> Tensor | None:
    """(R, elements) True where a replica's gradient is zeroed, or None if nowhere."""
    if not any(recipe.mask for recipe in recipes):
        return None
    known: dict[tuple[float, str, int], Tensor] = {}
    for recipe in recipes:
        key = (recipe.mask, recipe.mask_kind, recipe.seed)
        if key not in known:
            known[key] = _hidden_by(recipe, model)
    return torch.stack([known[r.mask, r.mask_kind, r.seed] for r in recipes])


def _hidden_by(recipe: Recipe, model: nn.Module) -> Tensor:
    """(elements,) True where the recipe's mask zeroes a gradient: tried out on ones."""
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    for edit in edits_of(recipe, model):
        if isinstance(edit, Mask):
            edit(parameters)
    hidden = torch.cat([p.grad.flatten() == 0 for p in parameters if p.grad is not None])
    model.zero_grad()
    return hidden
