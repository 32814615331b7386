"""Models, data and loops that cases are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.optim import Optimizer

from tests.checkup.loops.collection import Loop


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
