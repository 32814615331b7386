"""Operations on all replicas at once, where that gives the bits of the same operation on each.

Floating-point sums depend on the order of their terms, and a library may choose another order, or
another rounding, for a batch than for a single product. So nothing is assumed: each operation is
tried on random numbers once for each shape. Until that is done, and where a bit differs, it is
made replica by replica. All is done on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from gradwidgets.core import PROCESS_LOCK, one_thread

Result = TypeVar("Result", Tensor, tuple[Tensor, ...])


class NotExactError(ValueError):
    """Replicas are not known to have the bits of runs alone; says why."""


Layout = tuple[torch.Size, tuple[int, ...], Any, torch.dtype, torch.device]
"""All that the choice of a kernel may depend on: shape, strides, place in memory (MKL's), kind."""
Key = tuple[str, tuple[Layout, ...]]
Trial = Generator[None, None, int | None]

TRIED = (64, 1024)
"""Replicas with random operands that are tried, at least and at most."""
ELEMENTS = 100_000
"""Elements that are tried between these. Sums in another order differ in the first replicas."""
ELEMENTS_OF_FUNCTIONS = 1_000_000
"""As many of a function of each element: its approximations nearly always round alike."""
_chosen: dict[Key, int | None] = {}
"""Of each operation and shape, which of the ways has the bits; None where no way has."""
_waiting: dict[Key, Trial] = {}
"""The trials that have not ended."""


def exactly(
    name: str,
    together: Callable[..., Result] | Sequence[Callable[..., Result]],
    alone: Callable[..., Result],
    *operands: Tensor,
    elements: int = ELEMENTS,
) -> Result:
    """The results of `alone` on each replica, stacked: by one call of `together` where it has them.

    Whether it has is not known before `make_trials` has found out.

    Args:
        name: tells operations apart whose operands have the same shapes.
        together: takes `operands`; returns (R, ...), or a tuple of such. Or several ways to
            compute that, of which the first that has the bits is taken.
        alone: takes one replica of each operand; returns what `together` has at that place.
        operands: (R, ...) floating-point numbers; what is expanded (stride 0) is the same for all
            replicas.
        elements: how many are tried, about.
    """
    ways = together if isinstance(together, Sequence) else (together,)
    key = name, tuple([_layout(operand) for operand in operands])
    chosen = _chosen.get(key)
    if chosen is not None:
        return ways[chosen](*operands)
    if key not in _chosen and key not in _waiting:
        _waiting[key] = _trial(ways, alone, key[1], elements)
    return _stacked([alone(*rows) for rows in _rows(operands)])


def is_waiting() -> bool:
    """Tell whether there are operations that have not been tried."""
    return bool(_waiting)


def drop_trials() -> None:
    """Forget the operations that wait: what is still made will wait again."""
    with PROCESS_LOCK:
        _waiting.clear()


def make_trials(seconds: float) -> None:
    """Try the operations that wait, for so many seconds and no longer."""
    end = time.perf_counter() + seconds
    with one_thread(), torch.inference_mode(False), torch.enable_grad():
        while _waiting:
            key = next(iter(_waiting))
            try:
                next(_waiting[key])
            except StopIteration as found:
                _chosen[key] = found.value
                del _waiting[key]
            if time.perf_counter() >= end:
                return


def _trial(
    ways: Sequence[Callable[..., Result]],
    alone: Callable[..., Result],
    layouts: Sequence[Layout],
    elements: int,
) -> Trial:
    """Find the first way that has the bits, in small steps; None where no way has."""
    for number, way in enumerate(ways):
        draw = torch.Generator().manual_seed(1)
        for _ in range(_number_of_trials(layouts, elements)):
            operands = [_drawn(layout, draw) for layout in layouts]
            yield
            expected = []
            for rows in _rows(operands):
                expected.append(alone(*rows))
                yield
            try:
                same = _same(way(*operands), _stacked(expected))
            except Exception:  # a library may refuse any form
                same = False
            if not same:
                break
        else:
            return number
    return None


def _number_of_trials(layouts: Sequence[Layout], elements: int) -> int:
    replicas = layouts[0][0][0]
    largest = max(shape[1:].numel() for shape, *_ in layouts)
    wanted = min(max(TRIED[0], elements // max(1, largest)), TRIED[1])
    return -(-wanted // replicas)


def is_shared(operand: Tensor) -> bool:
    """Tell whether an operand is one tensor, expanded to all replicas."""
    return operand.stride(0) == 0


def _layout(operand: Tensor) -> Layout:
    place = operand.storage_offset() % 64
    return operand.shape, operand.stride(), place, operand.dtype, operand.device


def _drawn(layout: Layout, draw: torch.Generator) -> Tensor:
    """Random numbers in a layout."""
    shape, stride, place, dtype, device = layout
    last = sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    memory = torch.empty(place + last + 1, dtype=dtype).normal_(generator=draw)
    return memory.to(device).as_strided(shape, stride, place)


def _rows(operands: Sequence[Tensor]) -> Any:
    """Each replica's own; copied, for a tensor that stands alone is aligned and contiguous."""
    return zip(*map(_rows_of, operands), strict=True)


def _rows_of(operand: Tensor) -> list[Tensor]:
    if is_shared(operand):
        return [operand[0]] * len(operand)
    return [row.clone(memory_format=torch.contiguous_format) for row in operand]


def _stacked(results: list[Result]) -> Result:
    if isinstance(results[0], tuple):
        return tuple(torch.stack(parts) for parts in zip(*results, strict=True))
    return torch.stack(results)


def _same(one: Result, other: Result) -> bool:
    if isinstance(one, tuple):
        return all(map(torch.equal, one, other))
    return torch.equal(one, other)
