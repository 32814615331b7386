"""A collection of training loops, each with what a checkup must say about it.

A case is a function that builds a model and an optimizer and returns them with a function that
trains; `broken` and `healthy` register it with its expected codes and the report it comes from.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from gradwidgets.checkup import Report, checkup


class Loop(NamedTuple):
    """What is handed to `checkup`, and the loop that it watches."""

    model: nn.Module | Sequence[nn.Module]
    optimizer: Any
    train: Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A loop, the codes of which one must be found (none: healthy), and where it was reported."""

    name: str
    build: Callable[[], Loop]
    codes: frozenset[str]
    source: str
    single_precision: str = ""
    """Why it shows its symptom in single precision only, if it does."""

    def run(self) -> Report:
        """Train under a checkup, as a person would; an exception is part of the symptom."""
        torch.manual_seed(0)
        loop = self.build()
        with contextlib.suppress(RuntimeError), checkup(loop.model, loop.optimizer) as report:
            loop.train()
        return report


FILES = (
    "broken_wiring",
    "broken_order",
    "broken_size",
    "healthy_training",
    "healthy_methods",
    "fresh_loops",
    "odd_loops",
    "tutorial_loops",
    "unseen_wiring",
    "unseen_graph",
    "unseen_order",
    "unseen_sizes",
    "unseen_merging",
    "unseen_editing",
    "unseen_optimizers",
    "unseen_methods",
    "hard_healthy",
    "hard_broken",
)
"""Where the loops are. Each of the sets fresh_, unseen_ and hard_ was written after the rules had
passed all before it."""

BROKEN: list[Case] = []
HEALTHY: list[Case] = []


class Collection(NamedTuple):
    """Every loop."""

    broken: list[Case]
    healthy: list[Case]


def collect() -> Collection:
    """Every broken and every healthy loop."""
    for name in FILES:
        importlib.import_module(f"tests.checkup.{name}")
    return Collection(BROKEN, HEALTHY)


Build = Callable[[], Loop]


def broken(*codes: str, source: str, single_precision: str = "") -> Callable[[Build], Build]:
    """Register a broken loop and the code (or equivalent codes) that names its root."""

    def register(build: Build) -> Build:
        BROKEN.append(Case(build.__name__, build, frozenset(codes), source, single_precision))
        return build

    return register


def healthy(source: str, single_precision: str = "") -> Callable[[Build], Build]:
    """Register a loop that nothing is wrong with."""

    def register(build: Build) -> Build:
        HEALTHY.append(Case(build.__name__, build, frozenset(), source, single_precision))
        return build

    return register
