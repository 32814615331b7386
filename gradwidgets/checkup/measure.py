"""Numbers about tensors, without touching them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

HALVES = (torch.float16, torch.bfloat16)


@torch.no_grad()
def norms(tensors: Sequence[Tensor]) -> list[float]:
    """Euclidean norms, with one transfer for each device and dtype."""
    groups: dict[tuple[torch.device, torch.dtype], list[int]] = defaultdict(list)
    for position, tensor in enumerate(tensors):
        if not tensor.is_meta:  # without storage there is nothing to measure
            groups[tensor.device, tensor.dtype].append(position)
    result = [0.0] * len(tensors)
    for (_, dtype), positions in groups.items():
        # Half precision overflows when squared, so its norm is taken in float32.
        wide = torch.float32 if dtype in HALVES else None
        stored = [_values(tensors[position]) for position in positions]
        found = torch._foreach_norm(stored, 2, wide)
        for position, value in zip(positions, torch.stack(found).tolist(), strict=True):
            result[position] = value
    return result


def _values(tensor: Tensor) -> Tensor:
    """The stored numbers of a dense or sparse tensor."""
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def norm(tensor: Tensor) -> float:
    """Euclidean norm of one tensor."""
    return norms([tensor])[0]


def total(parts: Sequence[float]) -> float:
    """The norm of the whole, from the norms of its parts."""
    return math.hypot(*parts)


def magnitude(tensor: Tensor) -> Tensor:
    """The norm as a tensor without dimensions, not finite if any number is not; nothing waits."""
    dtype = torch.float32 if tensor.dtype in HALVES else None
    result: Tensor = torch.linalg.vector_norm(tensor.detach(), dtype=dtype)
    return result


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
