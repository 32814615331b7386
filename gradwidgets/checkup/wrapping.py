"""Functions of torch that are wrapped while something is watched, by any number of watches.

Watches begin and end on any thread, while others train on theirs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.hooks import RemovableHandle

Call = Callable[..., Any]

_AROUND: dict[tuple[int, str], tuple[list[Call], Call]] = {}
"""For each attribute that is replaced now: what goes around it, the innermost first, and by what
it is replaced."""
_REPLACED: dict[tuple[int, str], tuple[int, object]] = {}
"""For each attribute that is replaced by something else: how many times, and what is put back."""
_STEPS: list[tuple[Call, Call]] = []
"""What is told of each step, before and after it."""
_HOOKS: list[RemovableHandle] = []
_CHANGES = threading.Lock()
"""One thread at a time begins or ends to wrap."""


@contextmanager
def replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Put something else in the place of an attribute; the identical object is put back.

    Threads may do so at once: what the first puts there stays until the last has ended.
    """
    key = id(owner), name
    with _CHANGES:
        times, before = _REPLACED.get(key, (0, vars(owner)[name]))
        _REPLACED[key] = times + 1, before
        if not times:
            setattr(owner, name, value)
    try:
        yield
    finally:
        with _CHANGES:
            times, before = _REPLACED.pop(key)
            if times > 1:
                _REPLACED[key] = times - 1, before
            else:
                setattr(owner, name, before)


def _held(owner: Any, name: str) -> Any:
    """The attribute, or what will be put back in its place."""
    return _REPLACED.get((id(owner), name), (0, vars(owner)[name]))[1]


def _hold(owner: Any, name: str, value: object) -> None:
    key = id(owner), name
    if key in _REPLACED:
        _REPLACED[key] = _REPLACED[key][0], value
    else:
        setattr(owner, name, value)


@contextmanager
def wrapped(owner: Any, name: str, around: Call) -> Iterator[None]:
    """Replace `owner.name` by `around(original, ...)`, then put the identical object back.

    Several may overlap and end in any order: the last to end puts it back.
    """
    key = id(owner), name
    with _CHANGES:
        if key not in _AROUND:
            calls = list[Call]()
            _AROUND[key] = calls, _replacement(_held(owner, name), calls)
            _hold(owner, name, _AROUND[key][1])
        arounds, ours = _AROUND[key]
        arounds.append(around)
    try:
        yield
    finally:
        with _CHANGES:
            arounds.remove(around)
            if not arounds:
                del _AROUND[key]
                if _held(owner, name) is ours:  # if not, somebody has put theirs around it
                    _hold(owner, name, vars(ours)["__wrapped__"])


@contextmanager
def told_of_steps(before: Call, after: Call) -> Iterator[None]:
    """Have both called around each step of any optimizer, as the hooks that they are.

    While one thread goes through the global hooks of torch, no other may add or remove any. So
    one pair serves all watches, from the first to the last.
    """
    told = before, after
    with _CHANGES:
        if not _STEPS:
            _HOOKS.append(register_optimizer_step_pre_hook(_before_step))
            _HOOKS.append(register_optimizer_step_post_hook(_after_step))
        _STEPS.append(told)
    try:
        yield
    finally:
        with _CHANGES:
            _STEPS.remove(told)
            while _HOOKS and not _STEPS:
                _HOOKS.pop().remove()


def _before_step(optimizer: Any, args: Any, kwargs: Any) -> Any:
    if torch.compiler.is_compiling():  # so that its graphs are the same
        return None
    given = args, kwargs
    for before, _ in tuple(_STEPS):
        given = before(optimizer, *given) or given
    return given


def _after_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    if torch.compiler.is_compiling():
        return
    for _, after in tuple(_STEPS):
        after(optimizer, args, kwargs)


def _replacement(original: Call, arounds: list[Call]) -> Call:
    """The original within all that goes around it; with nothing there, the original alone."""

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        now = () if torch.compiler.is_compiling() else tuple(arounds)
        if not now:
            return original(*args, **kwargs)
        if len(now) == 1:  # to bind is what costs
            return now[0](original, *args, **kwargs)
        call = original
        for around in now:
            call = _bound(around, call)
        return call(*args, **kwargs)

    return replacement


def _bound(around: Call, call: Call) -> Call:
    """A function and no `partial`: it may stand in a class, as a method."""

    def called(*args: Any, **kwargs: Any) -> Any:
        return around(call, *args, **kwargs)

    return called
