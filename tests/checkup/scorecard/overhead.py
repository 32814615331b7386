"""CPU time of a training under each tool that can watch one, over that of the training alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn, optim

from benchmarks.measure import Result, Row, measure
from gradwidgets.checkup import checkup

UPDATES = 20
PAIRS = 15

Made = tuple[nn.Module, Callable[[], Tensor]]
"""A model, and the loss of its next update."""
Watch = Callable[[nn.Module, optim.Optimizer], AbstractContextManager[Any]]


def mlp() -> Made:
    """0.6 million parameters on 64 images of 28x28."""
    sizes = (784, 512, 320, 128)
    layers = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
    model = nn.Sequential(*(part for pair in layers for part in pair), nn.Linear(128, 10))
    x, y = torch.randn(64, 784), torch.randint(10, (64,))
    return model, lambda: F.cross_entropy(model(x), y)


class Block(nn.Module):
    """Two convolutions with BatchNorm around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2)]
        norms = [nn.BatchNorm2d(width) for _ in range(2)]
        self.inner = nn.Sequential(convolutions[0], norms[0], nn.ReLU(), convolutions[1], norms[1])

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.inner(x))


def resnet() -> Made:
    """Four residual blocks of 32 channels on 32 images of 16x16."""
    blocks = [Block(32) for _ in range(4)]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    model = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), *blocks, *head)
    x, y = torch.randn(32, 3, 16, 16), torch.randint(10, (32,))
    return model, lambda: F.cross_entropy(model(x), y)


def transformer() -> Made:
    """Three encoder layers of width 128 on 16 texts of 64 tokens."""
    layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 3)
    model = nn.Sequential(nn.Embedding(64, 128), encoder, nn.Linear(128, 64))
    tokens = torch.randint(64, (16, 65))

    def loss() -> Tensor:
        return F.cross_entropy(model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:])

    return model, loss


MODELS = {"MLP": mlp, "ResNet": resnet, "Transformer": transformer}


@contextlib.contextmanager
def _audited(model: nn.Module, optimizer: optim.Optimizer) -> Iterator[None]:
    import torch_audit

    auditor = torch_audit.autopatch(model, optimizer=optimizer, every_n_steps=1)
    yield
    auditor.finish()
    auditor.unpatch()


def _monitored(model: nn.Module, _: optim.Optimizer) -> AbstractContextManager[Any]:
    import guardtower

    return guardtower.monitor(model)  # type: ignore[no-any-return]


WATCHES: dict[str, Watch] = {
    "checkup": checkup,
    "guardtower (`monitor`: only NaN in outputs)": _monitored,
    "torch-audit (every step)": _audited,
}


def train(make: Callable[[], Made], watch: Watch | None) -> None:
    """20 updates by AdamW."""
    torch.manual_seed(0)
    model, loss = make()
    optimizer = optim.AdamW(model.parameters(), 1e-3)
    with watch(model, optimizer) if watch else contextlib.nullcontext():
        for _ in range(UPDATES):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()


def overheads() -> Iterator[tuple[str, str, Result]]:
    """(tool, model, CPU times) of each tool on each model, both sides in turn, on one thread."""
    torch.set_num_threads(1)
    for tool, watch in WATCHES.items():
        for name, make in MODELS.items():
            ours, bare = partial(train, make, watch), partial(train, make, None)
            yield tool, name, measure(Row(name, ours, bare, PAIRS, clock=time.process_time))
