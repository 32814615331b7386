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
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.optim import Optimizer

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


def collect() -> tuple[list[Case], list[Case]]:
    """Every broken and every healthy loop."""
    for name in FILES:
        importlib.import_module(name)
    return BROKEN, HEALTHY


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


def times(count: int, update: Callable[[], object]) -> Callable[[], None]:
    """The loop that does one update several times."""

    def train() -> None:
        for _ in range(count):
            update()

    return train


def regression(samples: int = 32, features: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets (samples, 1) of a noisy linear relation."""
    x = torch.randn(samples, features)
    return x, x @ torch.randn(features, 1) + 0.1 * torch.randn(samples, 1)


def images(samples: int = 8, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (samples, 1, 8, 8) and their classes."""
    return torch.randn(samples, 1, 8, 8), torch.randint(classes, (samples,))


def sequences(samples: int = 8, length: int = 10, words: int = 20) -> torch.Tensor:
    """Token numbers (samples, length)."""
    return torch.randint(words, (samples, length))


def mlp(features: int = 8, hidden: int = 16, out: int = 1) -> nn.Sequential:
    """Two layers and a ReLU."""
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, out))


def cnn(classes: int = 4) -> nn.Sequential:
    """A convolution with BatchNorm and dropout for `images`."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(24, classes),
    )


def usual(
    model: nn.Module, optimizer: Optimizer, loss: Callable[[], torch.Tensor], count: int = 4
) -> Loop:
    """The loop of every tutorial: clear, forward, backward, step."""

    def update() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return Loop(model, optimizer, times(count, update))


def fit(model: nn.Module, optimizer: Any, count: int = 3) -> Loop:
    """The usual loop on `regression`."""
    x, y = regression()
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), count)


def simple(
    kind: type[Optimizer] = optim.SGD, lr: float = 0.01, **options: float
) -> tuple[nn.Module, Optimizer, torch.Tensor, torch.Tensor]:
    """Two layers, an optimizer of theirs and the data of `regression`."""
    model, (x, y) = mlp(), regression()
    return model, kind(model.parameters(), lr=lr, **options), x, y


class Tagger(nn.Module):
    """Embedding, bidirectional LSTM and a head for `sequences`."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(20, 8), nn.Linear(12, 5)
        self.rnn = nn.LSTM(8, 6, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.out(self.rnn(self.table(x))[0])


def tagging(model: nn.Module, optimizer: Optimizer, count: int = 3) -> Loop:
    """The usual loop that gives every token a class."""
    x, y = sequences(), torch.randint(5, (8, 10))
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).transpose(1, 2), y), count)
