"""The accumulation meter: how far accumulated gradients are from that of the full batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from gradwidgets.core import problems
from gradwidgets.core.ledger_rows import relative
from gradwidgets.core.problem import Loss, Pair, Problem, is_pair
from gradwidgets.core.rules import Count, OneOf, refuse
from gradwidgets.core.world import World

IGNORE_INDEX = -100
"""Targets that `torch.nn.functional.cross_entropy` leaves out by default."""
RULES = {
    "sum": "loss",
    "mean": "loss / k",
    "samples": "loss * samples / all samples",
    "tokens": "loss * tokens / all tokens",
}
"""By what a micro-batch's loss is weighted before its `backward()`."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Meter:
    """How accumulated gradients compare with that of the full batch.

    Args:
        sizes: samples in each micro-batch.
        tokens: targets that count in each micro-batch.
        differences: by rule, the norm of the difference of the gradients / the norm of the full
            batch's gradient.
        ratios: by rule, the norm of the accumulated gradient / that of the full batch.
        buffers: largest difference in a buffer, such as BatchNorm's running mean, afterwards.
        rounding: what differs by no more than this is equal but for rounding.
    """

    sizes: tuple[int, ...]
    tokens: tuple[int, ...]
    differences: dict[str, float]
    ratios: dict[str, float]
    buffers: float
    rounding: float

    @property
    def right(self) -> tuple[str, ...]:
        """The rules that give the full batch's gradient, but for rounding."""
        return tuple(rule for rule, apart in self.differences.items() if apart <= self.rounding)


def count_tokens(target: Any) -> int:
    """Elements of a target that count: all, but for `IGNORE_INDEX` among integers."""
    if not isinstance(target, Tensor):
        return len(target)
    counted = target.numel() if target.is_floating_point() else (target != IGNORE_INDEX).sum()
    return int(counted)


def meter(
    problem: Problem | str,
    sizes: Sequence[int],
    *,
    dtype: str | None = None,
    batch_norm: bool = True,
    dropout: bool = True,
    seed: int = 0,
    count: Callable[[Any], int] = count_tokens,
) -> Meter:
    """Compare the accumulated gradient with that of the full batch, by every rule of `RULES`.

    The full batch are the first `sum(sizes)` samples; model and random numbers are the same each
    time. Your model and the global random number generators stay as they are.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        sizes: samples in each micro-batch; they need not be equal.
        dtype: "float32" or "float64" for model and data; None leaves them as they are.
        batch_norm: whether BatchNorm uses the statistics of its micro-batch, as in training;
            otherwise its running ones, as after `eval()`.
        dropout: whether dropout is active.
        seed: fixes the model and what dropout drops.
        count: how many targets count, for the rule "tokens".

    Raises:
        ValueError: `sizes` is empty or asks for more samples than there are, or `dtype` or
            `seed` is not allowed.
    """
    problem = problems.get(problem)
    Count(0)("seed", seed)
    if dtype is not None:
        OneOf(tuple(DTYPES))("dtype", dtype)
    world, kind = World(problem.batches(), seed), DTYPES.get(dtype or "")
    with world.inside():
        start = _Start(problem.build().to(kind), batch_norm, dropout)
        world.suit(start.model)
    with world.inside():
        return _compared(start, problem.loss, _first(problem, sizes, kind), list(sizes), count)


def _compared(
    start: _Start, loss: Loss, whole: Pair, sizes: list[int], count: Callable[[Any], int]
) -> Meter:
    x, y = (torch.split(part, sizes) for part in whole)
    parts = list(zip(x, y, strict=True))
    tokens = [count(part) for part in y]
    full = start.gradient(loss, [whole], [1.0])
    buffers = start.buffers()
    weights = _weights(sizes, tokens).items()
    sums = {rule: start.gradient(loss, parts, each) for rule, each in weights}
    return Meter(
        sizes=tuple(sizes),
        tokens=tuple(tokens),
        differences={rule: _relative(found - full, full) for rule, found in sums.items()},
        ratios={rule: _relative(found, full) for rule, found in sums.items()},
        buffers=_largest_difference(start.buffers(), buffers),
        rounding=math.sqrt(full.numel()) * torch.finfo(full.dtype).eps,
    )


def chunk_sizes(samples: int, accumulation_steps: int) -> tuple[int, ...]:
    """The sizes of the micro-batches that `torch.Tensor.chunk` cuts, as the loop does."""
    return tuple(len(part) for part in torch.empty(samples).chunk(accumulation_steps))


def _weights(sizes: Sequence[int], tokens: Sequence[int]) -> dict[str, list[float]]:
    count, samples, counted = len(sizes), sum(sizes), max(1, sum(tokens))
    return {
        "sum": [1.0] * count,
        "mean": [1 / count] * count,
        "samples": [size / samples for size in sizes],
        "tokens": [number / counted for number in tokens],
    }


def _relative(apart: Tensor, reference: Tensor) -> float:
    return relative(float(apart.norm()), float(reference.norm()))


def _largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    apart = (float((a - b).abs().max()) for a, b in zip(one, other, strict=True))
    return max(apart, default=0.0)


class _Start:
    """A model that begins each time with the same buffers and random numbers."""

    def __init__(self, model: nn.Module, batch_norm: bool, dropout: bool) -> None:
        self.model = model
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.train(batch_norm)
            elif isinstance(module, _DropoutNd):
                module.train(dropout)
        self._buffers = [buffer.clone() for buffer in model.buffers()]
        self._draws = torch.get_rng_state()

    def buffers(self) -> list[Tensor]:
        """Copies of the buffers as they are now, but for counters."""
        return [b.clone() for b in self.model.buffers() if b.is_floating_point()]

    def gradient(
        self,
        loss: Callable[[Any, Any], Tensor],
        parts: Sequence[tuple[Tensor, Tensor]],
        weights: Sequence[float],
    ) -> Tensor:
        """The accumulated gradient of all parameters, (elements,); weight 0 adds nothing."""
        torch.set_rng_state(self._draws)
        for buffer, value in zip(self.model.buffers(), self._buffers, strict=True):
            buffer.data.copy_(value)
        self.model.zero_grad()
        for (x, y), weight in zip(parts, weights, strict=True):
            value = loss(self.model(x), y)
            if weight:
                (value * weight).backward()  # type: ignore[no-untyped-call]
        gradients = [
            torch.zeros_like(p) if p.grad is None else p.grad for p in _trained(self.model)
        ]
        return torch.cat([gradient.to_dense().flatten() for gradient in gradients])


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _first(
    problem: Problem, sizes: Sequence[int], dtype: torch.dtype | None
) -> tuple[Tensor, Tensor]:
    """The first samples of the problem, as many as the sizes ask for."""
    data, wanted = problem.batches(), sum(sizes)
    if not sizes:
        raise refuse("sizes", sizes, "the size of at least one micro-batch")
    for size in sizes:
        Count()("sizes", size)
    pairs = [data] if is_pair(data) else list(_enough(data, wanted))
    x, y = (torch.cat(list(column)) for column in zip(*pairs, strict=True))
    if len(x) < wanted:
        raise refuse("sizes", sizes, f"sizes that add up to at most {len(x)} samples")
    x, y = x[:wanted], y[:wanted]
    return _cast(x, dtype), _cast(y, dtype)


def _enough(data: Any, wanted: int) -> Any:
    for x, y in data:
        yield x, y
        wanted -= len(x)
        if wanted <= 0:
            return


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
