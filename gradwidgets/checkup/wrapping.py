"""Functions of torch that are wrapped while something is watched, by any number of watches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

Call = Callable[..., Any]

_AROUND: dict[tuple[int, str], list[Call]] = {}
"""For each attribute that is replaced now: what goes around it, the innermost first."""


@contextmanager
def replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Put something else in the place of an attribute; the identical object is put back."""
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def wrapped(owner: Any, name: str, around: Call) -> Iterator[None]:
    """Replace `owner.name` by `around(original, ...)`, then put the identical object back.

    Several may overlap and end in any order: the last to end puts it back.
    """
    key = id(owner), name
    original = vars(owner)[name]
    if key not in _AROUND:
        setattr(owner, name, _replacement(original, _AROUND.setdefault(key, [])))
    arounds, ours = _AROUND[key], vars(owner)[name]
    arounds.append(around)
    try:
        yield
    finally:
        arounds.remove(around)
        if not arounds:
            del _AROUND[key]
            if vars(owner)[name] is ours:  # if not, somebody has put theirs around it
                setattr(owner, name, ours.__wrapped__)


def _replacement(original: Call, arounds: list[Call]) -> Call:
    """The original within all that goes around it; with nothing there, the original alone."""

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling() or not arounds:
            return original(*args, **kwargs)
        if len(arounds) == 1:  # to bind is what costs
            return arounds[0](original, *args, **kwargs)
        call = original
        for around in tuple(arounds):
            call = _bound(around, call)
        return call(*args, **kwargs)

    return replacement


def _bound(around: Call, call: Call) -> Call:
    """A function and no `partial`: it may stand in a class, as a method."""

    def called(*args: Any, **kwargs: Any) -> Any:
        return around(call, *args, **kwargs)

    return called
