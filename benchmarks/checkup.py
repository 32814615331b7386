"""A training loop under a checkup against the same loop alone, 0.6 million parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from benchmarks.measure import Row
from gradwidgets.checkup import checkup

TARGET = 1.5
UPDATES = 20


def train(optimizer: str, batch_size: int, watched: bool) -> None:
    """The usual loop of an MLP for 28x28 images, with or without a checkup around it."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(784, 512), nn.ReLU()),
        *(nn.Linear(512, 320), nn.ReLU()),
        *(nn.Linear(320, 128), nn.ReLU()),
        nn.Linear(128, 10),
    )
    trained = getattr(optim, optimizer)(model.parameters(), lr=1e-3)
    x, y = torch.randn(batch_size, 784), torch.randint(10, (batch_size,))
    with checkup(model, trained) if watched else nullcontext():
        for _ in range(UPDATES):
            trained.zero_grad()
            F.cross_entropy(model(x), y).backward()
            trained.step()


def rows() -> Iterator[Row]:
    """The usual loop, with small and large batches."""
    for optimizer, size in product(("SGD", "Adam"), (64, 32, 8)):
        yield Row(
            f"checkup, {UPDATES} updates, {optimizer}, batch {size}",
            partial(train, optimizer, size, watched=True),
            partial(train, optimizer, size, watched=False),
            pairs=25,
            target=TARGET,
        )
