"""`Snapshot`: every number of the loop between two statements, and which of them changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.core import Array, as_numbers, kept_of

SMALL = 256
"""Tensors with at most this many elements are shown number by number."""
Entry = tuple[str, str]
"""A name and a part of it: "value", "grad", a key of the optimizer's state, "buffer" or
"variable"."""
Entries = dict[Entry, Tensor | None]
COPY = "float32 copy"
"""The part of a parameter that the optimizer steps where it does not step the parameter itself."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """A tensor: every number if it is small, and a summary in any case.

    Args:
        shape: that of the tensor.
        values: its numbers in float64, or None if there are more than `SMALL`.
        norm: its 2-norm.
        mean: the mean of its elements.
        low: the smallest element.
        high: the largest element.
        zeros: the share of elements that are exactly zero, from 0 to 1.
    """

    shape: tuple[int, ...]
    values: Array | None
    norm: float
    mean: float
    low: float
    high: float
    zeros: float


@dataclass(frozen=True, eq=False)
class ParameterNumbers:
    """One parameter: its value, its `.grad` (None stays None), the optimizer's state for it."""

    name: str
    value: Numbers
    grad: Numbers | None
    state: Mapping[str, Numbers]


@dataclass(frozen=True)
class Failure:
    """An error that a statement raised: its type, its own message, and its meaning."""

    kind: str
    message: str
    explanation: str


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The loop between two statements.

    Args:
        update: the number of the current update, from 0.
        index: the statement that is next; the number of statements after the last one; where
            the loop failed or ended, that statement itself.
        executed: the statement that was executed last in this update, or None.
        micro_batch: the number of the current micro-batch, from 0.
        micro_batches: the number of micro-batches; 0 while it is not known.
        parameters: every parameter of the model, in its order.
        buffers: every buffer, such as BatchNorm's running mean.
        variables: every number that the statements have assigned; with a schedule, "lr", too.
        lr_before: the learning rate before the last statement, by its name among the variables.
        changed: the entries that the last statement changed.
        failure: the error that the last statement raised, or None.
        remark: a sentence on a last statement without the usual effect, or None.
        warned: statements of this update that a warning came from, by their index, and its text.
        ended: None, or why nothing follows: "updates" (all made), or as in `History.stopped`.
    """

    update: int
    index: int
    executed: int | None
    micro_batch: int
    micro_batches: int
    parameters: tuple[ParameterNumbers, ...]
    buffers: Mapping[str, Numbers]
    variables: Mapping[str, float]
    lr_before: Mapping[str, float]
    changed: frozenset[Entry]
    failure: Failure | None
    remark: str | None
    warned: tuple[tuple[int, str], ...]
    ended: str | None


def read(
    model: nn.Module,
    stepped: nn.Module,
    optimizers: Sequence[Optimizer],
    assigned: Mapping[str, Any],
) -> Entries:
    """Copy every entry as it is now; `stepped` is the model, or a copy that the optimizer steps."""
    entries: Entries = {}
    both = zip(model.named_parameters(), stepped.parameters(), strict=True)
    for (name, parameter), own in both:
        entries[name, "value"] = _copy(parameter)
        entries[name, "grad"] = _copy(parameter.grad)
        if own is not parameter:
            entries[name, COPY] = _copy(own)
        for key, value in kept_of(own, optimizers).items():
            tensor = _as_tensor(value)
            if tensor is not None:
                entries[name, str(key)] = tensor
    for name, buffer in model.named_buffers():
        entries[name, "buffer"] = _copy(buffer)
    for name, value in assigned.items():
        tensor = None if name.startswith("_") or isinstance(value, list) else _as_tensor(value)
        if tensor is not None and tensor.numel() == 1:
            entries[name, "variable"] = tensor
    return entries


def read_lrs(optimizer: Optimizer) -> Entries:
    """Copy the learning rate of each parameter group."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    names = ["lr"] if len(rates) == 1 else [f"lr of group {i}" for i in range(len(rates))]
    numbers = (torch.tensor(rate, dtype=torch.float64) for rate in rates)
    return {(name, "variable"): number for name, number in zip(names, numbers, strict=True)}


def is_lr(name: str, part: str) -> bool:
    """Tell whether an entry is one of `read_lrs`."""
    return part == "variable" and (name == "lr" or name.startswith("lr of group"))


def numbers_of(
    entries: Entries,
) -> tuple[tuple[ParameterNumbers, ...], dict[str, Numbers], dict[str, float]]:
    """The parameters, buffers and variables of a `Snapshot`."""
    rows: dict[str, dict[str, Numbers]] = {}
    buffers: dict[str, Numbers] = {}
    variables: dict[str, float] = {}
    for (name, part), tensor in entries.items():
        if tensor is None:
            continue
        if part == "buffer":
            buffers[name] = _numbers(tensor)
        elif part == "variable":
            variables[name] = tensor.item()
        else:
            rows.setdefault(name, {})[part] = _numbers(tensor)
    parameters = [
        ParameterNumbers(name, row.pop("value"), row.pop("grad", None), state=row)
        for name, row in rows.items()
    ]
    return tuple(parameters), buffers, variables


def differences(before: Entries, after: Entries) -> frozenset[Entry]:
    """The entries that are not the same to the last bit; None and zero differ."""
    entries = before.keys() | after.keys()
    return frozenset(e for e in entries if not _same(before.get(e), after.get(e)))


def _copy(tensor: Tensor | None) -> Tensor | None:
    if tensor is None:
        return None
    return as_numbers(tensor).clone()


def _as_tensor(value: Any) -> Tensor | None:
    """A number or tensor, or tensors of one shape in a list, as one tensor; anything else None."""
    if isinstance(value, Tensor):
        return _copy(value)
    if isinstance(value, (int, float)):
        return torch.tensor(value, dtype=torch.float64)
    tensors = isinstance(value, list) and all(isinstance(v, Tensor) for v in value)
    return torch.stack(value) if tensors and len({v.shape for v in value}) == 1 else None


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    alike = one.shape == other.shape and one.dtype == other.dtype
    return alike and torch.equal(_bytes(one), _bytes(other))


def _bytes(tensor: Tensor) -> Tensor:
    """Bits rather than values, so that NaN equals itself."""
    return tensor.contiguous().flatten().view(torch.uint8)


def _numbers(tensor: Tensor) -> Numbers:
    values = tensor.double().cpu().numpy()
    some = values.size > 0
    return Numbers(
        shape=tuple(tensor.shape),
        values=values if values.size <= SMALL else None,
        norm=float(np.linalg.norm(values)),
        mean=float(values.mean()) if some else float("nan"),
        low=float(values.min()) if some else float("nan"),
        high=float(values.max()) if some else float("nan"),
        zeros=float((values == 0).mean()) if some else 0.0,
    )
