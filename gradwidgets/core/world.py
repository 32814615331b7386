"""A run's own random state, so that neither the run nor its caller disturbs the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

Source = tuple[Callable[[], Any], Callable[[Any], object]]


class World:
    """Random number generators and grad mode of one run.

    Args:
        data: a `DataLoader` has a generator of its own, which is put back as well.
        seed: what every run begins with.
    """

    def __init__(self, data: object, seed: int) -> None:
        self._sources = _sources(data)
        self._seed = seed
        self._states: list[Any] | None = None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The run's state is in force within, the caller's again afterwards."""
        theirs = [read() for read, _ in self._sources]
        try:
            if self._states is None:
                torch.manual_seed(self._seed)
            else:
                self._write(self._states)
            with torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            self._states = [read() for read, _ in self._sources]
            self._write(theirs)

    def _write(self, states: list[Any]) -> None:
        for (_, write), state in zip(self._sources, states, strict=True):
            write(state)


def _sources(data: object) -> list[Source]:
    """How to read and write every generator that a run may draw from."""
    sources: list[Source] = [(torch.get_rng_state, torch.set_rng_state)]
    if torch.accelerator.is_available():
        device = torch.get_device_module(torch.accelerator.current_accelerator())
        suffix = "_all" if hasattr(device, "get_rng_state_all") else ""
        read, write = getattr(device, "get_rng_state" + suffix), "set_rng_state" + suffix
        sources.append((read, getattr(device, write)))
    own = getattr(data, "generator", None)
    if isinstance(own, torch.Generator):
        sources.append((own.get_state, own.set_state))
    return sources
