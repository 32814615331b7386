"""Training loops under a checkup against the same loops alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn, optim

from benchmarks.measure import Row
from gradwidgets.checkup import checkup
from gradwidgets.core import problems

TARGET = 1.2
UPDATES = 40

Training = tuple[nn.Module, Tensor, Tensor]


def mlp(batch_size: int) -> Training:
    """An MLP of 0.6 million parameters, for 28x28 images."""
    model = nn.Sequential(
        *(nn.Linear(784, 512), nn.ReLU()),
        *(nn.Linear(512, 320), nn.ReLU()),
        *(nn.Linear(320, 128), nn.ReLU()),
        nn.Linear(128, 10),
    )
    return model, torch.randn(batch_size, 784), torch.randint(10, (batch_size,))


class Residual(nn.Module):
    """Two convolutions with batch normalisation, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(samples, channels, height, width) to the same shape."""
        h = F.relu(self.norm1(self.first(x)))
        return F.relu(x + self.norm2(self.second(h)))


def resnet() -> Training:
    """Three residual blocks of 16 channels, for 32 pictures of 16x16."""
    blocks = [Residual(16) for _ in range(3)]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *blocks, *head)
    return model, torch.randn(32, 3, 16, 16), torch.randint(10, (32,))


class Transformer(nn.Module):
    """Two layers of 64 features with four heads."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(64, 64)
        layer = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        """(samples, tokens) ids to (samples, tokens, 64) scores."""
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        hidden = self.layers(self.embedding(x), mask=mask, is_causal=True)
        scores: Tensor = self.head(hidden)
        return scores


def transformer() -> Training:
    """32 sequences of 32 tokens."""
    return Transformer(), torch.randint(64, (32, 32)), torch.randint(64, (32, 32))


def lesson(name: str) -> Training:
    """A built-in problem of the lessons, with a batch of its own size."""
    problem = problems.get(name)
    x, y = problem.data()
    size = problem.recipe.batch_size
    return problem.model(), x[:size], y[:size]


def train(training: Training, optimizer: str, watched: bool) -> None:
    """The usual loop, with or without a checkup around it; model and data are there already."""
    model, x, y = training
    trained = getattr(optim, optimizer)(model.parameters(), lr=1e-3)
    with checkup(model, trained) if watched else nullcontext():
        for _ in range(UPDATES):
            trained.zero_grad()
            F.cross_entropy(model(x).flatten(0, -2), y.flatten()).backward()
            trained.step()


def rows() -> Iterator[Row]:
    """Models of lesson size by CPU time, which a busy machine disturbs least."""
    trainings: tuple[tuple[str, str, Callable[[], Training]], ...] = (
        ("MLP, batch 64", "SGD", partial(mlp, 64)),
        ("MLP, batch 64", "Adam", partial(mlp, 64)),
        ("MLP, batch 8", "Adam", partial(mlp, 8)),
        ("ResNet, batch 32", "SGD", resnet),
        ("Transformer, batch 32", "AdamW", transformer),
        ("problems.digits", "SGD", partial(lesson, "digits")),
        ("problems.digits_cnn", "Adam", partial(lesson, "digits_cnn")),
        ("problems.chars", "AdamW", partial(lesson, "chars")),
    )
    for name, optimizer, build in trainings:
        torch.manual_seed(0)
        training = build()
        yield Row(
            f"checkup, {UPDATES} updates, {optimizer}, {name}",
            partial(train, training, optimizer, watched=True),
            partial(train, training, optimizer, watched=False),
            pairs=25,
            target=TARGET,
            clock=time.process_time,
        )
