"""Values that came back from a student's code, as plain numbers: first the type, then the value.

An object may override `==`, `-` or `tolist`, and so may a subclass of `float` or of `Tensor`.
So the exact type counts, and values are read through the C level, which cannot be replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from gradwidgets.grading.check import Wrong
from gradwidgets.grading.numpy_oracle import Array

T = TypeVar("T")

_detach = torch._C.TensorBase.detach
_tolist = torch._C.TensorBase.tolist
_grad: Any = vars(torch._C.TensorBase)["grad"]

SMALL = 1e-9
"""Numbers are equal within this, as a share of the largest of them; all are double."""


def array(tensor: Any, what: str) -> Array:
    """The values of a tensor.

    Raises:
        Wrong: it is no plain tensor.
    """
    if torch._C._len_torch_function_stack() or torch._C._len_torch_dispatch_stack():
        raise Wrong("A mode stands between torch and its callers; leave it before you return.")
    if type(tensor) not in (torch.Tensor, nn.Parameter):
        raise Wrong(f"{what} should be a plain tensor; it is of type {type(tensor).__name__}.")
    return np.array(_tolist(_detach(tensor)), dtype=np.float64)


def gradient(parameter: nn.Parameter) -> Array | None:
    """The values of `.grad`, or None.

    Raises:
        Wrong: it is no plain tensor.
    """
    found = _grad.__get__(parameter)
    return None if found is None else array(found, ".grad")


def returned(kind: type[T], value: Any) -> T:
    """A value that the function returned, if it is exactly of this type.

    Raises:
        Wrong: it is of any other type, a subclass included.
    """
    if type(value) is not kind:
        found, wanted = type(value).__name__, kind.__name__
        raise Wrong(f"What it returns should be a plain {wanted}; it is of type {found}.")
    return value


def close(found: Array | float, wanted: Array | float, share: float = SMALL) -> bool:
    """True if all numbers are equal within `share`; nan equals nothing."""
    one, other = np.asarray(found), np.asarray(wanted)
    if one.shape != other.shape:
        return False
    return bool(np.all(np.abs(one - other) <= share * (1 + np.max(np.abs(other), initial=0.0))))


def same(found: Array, wanted: Array) -> bool:
    """True if all numbers are equal to the last bit."""
    return found.shape == wanted.shape and bool(np.all(found == wanted))


def all_close(found: Sequence[Array], wanted: Sequence[Array]) -> bool:
    """True if each array is close to its partner."""
    return len(found) == len(wanted) and all(map(close, found, wanted))
