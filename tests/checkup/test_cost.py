"""What a watch may cost in memory, and that what it estimates from samples is right."""

from __future__ import annotations

import gc
import weakref
from contextlib import nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn, optim
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gradwidgets.checkup import checkup
from gradwidgets.checkup.tensors import Sample, adds_something, changes, elements
from gradwidgets.checkup.thresholds import SAMPLED


class Weighing(TorchDispatchMode):
    """Adds up the bytes of the storages alive that operations within it have made."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._weigh(tensor.untyped_storage())
        return result

    def _weigh(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.alive += size
        self.most = max(self.most, self.alive)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size


def most_bytes(optimizer: str, watched: bool) -> tuple[int, int]:
    """Bytes of the parameters, and the most that a loop has allocated at any moment."""
    gc.collect()
    torch.manual_seed(0)
    with Weighing() as scales:
        model = nn.Sequential(
            nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 320), nn.Linear(320, 10)
        )
        trained = getattr(optim, optimizer)(model.parameters(), lr=1e-3)
        x, y = torch.randn(8, 784), torch.randint(10, (8,))
        with checkup(model, trained) if watched else nullcontext():
            for _ in range(6):
                trained.zero_grad()
                F.cross_entropy(model(x), y).backward()
                trained.step()
    return sum(p.numel() * p.element_size() for p in model.parameters()), scales.most


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_memory_is_far_below_one_copy_of_the_parameters(optimizer: str) -> None:
    parameters, alone = most_bytes(optimizer, watched=False)
    _, watched = most_bytes(optimizer, watched=True)
    assert 2 * parameters < alone, "the scales weigh the parameters and their gradients"
    assert alone <= watched < alone + 0.1 * parameters


def test_long_loops_are_watched_in_bounded_memory() -> None:
    model, x = nn.Linear(8, 1), torch.randn(32, 8)
    optimizer = optim.SGD(model.parameters(), lr=0.001)
    with checkup(model, optimizer) as report:
        for _ in range(1000):
            optimizer.zero_grad()
            F.mse_loss(model(x), x[:, :1]).backward()
            optimizer.step()
    assert report.steps == 1000
    assert not report.findings
    assert len(report.events) <= 400


@pytest.mark.parametrize("shape", [(700, 512), (300, 7, 3, 3), (SAMPLED,), (5,), (), (0, 3)])
def test_norm_of_a_change_is_estimated_within_five_per_cent(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    tensor, step = torch.randn(shape), torch.randn(shape) * torch.rand(shape[-1:] or (1,)).squeeze()
    sample = Sample(tensor)
    tensor += step
    (found,) = changes([sample])
    assert found == pytest.approx(float(step.norm()), rel=0.05, abs=1e-6)


def test_every_column_is_in_a_sample() -> None:
    tensor = torch.zeros(4096, 64)
    sample = Sample(tensor)
    tensor += torch.eye(64)[7]
    assert sample.has_moved()


def test_scaling_clipping_and_masking_add_nothing() -> None:
    torch.manual_seed(0)
    before = elements(torch.randn(50, 20), 256)
    mask = (torch.rand_like(before) > 0.5).double()
    for after in (before * 0.3, before * 7, before.clamp(-0.1, 0.1), before * mask):
        assert not adds_something(before, after)
    for after in (before + 0.1, -before, before.roll(1), torch.zeros_like(before) + before.norm()):
        assert adds_something(before, after)


def test_large_embedding_of_which_few_rows_move_is_not_called_stuck() -> None:
    torch.manual_seed(0)
    model, x = nn.Embedding(20_000, 32), torch.randint(20_000, (8,))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer) as report:
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    assert not report.findings, str(report)


@pytest.mark.parametrize(
    ("lr", "codes"), [(1e-9, {"update-too-small"}), (0.1, set()), (1e3, {"update-too-large"})]
)
def test_sizes_of_updates_are_judged_in_large_layers(lr: float, codes: set[str]) -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(300, 200), torch.randn(64, 300)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    with checkup(model, optimizer) as report:
        for _ in range(4):
            optimizer.zero_grad()
            F.mse_loss(model(x), x[:, :200]).backward()
            optimizer.step()
    assert report.codes == codes, str(report)
