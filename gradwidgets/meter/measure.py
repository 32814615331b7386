"""Measure how far accumulated gradients are from the gradient of the full batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from gradwidgets.core import (
    Batches,
    Buffers,
    IsolatedRun,
    Loss,
    Pair,
    Problem,
    Recipe,
    groups,
    is_pair,
    needs_loss,
    not_allowed,
    problems,
    samples,
    validate,
)

DTYPES = {"float32": torch.float32, "float64": torch.float64}
MODES: dict[str, tuple[type[nn.Module], ...]] = {
    "train": (),
    "eval": (nn.Module,),
    "BatchNorm in eval": (_BatchNorm,),
    "dropout in eval": (_DropoutNd,),
}
"""The modes in which a model is measured: the modules that `eval()` is called of."""
IGNORE_INDEX = -100
"""Targets that `torch.nn.functional.cross_entropy` leaves out by default."""
RULES = {
    "sum": "loss",
    "mean": "loss / k",
    "samples": "loss * samples / all samples",
    "tokens": "loss * tokens / all tokens",
}
"""The weight of a micro-batch's loss before its `backward()`."""
Counting = Callable[[Any], int]
Split = Sequence[int] | Recipe
"""Sizes of micro-batches, or a recipe: the micro-batches of its first update."""


@dataclass(frozen=True)
class Measurement:
    """Accumulated gradients compared with that of the full batch.

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
    def correct(self) -> tuple[str, ...]:
        """The rules that give the full batch's gradient, but for rounding."""
        return tuple(rule for rule, apart in self.differences.items() if apart <= self.rounding)


def count_tokens(target: Any) -> int:
    """Elements of a target that count: all, but for `IGNORE_INDEX` among integers."""
    if not isinstance(target, Tensor):
        return len(target)
    counted = target.numel() if target.is_floating_point() else (target != IGNORE_INDEX).sum()
    return int(counted)


def measure(
    problem: Problem | str,
    split: Split,
    mode: str = "train",
    dtype: str | None = None,
    count: Counting = count_tokens,
) -> Measurement:
    """Compare the accumulated gradient with that of the full batch, by every rule of `RULES`.

    Model and random numbers are the same each time. Your model and the global random number
    generators stay as they are.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        split: samples in each micro-batch, which need not be equal; together they are the first
            samples. Or a recipe, whose first update is measured: "mean" then divides by its
            `accumulation_steps`, as `train` does, though the batch may be split into fewer.
        mode: one of `MODES`. BatchNorm in eval uses its running statistics rather than those of
            the micro-batch; dropout in eval drops nothing.
        dtype: "float32" or "float64" for model and data; None leaves them as they are.
        count: how many targets count, for the rule "tokens".

    Raises:
        ValueError: there is no size or one that is not allowed, they ask for more samples than
            there are, or `mode` or `dtype` is not allowed.

    >>> measure("line", [16, 16, 8]).correct
    ('samples', 'tokens')
    >>> measure("moons", Recipe(accumulation_steps=4)).sizes
    (50, 50, 50, 50)
    """
    validate.OneOf(tuple(MODES))("mode", mode)
    kind = kind_of(dtype, split)
    problem = problems.get(problem)
    needs_loss(problem, "a meter")
    data = problem.batches()
    isolation = IsolatedRun(data, split.seed if isinstance(split, Recipe) else 0)
    with isolation.inside():
        built = problem.build().to(kind)
        for module in built.modules():
            if isinstance(module, MODES[mode]):
                module.eval()
        isolation.choose_threads(built)
        parts = [(cast(x, kind), cast(y, kind)) for x, y in _micro_batches(data, split)]
        model = ResettableModel(built, isolation)
        full = model.gradient(problem.loss, [_joined(parts)], [1.0])
        buffers = model.buffers()
        sizes, tokens = [len(y) for _, y in parts], [count(y) for _, y in parts]
        steps = split.accumulation_steps if isinstance(split, Recipe) else len(sizes)
        weights = _weights(sizes, tokens, steps).items()
        sums = {rule: model.gradient(problem.loss, parts, each) for rule, each in weights}
        return Measurement(
            sizes=tuple(sizes),
            tokens=tuple(tokens),
            differences={rule: _relative(found - full, full) for rule, found in sums.items()},
            ratios={rule: _relative(found, full) for rule, found in sums.items()},
            buffers=_largest_difference(model.buffers(), buffers),
            rounding=math.sqrt(full.numel()) * torch.finfo(full.dtype).eps,
        )


def kind_of(dtype: str | None, split: Split | None) -> torch.dtype | None:
    """The type that model and data are cast to, or None.

    Raises:
        ValueError: `dtype` is not allowed, or a recipe asks for another precision.
    """
    validate.OneOf(tuple(DTYPES), optional=True)("dtype", dtype)
    if isinstance(split, Recipe) and split.dtype is not None:
        wish = "None: this is measured in the model's own precision, or in that of dtype="
        raise not_allowed("Recipe.dtype", split.dtype, wish)
    return DTYPES[dtype] if dtype else None


def recipe_sizes(problem: Problem | str, recipe: Recipe) -> tuple[int, ...]:
    """Samples in each micro-batch of a recipe's first update."""
    problem = problems.get(problem)
    needs_loss(problem, "a meter")
    data = problem.batches()
    with IsolatedRun(data, recipe.seed).inside():
        return tuple(samples(y, x) for x, y in _micro_batches(data, recipe))


def ragged_sizes(count: int, accumulation_steps: int) -> tuple[int, ...]:
    """Equal sizes but for the last, which takes what is left: 32 in 4 are 10, 10, 10, 2.

    The last one differs wherever there are more samples than micro-batches.
    """
    steps = min(count, accumulation_steps)
    if steps == 1:
        return (count,)
    size = (count - 1) // (steps - 1)
    if size > 1 and size * steps == count:
        size -= 1
    return (*[size] * (steps - 1), count - size * (steps - 1))


class ResettableModel:
    """A model that begins each measurement with the same buffers and random numbers.

    Make it and use it within `isolation.inside()`.
    """

    def __init__(self, model: nn.Module, isolation: IsolatedRun) -> None:
        self.model = model
        self._isolation, self._draws = isolation, isolation.state()
        self._buffers = Buffers(model)

    def buffers(self) -> list[Tensor]:
        """Copies of the buffers as they are now, but for counters."""
        return [b.clone() for b in self.model.buffers() if b.is_floating_point()]

    def gradient(self, loss: Loss, parts: Sequence[Pair], weights: Sequence[float]) -> Tensor:
        """The accumulated gradient of all parameters, (elements,); weight 0 adds nothing."""
        self._isolation.restore(self._draws)
        self._buffers.restore()
        self.model.zero_grad()
        for (x, y), weight in zip(parts, weights, strict=True):
            value = loss(self.model(x), y)
            if weight:
                (value * weight).backward()  # type: ignore[no-untyped-call]
        trained = [p for p in self.model.parameters() if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        return torch.cat([gradient.to_dense().flatten() for gradient in gradients])


def _micro_batches(data: Pair | Batches, split: Split) -> list[Pair]:
    if isinstance(split, Recipe):
        return next(groups(data, split))
    if not split:
        raise not_allowed("sizes", split, "the size of at least one micro-batch")
    for size in split:
        validate.Count()("sizes", size)
    x, y = first_samples(data, sum(split))
    if len(x) < sum(split):
        raise not_allowed("sizes", split, f"sizes that add up to at most {len(x)} samples")
    columns = (torch.split(part[: sum(split)], list(split)) for part in (x, y))
    return list(zip(*columns, strict=True))


def first_samples(data: Pair | Batches, wanted: int) -> Pair:
    """The first samples, at least so many if there are; no more batches than that takes.

    Raises:
        ValueError: the data is no tensors.
    """
    pairs: list[Pair] = []
    for x, y in [data] if is_pair(data) else data:
        pairs.append((x, y))
        wanted -= len(x)
        if wanted <= 0:
            break
    return _joined(pairs)


def _joined(pairs: Sequence[Pair]) -> Pair:
    """The batch of all samples of some batches."""
    x, y = zip(*pairs, strict=True)
    if not all(isinstance(part, Tensor) for part in (*x, *y)):
        allowed = "batches (x, y) of tensors, to measure them together"
        raise not_allowed("Problem.data", x[0], allowed)
    return torch.cat(x), torch.cat(y)


def cast(tensor: Tensor, kind: torch.dtype | None) -> Tensor:
    """Data as the model takes it; whole numbers stay as they are."""
    return tensor.to(kind) if kind and tensor.is_floating_point() else tensor


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
    return max((float((a - b).abs().max()) for a, b in pairs), default=0.0)
