"""What a view of the stepper shows: plain data, copied from the loop where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.core import Array
from gradwidgets.stepper.explain import Failure

SMALL = 256
"""Tensors with at most this many elements are shown number by number."""
Entry = tuple[str, str]
"""A name and which part of it: "value", "grad", a key of the optimizer's state, "buffer" or
"variable"."""
Reading = dict[Entry, Tensor | None]


@dataclass(frozen=True, eq=False)
class Numbers:
    """A tensor: every number if it is small, and a summary in any case.

    Args:
        shape: that of the tensor.
        dtype: its type, such as "float32".
        values: its numbers in float64, or None if there are more than `SMALL`.
        norm: its 2-norm.
        mean: the mean of its elements.
        low: the smallest element.
        high: the largest element.
        zeros: the share of elements that are exactly zero, from 0 to 1.
    """

    shape: tuple[int, ...]
    dtype: str
    values: Array | None
    norm: float
    mean: float
    low: float
    high: float
    zeros: float


@dataclass(frozen=True, eq=False)
class ParameterNumbers:
    """One parameter: its value, its `.grad` (None stays None), what the optimizer keeps of it."""

    name: str
    value: Numbers
    grad: Numbers | None
    state: Mapping[str, Numbers]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The loop between two statements.

    Args:
        update: the number of the update in hand, from 0.
        index: the statement that is next; the number of statements after the last one; where
            the loop failed or ended, that statement itself.
        executed: the statement that was executed last in this update, or None.
        micro_batch: which micro-batch is in hand, from 0.
        micro_batches: how many there are; 0 while that is not known.
        loss: the newest loss of a micro-batch or update, or None before there is one.
        parameters: every parameter of the model, in its order.
        buffers: every buffer, such as BatchNorm's running mean.
        variables: every number that the statements have assigned.
        changed: the entries that the last statement changed.
        failure: the error that the last statement raised, or None.
        remark: a sentence on a last statement without the usual effect, or None.
        ended: None, or why nothing follows: "updates" (all made), "threshold" or "diverged".
    """

    update: int
    index: int
    executed: int | None
    micro_batch: int
    micro_batches: int
    loss: float | None
    parameters: tuple[ParameterNumbers, ...]
    buffers: Mapping[str, Numbers]
    variables: Mapping[str, float]
    changed: frozenset[Entry]
    failure: Failure | None
    remark: str | None
    ended: str | None


def read(model: nn.Module, optimizer: Optimizer, assigned: Mapping[str, Any]) -> Reading:
    """Copy every entry as it is now."""
    reading: Reading = {}
    for name, parameter in model.named_parameters():
        reading[name, "value"] = _copy(parameter)
        reading[name, "grad"] = _copy(parameter.grad)
        kept = optimizer.state.get(parameter, {})
        for key, value in kept.items():
            tensor = _tensor(value)
            if tensor is not None:
                reading[name, str(key)] = tensor
    for name, buffer in model.named_buffers():
        reading[name, "buffer"] = _copy(buffer)
    for name, value in assigned.items():
        tensor = None if name.startswith("_") or isinstance(value, list) else _tensor(value)
        if tensor is not None and tensor.numel() == 1:
            reading[name, "variable"] = tensor
    return reading


def parts(reading: Reading) -> dict[str, Any]:
    """The fields of a `Snapshot` that hold numbers."""
    names = [name for name, part in reading if part == "value"]
    state: dict[str, dict[str, Numbers]] = {name: {} for name in names}
    buffers: dict[str, Numbers] = {}
    variables: dict[str, float] = {}
    for (name, part), tensor in reading.items():
        if tensor is None or part in ("value", "grad"):
            continue
        if part == "buffer":
            buffers[name] = _numbers(tensor)
        elif part == "variable":
            variables[name] = tensor.item()
        else:
            state[name][part] = _numbers(tensor)
    rows = [_row(name, reading, state[name]) for name in names]
    loss = variables.get("loss", variables.get("mean"))
    return {"parameters": tuple(rows), "buffers": buffers, "variables": variables, "loss": loss}


def differences(before: Reading, after: Reading) -> frozenset[Entry]:
    """The entries that are not the same to the last bit; None and zero differ."""
    entries = before.keys() | after.keys()
    return frozenset(e for e in entries if not _same(before.get(e), after.get(e)))


def _row(name: str, reading: Reading, state: dict[str, Numbers]) -> ParameterNumbers:
    value, grad = reading[name, "value"], reading[name, "grad"]
    assert value is not None
    return ParameterNumbers(name, _numbers(value), None if grad is None else _numbers(grad), state)


def _copy(tensor: Tensor | None) -> Tensor | None:
    if tensor is None:
        return None
    copied = tensor.detach().clone()
    return copied.to_dense() if copied.is_sparse else copied


def _tensor(value: Any) -> Tensor | None:
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
        dtype=str(tensor.dtype).removeprefix("torch."),
        values=values if values.size <= SMALL else None,
        norm=float(np.linalg.norm(values)),
        mean=float(values.mean()) if some else float("nan"),
        low=float(values.min()) if some else float("nan"),
        high=float(values.max()) if some else float("nan"),
        zeros=float((values == 0).mean()) if some else 0.0,
    )
