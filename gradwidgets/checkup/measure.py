"""Numbers about tensors, without touching them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

HALVES = (torch.float16, torch.bfloat16)


def values(tensor: Tensor) -> Tensor:
    """The stored numbers of a dense or sparse tensor, outside any graph."""
    tensor = tensor.detach()
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def _norm(tensor: Tensor) -> Tensor:
    numbers = values(tensor)
    # Half precision overflows when squared, so its norm is taken in float32.
    dtype = torch.float32 if numbers.dtype in HALVES else None
    result: Tensor = torch.linalg.vector_norm(numbers, dtype=dtype)
    return result


@torch.no_grad()
def norms(tensors: Sequence[Tensor]) -> list[float]:
    """Euclidean norms, with one transfer from each device."""
    by_device: dict[torch.device, list[int]] = defaultdict(list)
    for position, tensor in enumerate(tensors):
        if not tensor.is_meta:  # without storage there is nothing to measure
            by_device[tensor.device].append(position)
    result = [0.0] * len(tensors)
    for positions in by_device.values():
        found = torch.stack([_norm(tensors[position]) for position in positions])
        for position, value in zip(positions, found.tolist(), strict=True):
            result[position] = value
    return result


def norm(tensor: Tensor) -> float:
    """Euclidean norm of one tensor."""
    return norms([tensor])[0]


def total(parts: Sequence[float]) -> float:
    """The norm of the whole, from the norms of its parts."""
    return math.hypot(*parts)


@torch.no_grad()
def changes(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[float]:
    """Norm of `after - before` for each pair; `before` is overwritten."""
    return norms([old.sub_(new.detach()) for old, new in zip(before, after, strict=True)])


@torch.no_grad()
def is_stuck(change: Tensor, gradient: Tensor, share: float) -> bool:
    """Whether at least `share` of the elements that have a gradient did not move."""
    pushed = values(gradient) != 0
    if gradient.is_sparse or not bool(pushed.any()):
        return False
    return float((change[pushed] == 0).double().mean()) >= share


def magnitude(tensor: Tensor) -> Tensor:
    """The norm as a tensor without dimensions, not finite if any number is not; nothing waits."""
    return _norm(tensor)


def has_magnitude(value: object) -> bool:
    """Whether `magnitude` makes sense: a dense tensor of floating point numbers, not empty."""
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    return value.is_floating_point() and value.numel() > 0


def address(tensor: Tensor) -> int | None:
    """Where a dense tensor is stored; sparse ones are stored in several places."""
    return tensor.data_ptr() if tensor.layout == torch.strided else None


def is_finite(value: float) -> bool:
    """Neither NaN nor infinite."""
    return math.isfinite(value)
