"""Operations on all replicas at once, where that gives the bits of the same operation on each.

Floating-point sums depend on the order of their terms, and a library may choose another order, or
another rounding, for a batch than for a single product. So nothing is assumed: each operation is
tried on random numbers once for each shape, and made replica by replica where a bit differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result", Tensor, tuple[Tensor, ...])


class NotExactError(ValueError):
    """Replicas are not known to have the bits of runs alone; says why."""


TRIED = (64, 1024)
"""Replicas with random operands that are tried, at least and at most."""
ELEMENTS = 1_000_000
"""Elements that are tried between these: two ways to compute often round alike."""
_chosen: dict[tuple[object, ...], int | None] = {}
"""Of each operation and shape, which of the ways has the bits; None where no way has."""


def exactly(
    name: str,
    together: Callable[..., Result] | Sequence[Callable[..., Result]],
    alone: Callable[..., Result],
    *operands: Tensor,
) -> Result:
    """The results of `alone` on each replica, stacked: by one call of `together` where it has them.

    Args:
        name: tells operations apart whose operands have the same shapes.
        together: takes `operands`; returns (R, ...), or a tuple of such. Or several ways to
            compute that, of which the first that has the bits is taken.
        alone: takes one replica of each operand; returns what `together` has at that place.
        operands: (R, ...) each; one that is expanded (stride 0) is the same for all replicas.
    """
    ways = together if isinstance(together, Sequence) else (together,)
    key = (name, torch.get_num_threads(), *(_layout(operand) for operand in operands))
    if key not in _chosen:
        _chosen[key] = next((i for i, w in enumerate(ways) if _has_bits(w, alone, operands)), None)
    chosen = _chosen[key]
    return _one_by_one(alone, operands) if chosen is None else ways[chosen](*operands)


def _has_bits(
    way: Callable[..., Result], alone: Callable[..., Result], operands: tuple[Tensor, ...]
) -> bool:
    draw = torch.Generator().manual_seed(1)
    trials = (_drawn_like(operands, draw) for _ in range(_number_of_trials(operands)))
    return all(_same(way(*trial), _one_by_one(alone, trial)) for trial in trials)


def _number_of_trials(operands: tuple[Tensor, ...]) -> int:
    elements = max(operand[0].numel() for operand in operands)
    wanted = min(max(TRIED[0], ELEMENTS // max(1, elements)), TRIED[1])
    return -(-wanted // len(operands[0]))


def is_shared(operand: Tensor) -> bool:
    """Tell whether an operand is one tensor, expanded to all replicas."""
    return operand.stride(0) == 0


def _layout(operand: Tensor) -> tuple[object, ...]:
    """All that the choice of a kernel may depend on; MKL's depends on the place in memory."""
    place = operand.storage_offset() % 64
    return (operand.shape, operand.stride(), place, operand.dtype, operand.device)


def _drawn_like(operands: tuple[Tensor, ...], draw: torch.Generator) -> list[Tensor]:
    """Random numbers in the layout of the operands; integers, which are indices, stay."""
    return [each if not each.is_floating_point() else _drawn(each, draw) for each in operands]


def _drawn(operand: Tensor, draw: torch.Generator) -> Tensor:
    place = operand.storage_offset() % 64
    last = sum((n - 1) * step for n, step in zip(operand.shape, operand.stride(), strict=True))
    memory = torch.empty(place + last + 1, dtype=operand.dtype).normal_(generator=draw)
    return memory.to(operand.device).as_strided(operand.shape, operand.stride(), place)


def _one_by_one(
    alone: Callable[..., Result], operands: tuple[Tensor, ...] | list[Tensor]
) -> Result:
    results = [alone(*row) for row in zip(*map(_rows, operands), strict=True)]
    if isinstance(results[0], tuple):
        return tuple(torch.stack(parts) for parts in zip(*results, strict=True))
    return torch.stack(results)


def _rows(operand: Tensor) -> list[Tensor]:
    """Each replica's own; copied, for a tensor that stands alone is aligned and contiguous."""
    if is_shared(operand):
        return [operand[0]] * len(operand)
    return [row.clone(memory_format=torch.contiguous_format) for row in operand]


def _same(one: Result, other: Result) -> bool:
    if isinstance(one, tuple):
        return all(map(torch.equal, one, other))
    return torch.equal(one, other)
