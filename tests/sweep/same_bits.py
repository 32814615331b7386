"""Two histories compared to the last bit: the sign of a zero counts, a NaN is a NaN."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gradwidgets.core import Array, History

ARRAYS = ("loss", "grad_norms", "edited_norms", "param_norms", "change_norms", "held_out", "lrs")


def difference(one: History, other: History) -> str:
    """The name of the first thing that differs; "" where nothing does."""
    for name in ("recipe", "names", "stopped"):
        if getattr(one, name) != getattr(other, name):
            return name
    ours, theirs = _arrays(one), _arrays(other)
    if only := sorted(name for name in ours.keys() ^ theirs.keys() if name not in one.names):
        return only[0]
    both = sorted(ours.keys() & theirs.keys())  # a sweep keeps fewer histories of parameters
    return next((name for name in both if not same_bits(ours[name], theirs[name])), "")


def _arrays(history: History) -> dict[str, Array]:
    assert history.model is not None
    state = history.model.state_dict()
    return {
        **{name: getattr(history, name) for name in ARRAYS},
        **history.parameters,
        **{f"state: {name}": _exact(values) for name, values in state.items()},
    }


def _exact(values: Tensor) -> Array:
    """In NumPy, which has no bfloat16: float64 holds each of its numbers."""
    values = values.double() if values.dtype is torch.bfloat16 else values
    return values.numpy()


def same_bits(one: Array, other: Array) -> bool:
    """Tell whether two arrays are equal: shape, dtype, every bit of every number."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return _bytes(one) == _bytes(other)


def _bytes(array: Array) -> bytes:
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
    return array.tobytes()
