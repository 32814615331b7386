"""What came back, as plain numbers: the type is looked at before any value is compared.

An object may override `==`, `-` or `tolist`, and so may a subclass of `float` or of `Tensor`.
So the exact type counts, and values are read through the C level, which cannot be replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gradwidgets.grading.verdict import Wrong

Array = npt.NDArray[np.float64]

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
    """What stands in `.grad`, or None."""
    found = _grad.__get__(parameter)
    return None if found is None else array(found, ".grad")


def number(value: Any, what: str) -> float:
    """A float.

    Raises:
        Wrong: it is of any other type.
    """
    if type(value) is not float:
        raise Wrong(f"{what} should be a plain float; it is of type {type(value).__name__}.")
    return value


def text(value: Any, what: str) -> str:
    """A text.

    Raises:
        Wrong: it is of any other type.
    """
    if type(value) is not str:
        raise Wrong(f"{what} should be a text; it is of type {type(value).__name__}.")
    return value


def close(found: Array | float, wanted: Array | float, share: float = SMALL) -> bool:
    """Whether all numbers are equal within `share`; nan equals nothing."""
    one, other = np.asarray(found), np.asarray(wanted)
    if one.shape != other.shape:
        return False
    return bool(np.all(np.abs(one - other) <= share * (1 + np.max(np.abs(other), initial=0.0))))


def same(found: Array, wanted: Array) -> bool:
    """Whether all numbers are equal to the last bit."""
    return found.shape == wanted.shape and bool(np.all(found == wanted))


def all_close(found: Sequence[Array], wanted: Sequence[Array]) -> bool:
    """Whether each array is close to its partner."""
    return len(found) == len(wanted) and all(map(close, found, wanted))
