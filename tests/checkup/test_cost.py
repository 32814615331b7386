"""What a watch may cost in memory, and that what it estimates from samples is right."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from gradwidgets.checkup import checkup
from gradwidgets.checkup.tensors import Sample, adds_something, changes, elements
from gradwidgets.checkup.thresholds import SAMPLED
from tests.checkup.overhead import copies_of_the_parameters


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_memory_is_at_most_one_copy_of_the_parameters(optimizer: str) -> None:
    assert 0 <= copies_of_the_parameters(optimizer) < 1


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


@pytest.mark.parametrize("lr", [1e-9, 1e3])
def test_sizes_of_updates_are_judged_in_large_layers(lr: float) -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(300, 200), torch.randn(64, 300)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    with checkup(model, optimizer) as report:
        for _ in range(4):
            optimizer.zero_grad()
            F.mse_loss(model(x), x[:, :200]).backward()
            optimizer.step()
    assert {"update-too-small", "update-too-large"} & report.codes, str(report)
