"""The accumulation meter: how far accumulated gradients are from that of the full batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradwidgets.core import Count, IsolatedRun, Loss, Pair, Problem, Recipe, problems, samples
from gradwidgets.meter.start import Cut, Mode, Start, cut_by_recipe, cut_by_size, joined

IGNORE_INDEX = -100
"""Targets that `torch.nn.functional.cross_entropy` leaves out by default."""
RULES = {
    "sum": "loss",
    "mean": "loss / k",
    "samples": "loss * samples / all samples",
    "tokens": "loss * tokens / all tokens",
}
"""By what a micro-batch's loss is weighted before its `backward()`."""


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


Counting = Callable[[Any], int]


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
    train: bool = True,
    batch_norm: bool = True,
    dropout: bool = True,
    seed: int = 0,
    count: Counting = count_tokens,
) -> Meter:
    """Compare the accumulated gradient with that of the full batch, by every rule of `RULES`.

    The full batch are the first `sum(sizes)` samples; model and random numbers are the same each
    time. Your model and the global random number generators stay as they are.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        sizes: samples in each micro-batch; they need not be equal.
        dtype: see `Mode`, as for `train`, `batch_norm` and `dropout`.
        train: False measures the model after `eval()`.
        batch_norm: False puts BatchNorm alone into `eval()`.
        dropout: False puts dropout alone into `eval()`.
        seed: fixes the model and what dropout drops.
        count: how many targets count, for the rule "tokens".

    Raises:
        ValueError: `sizes` is empty or asks for more samples than there are, or `dtype` or
            `seed` is not allowed.
    """
    Count(0)("seed", seed)
    mode = Mode(dtype, train, batch_norm, dropout)
    return _measured(problems.get(problem), seed, mode, cut_by_size(sizes), len(sizes), count)


def recipe_meter(
    problem: Problem | str,
    recipe: Recipe | None = None,
    mode: Mode | None = None,
    count: Counting = count_tokens,
) -> Meter:
    """The same for the first update of a recipe: its model, its batch, its micro-batches.

    "mean" divides by the recipe's `accumulation_steps`, as `train` does, though the batch may be
    cut into fewer.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.
        mode: how the model is prepared; None leaves it as it is built.
        count: how many targets count, for the rule "tokens".
    """
    problem = problems.get(problem)
    recipe = recipe or problem.recipe
    cut, steps = cut_by_recipe(recipe), recipe.accumulation_steps
    return _measured(problem, recipe.seed, mode or Mode(), cut, steps, count)


def rule_of(recipe: Recipe) -> str:
    """The rule by which a recipe accumulates."""
    return "mean" if recipe.average else "sum"


def recipe_sizes(problem: Problem | str, recipe: Recipe) -> tuple[int, ...]:
    """Samples in each micro-batch of a recipe's first update."""
    data = problems.get(problem).batches()
    with IsolatedRun(data, recipe.seed).inside():
        return tuple(samples(y) for _, y in cut_by_recipe(recipe)(data))


def chunk_sizes(count: int, accumulation_steps: int) -> tuple[int, ...]:
    """The sizes of the micro-batches that `torch.Tensor.chunk` cuts, as the loop does."""
    return tuple(len(part) for part in torch.empty(count).chunk(accumulation_steps))


def ragged_sizes(count: int, accumulation_steps: int) -> tuple[int, ...]:
    """Equal sizes but for the last, which takes what is left: 32 in 4 are 10, 10, 10, 2."""
    steps = min(count, accumulation_steps)
    if steps == 1:
        return (count,)
    size = (count - 1) // (steps - 1)
    return (*[size] * (steps - 1), count - size * (steps - 1))


def _measured(
    problem: Problem, seed: int, mode: Mode, cut: Cut, steps: int, count: Counting
) -> Meter:
    data = problem.batches()
    world = IsolatedRun(data, seed)
    with world.inside():
        model = mode.prepare(problem.build())
        world.choose_threads(model)
    with world.inside():
        parts = [(mode.cast(x), mode.cast(y)) for x, y in cut(data)]
        return _compared(Start(model, world), problem.loss, parts, steps, count)


def _compared(start: Start, loss: Loss, parts: list[Pair], steps: int, count: Counting) -> Meter:
    sizes = [len(y) for _, y in parts]
    tokens = [count(y) for _, y in parts]
    full = start.gradient(loss, [joined(parts)], [1.0])
    buffers = start.buffers()
    weights = _weights(sizes, tokens, steps).items()
    sums = {rule: start.gradient(loss, parts, each) for rule, each in weights}
    return Meter(
        sizes=tuple(sizes),
        tokens=tuple(tokens),
        differences={rule: _relative(found - full, full) for rule, found in sums.items()},
        ratios={rule: _relative(found, full) for rule, found in sums.items()},
        buffers=_largest_difference(start.buffers(), buffers),
        rounding=math.sqrt(full.numel()) * torch.finfo(full.dtype).eps,
    )


def _weights(sizes: Sequence[int], tokens: Sequence[int], steps: int) -> dict[str, list[float]]:
    every, counted = sum(sizes), max(1, sum(tokens))
    return {
        "sum": [1.0] * len(sizes),
        "mean": [1 / steps] * len(sizes),
        "samples": [size / every for size in sizes],
        "tokens": [number / counted for number in tokens],
    }


def _relative(apart: Tensor, reference: Tensor) -> float:
    """A distance as a share of a reference; 0 if both are 0, infinite if only the latter is."""
    if not reference.norm():
        return float("inf") if apart.norm() else 0.0
    return float(apart.norm()) / float(reference.norm())


def _largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    pairs = ((a, b) for a, b in zip(one, other, strict=True) if a.shape == b.shape and a.numel())
    apart = (float((a - b).abs().max()) for a, b in pairs)
    return max(apart, default=0.0)
