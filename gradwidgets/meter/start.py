"""What a meter measures on: a model that begins each time the same, and its micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from gradwidgets.core import (
    Batches,
    Buffers,
    Count,
    IsolatedRun,
    Loss,
    OneOf,
    Pair,
    Recipe,
    groups,
    is_pair,
    not_allowed,
)

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Mode:
    """How a model is prepared.

    Args:
        dtype: "float32" or "float64" for model and data; None leaves them as they are.
        train: False calls `model.eval()`.
        batch_norm: False calls `eval()` of every BatchNorm, which then uses its running
            statistics rather than those of its micro-batch.
        dropout: False calls `eval()` of every dropout layer, which then drops nothing.

    Raises:
        ValueError: `dtype` is not allowed.
    """

    dtype: str | None = None
    train: bool = True
    batch_norm: bool = True
    dropout: bool = True

    def __post_init__(self) -> None:
        if self.dtype is not None:
            OneOf(tuple(DTYPES))("dtype", self.dtype)

    def prepare(self, model: nn.Module) -> nn.Module:
        """The model in this mode, changed in place."""
        if not self.train:
            model.eval()
        for module in model.modules():
            off = isinstance(module, _BatchNorm) and not self.batch_norm
            if off or (isinstance(module, _DropoutNd) and not self.dropout):
                module.eval()
        return model.to(DTYPES.get(self.dtype or ""))

    def cast(self, tensor: Tensor) -> Tensor:
        """Data as the model takes it; whole numbers stay as they are."""
        kind = DTYPES.get(self.dtype or "")
        return tensor.to(kind) if kind and tensor.is_floating_point() else tensor


class Start:
    """A model that begins each time with the same buffers and random numbers.

    Make it, and call it, within `world.inside()`.
    """

    def __init__(self, model: nn.Module, world: IsolatedRun) -> None:
        self.model = model
        self._world = world
        self._buffers = Buffers(model)
        self._draws = world.state()

    def buffers(self) -> list[Tensor]:
        """Copies of the buffers as they are now, but for counters."""
        return [b.clone() for b in self.model.buffers() if b.is_floating_point()]

    def gradient(self, loss: Loss, parts: Sequence[Pair], weights: Sequence[float]) -> Tensor:
        """The accumulated gradient of all parameters, (elements,); weight 0 adds nothing."""
        self._world.restore(self._draws)
        self._buffers.restore()
        self.model.zero_grad()
        for (x, y), weight in zip(parts, weights, strict=True):
            value = loss(self.model(x), y)
            if weight:
                (value * weight).backward()  # type: ignore[no-untyped-call]
        trained = [p for p in self.model.parameters() if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        return torch.cat([gradient.to_dense().flatten() for gradient in gradients])


Cut = Callable[[Pair | Batches], list[Pair]]
"""Takes a problem's data, returns the micro-batches to measure."""


def cut_by_size(sizes: Sequence[int]) -> Cut:
    """The first samples of the data, in micro-batches of these sizes.

    Raises:
        ValueError: there is no size or a bad one, or they ask for more samples than there are.
    """
    if not sizes:
        raise not_allowed("sizes", sizes, "the size of at least one micro-batch")
    for size in sizes:
        Count()("sizes", size)

    def cut(data: Pair | Batches) -> list[Pair]:
        x, y = _together([data] if is_pair(data) else _enough(data, sum(sizes)))
        if len(x) < sum(sizes):
            raise not_allowed("sizes", sizes, f"sizes that add up to at most {len(x)} samples")
        columns = (torch.split(part[: sum(sizes)], list(sizes)) for part in (x, y))
        return list(zip(*columns, strict=True))

    return cut


def cut_by_recipe(recipe: Recipe) -> Cut:
    """The micro-batches of a recipe's first update."""
    return lambda data: next(groups(data, recipe))


def joined(parts: Sequence[Pair]) -> Pair:
    """The full batch of some micro-batches."""
    return _together(parts)


def _together(pairs: Iterable[Any]) -> Pair:
    x, y = zip(*pairs, strict=True)
    if not all(isinstance(part, Tensor) for part in (*x, *y)):
        raise not_allowed(
            "Problem.data", x[0], "batches (x, y) of tensors, to measure them together"
        )
    return torch.cat(x), torch.cat(y)


def _enough(data: Batches, wanted: int) -> Iterator[Pair]:
    for x, y in data:
        yield x, y
        wanted -= len(x)
        if wanted <= 0:
            return
