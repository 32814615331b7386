"""Data of a problem: what it may be, and the groups of micro-batches that make one update."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import torch
from torch import Tensor

from gradwidgets.core.recipe import Recipe
from gradwidgets.core.validate import not_allowed

Pair = tuple[Tensor, Tensor]
Batch = tuple[Any, Any]
Batches = Iterable[Any]


def is_pair(data: object) -> bool:
    """Tell whether `data` is two tensors, `(x, y)`.

    >>> is_pair((torch.ones(2), torch.ones(2))), is_pair([torch.ones(2)])
    (True, False)
    """
    return (
        isinstance(data, (tuple, list))
        and len(data) == 2
        and all(isinstance(part, Tensor) for part in data)
    )


def check_form(name: str, data: object) -> None:
    """Raise ValueError if `data` can be no `(x, y)` and no batches, as far as it is known."""
    if isinstance(data, Mapping):
        raise ValueError(f"{name}: {_shown(data)}; give (x, y), each of which may be a dict")
    if isinstance(data, (tuple, list)) and data and isinstance(data[0], Mapping):
        raise not_pair(name, data[0])
    if isinstance(data, (tuple, list)) and any(
        hasattr(part, "__array_interface__") for part in data
    ):
        raise ValueError(
            f"{name}: NumPy arrays; give tensors: torch.from_numpy(x).float(), or without .float() "
            "where they are whole numbers"
        )
    if isinstance(data, tuple) and len(data) == 2 and all(map(is_pair, data)):
        raise ValueError(
            f"{name}: two pairs of tensors in a tuple may be two batches, or an x and a y of two "
            "parts each; give [(x, y), (x, y)] for two batches, [((x1, x2), (y1, y2))] for one"
        )
    if isinstance(data, tuple) and len(data) > 2 and all(isinstance(part, Tensor) for part in data):
        raise ValueError(
            f"{name}: {len(data)} tensors; give (x, y), or batches [(x, (y, weights))] whose "
            "parts the model and the loss take apart"
        )


def checked_data(name: str, data: Any) -> Any:
    """Return `data` if it can be trained on again and again, or raise ValueError."""
    if is_pair(data):
        x, y = data
        if x.ndim == 0 or y.ndim == 0 or len(x) == 0 or len(x) != len(y):
            shapes = f"shapes {tuple(x.shape)} and {tuple(y.shape)}"
            raise ValueError(f"{name}: {shapes}; give x and y with the same number of samples, > 0")
        return x, y
    check_form(name, data)
    if not isinstance(data, Iterable):
        raise not_allowed(name, data, "(x, y) tensors or an iterable of (x, y) batches")
    if isinstance(data, Iterator):
        raise not_allowed(name, data, "what can be iterated again, such as a list or a DataLoader")
    return data


def groups(data: Pair | Batches, recipe: Recipe) -> Iterator[list[Batch]]:
    """The micro-batches of one update after another, epoch after epoch.

    With `(x, y)` tensors a batch of `recipe.batch_size` (None: everything, in order) is cut by
    `torch.Tensor.chunk(accumulation_steps)`. With an iterable of batches,
    `accumulation_steps` of them in a row make a group; an epoch's last group may be smaller.

    Raises:
        ValueError: an epoch holds no batch, a batch no sample, or a batch is not a pair.

    >>> data = torch.arange(6.0), torch.arange(6.0)
    >>> first = next(groups(data, Recipe(accumulation_steps=3)))
    >>> [x.tolist() for x, _ in first]
    [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    """
    if is_pair(data):
        x, y = data
        return _cut(x, y, recipe)
    return _gathered(data, recipe.accumulation_steps)


def _cut(x: Tensor, y: Tensor, recipe: Recipe) -> Iterator[list[Batch]]:
    parts = recipe.accumulation_steps
    if recipe.batch_size is None:
        everything = list(zip(x.chunk(parts), y.chunk(parts), strict=True))
        while True:
            yield everything
    order = torch.Generator().manual_seed(recipe.seed)
    while True:
        for index in torch.split(torch.randperm(len(x), generator=order), recipe.batch_size):
            yield list(zip(x[index].chunk(parts), y[index].chunk(parts), strict=True))


def _gathered(data: Batches, count: int) -> Iterator[list[Batch]]:
    while True:
        group: list[Batch] = []
        empty = True
        for batch in data:
            empty = False
            group.append(_checked(batch))
            if len(group) == count:
                yield group
                group = []
        if group:
            yield group
        if empty:
            raise ValueError("Problem.data: no batch in it; give at least one (x, y)")


def not_pair(name: str, batch: Any) -> ValueError:
    """The error for a batch that is no pair.

    >>> print(not_pair("Problem.data", {"image": 1, "label": 2}))
    Problem.data: a batch must be (x, y), not a dict of 'image', 'label'; x and y may be dicts
    """
    also = "; x and y may be dicts" if isinstance(batch, Mapping) else ""
    return ValueError(f"{name}: a batch must be (x, y), not {_shown(batch)}{also}")


def _checked(batch: Any) -> Batch:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise not_pair("Problem.data", batch)
    x, y = batch
    if samples(y, x) == 0:
        raise ValueError("Problem.data: a batch holds no sample; give batches with at least one")
    return x, y


def samples(target: Any, x: Any = None) -> int:
    """Count the samples of a batch: the length of its first tensor; a single number is one.

    That is the first tensor in the target, also inside a dict, tuple or list; a target without
    a tensor is counted on `x`, and by its own length if that has none either.

    >>> samples(torch.zeros(32, 10)), samples(torch.tensor(1.0))
    (32, 1)
    >>> samples({"class": torch.zeros(8), "box": torch.zeros(8, 4)})
    8
    """
    first = _first_tensor(target)
    first = _first_tensor(x) if first is None else first
    if first is not None:
        return len(first) if first.ndim else 1
    return len(target) if isinstance(target, Sized) else 1


def _first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    parts = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, (Mapping, tuple, list)):
        return None
    return next((t for t in map(_first_tensor, parts) if t is not None), None)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        keys = ", ".join(map(repr, value)) or "nothing"
        return f"a {type(value).__name__} of {textwrap.shorten(keys, 80)}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
