"""Keep a run and its caller from disturbing each other.

`IsolatedRun` keeps random numbers, grad mode and threads apart, `evaluating` a model's modes, and
`Buffers` what a model writes to itself.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SMALL = 100_000
"""A model of at most this many elements is trained on one thread: more would only wait for each
other (many times slower when the machine is busy), and would add up in another order elsewhere."""

TURN = 0.02
"""Seconds after which a long run lets another thread have the process, if one waits for it."""


class FairLock:
    """A reentrant lock. A thread that releases it and wants it back comes after those who wait.

    >>> lock = FairLock()
    >>> with lock, lock:
    ...     print("twice on one thread")
    twice on one thread
    """

    def __init__(self) -> None:
        self._next = threading.Lock()
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        """Wait until no other thread has the lock."""
        if self._owner == threading.get_ident():
            self._lock.acquire()
        else:
            with self._next:  # held by the thread that gets the lock next; the others wait here
                self._lock.acquire()
        self._owner = threading.get_ident()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        """Release the lock, as often as it was taken."""
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._lock.release()


PROCESS_LOCK = FairLock()
"""Held by a thread while it disturbs what the whole process shares: the global random number
generators and the number of threads. Widgets hold it, too, while they do something."""

Source = tuple[Callable[[], Any], Callable[[Any], object]]


class IsolatedRun:
    """Random number generators, grad mode and threads of one run.

    Args:
        data: a `DataLoader` or its sampler may have a generator of its own. A run begins it with
            `seed`, too, and puts it back afterwards.
        seed: what every run begins with.
        held_out: other data of which the same is true.

    >>> before = torch.random.get_rng_state()
    >>> run = IsolatedRun(data=None, seed=1)
    >>> with run.inside():
    ...     first = torch.rand(1)
    >>> torch.equal(before, torch.random.get_rng_state())
    True
    """

    def __init__(self, data: object, seed: int, held_out: object = None) -> None:
        self._own = [*generators(data).values(), *generators(held_out).values()]
        self._sources = _global_sources() + [(g.get_state, g.set_state) for g in self._own]
        self._seed = seed
        self._states: list[Any] | None = None
        self._one_thread = False

    def choose_threads(self, model: nn.Module) -> None:
        """Compute on one thread from now on if `model` is small; call it within `inside()`."""
        self._one_thread = is_small(model)
        if self._one_thread:
            torch.set_num_threads(1)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Use the run's state inside the block; restore the caller's afterwards.

        One thread of the process at a time: others wait.
        """
        with PROCESS_LOCK:
            theirs = self.state()
            try:
                if self._states is None:
                    _seed(self._seed)
                    for generator in self._own:
                        generator.manual_seed(self._seed)
                else:
                    self.restore(self._states)
                with one_thread(self._one_thread), torch.inference_mode(False), torch.enable_grad():
                    yield
            finally:
                self._states = self.state()
                self.restore(theirs)

    def repeat(
        self, step: Callable[[], object], more: Callable[[], bool], seconds: float = math.inf
    ) -> None:
        """Call `step` inside, again and again while `more()` is true, or for so many seconds.

        Another thread that waits has its turn every `TURN` seconds.

        >>> drawn = []
        >>> run = IsolatedRun(data=None, seed=1)
        >>> run.repeat(lambda: drawn.append(torch.rand(1)), lambda: len(drawn) < 3)
        >>> len(drawn)
        3
        """
        end = time.perf_counter() + seconds
        while more():
            turn_ends = min(end, time.perf_counter() + TURN)
            with self.inside():
                while more():
                    step()
                    if time.perf_counter() >= turn_ends:
                        break
            if time.perf_counter() >= end:
                return

    def state(self) -> list[Any]:
        """The states of all generators now."""
        return [read() for read, _ in self._sources]

    def restore(self, states: list[Any]) -> None:
        """Put every generator back to what `state` returned."""
        for (_, write), state in zip(self._sources, states, strict=True):
            write(state)

    def has_drawn(self, since: list[Any]) -> bool:
        """Tell whether a generator has gone on since `state` returned `since`.

        >>> run = IsolatedRun(data=None, seed=1)
        >>> before = run.state()
        >>> with torch.random.fork_rng():
        ...     _ = torch.rand(1)
        ...     run.has_drawn(before)
        True
        >>> run.has_drawn(before)
        False
        """
        return not _same(self.state(), since)


def _same(one: object, other: object) -> bool:
    """Compare two states of generators: tuples of numbers, arrays and tensors."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return np.array_equal(one, other)  # type: ignore[arg-type]  # numbers and tensors as well


@contextmanager
def one_thread(only: bool = True) -> Iterator[None]:
    """Make torch compute on one thread inside the block, if `only`; restore the count afterwards.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    with PROCESS_LOCK:
        threads = torch.get_num_threads()
        if only:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def is_small(model: nn.Module) -> bool:
    """Tell whether a model is small enough for one thread.

    >>> is_small(nn.Linear(64, 32)), is_small(nn.Linear(1000, 1000))
    (True, False)
    """
    return sum(p.numel() for p in model.parameters()) <= SMALL


def _seed(seed: int) -> None:
    """Seed Python, NumPy, and torch: data and models may draw from any of them.

    `torch.manual_seed` without an accelerator takes note of who called, and for long.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def _global_sources() -> list[Source]:
    """Pairs of functions that read and write the process's own generators."""
    sources: list[Source] = [
        (torch.get_rng_state, torch.set_rng_state),
        (random.getstate, random.setstate),
        (np.random.get_state, np.random.set_state),
    ]
    if torch.accelerator.is_available():
        device = torch.get_device_module(torch.accelerator.current_accelerator())
        suffix = "_all" if hasattr(device, "get_rng_state_all") else ""
        read, write = getattr(device, "get_rng_state" + suffix), "set_rng_state" + suffix
        sources.append((read, getattr(device, write)))
    return sources


def generators(data: object) -> dict[str, torch.Generator]:
    """The generators of a loader, of its samplers and of its data set, by their attributes.

    >>> pairs = [(torch.ones(1), torch.ones(1))]
    >>> own = torch.Generator()
    >>> list(generators(torch.utils.data.DataLoader(pairs, shuffle=True, generator=own)))
    ['generator']
    """
    batch_sampler = getattr(data, "batch_sampler", None)
    parts = {
        "": data,
        "batch_sampler.": batch_sampler,
        "sampler.": getattr(data, "sampler", None),
        "batch_sampler.sampler.": getattr(batch_sampler, "sampler", None),
        "dataset.": getattr(data, "dataset", None),
    }
    found: dict[str, torch.Generator] = {}
    for path, part in parts.items():
        own = getattr(part, "generator", None)
        if isinstance(own, torch.Generator) and all(own is not other for other in found.values()):
            found[f"{path}generator"] = own
    return found


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in eval mode inside the block; restore each module's own mode afterwards.

    >>> model = nn.Dropout()
    >>> with evaluating(model):
    ...     model.training
    False
    >>> model.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class Buffers:
    """Every buffer of a model as it is now; a model may put another tensor in its place later.

    Attributes:
        copies: their values, None where there is none.

    >>> norm = nn.BatchNorm1d(2)
    >>> before = Buffers(norm)
    >>> _ = norm(torch.ones(4, 2))
    >>> before.restore()
    >>> norm.running_mean
    tensor([0., 0.])
    """

    def __init__(self, model: nn.Module) -> None:
        self._held = [
            (module, name, buffer)
            for module in model.modules()
            for name, buffer in module._buffers.items()
        ]
        self.copies = [None if b is None else b.detach().clone() for *_, b in self._held]

    def restore(self) -> None:
        """Put every buffer back, to the last bit."""
        for (module, name, buffer), copy in zip(self._held, self.copies, strict=True):
            module._buffers[name] = buffer
            if buffer is not None and copy is not None:
                _fill(buffer, copy)


def _fill(buffer: Tensor, values: Tensor) -> None:
    if buffer.shape == values.shape:
        buffer.data.copy_(values)
    else:  # it was resized in place
        buffer.data = values.clone()
