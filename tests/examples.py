"""Small problems of the tests' own, and comparisons to the last bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import History, Problem
from tests.by_hand import Trace

SAMPLES = 22  # no multiple of 3, 4 or 5: micro-batches are ragged


def doubles() -> tuple[Tensor, Tensor]:
    """22 samples of three features and two targets, in float64."""
    draw = torch.Generator().manual_seed(7)
    x = torch.randn(SAMPLES, 3, generator=draw, dtype=torch.float64)
    return x, torch.stack([x.sum(1).sin(), x.prod(1)], dim=1)


def double_model() -> nn.Module:
    """Two layers in float64."""
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


class InTurn(nn.Module):
    """Uses one layer at even calls and the other at odd ones."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)]).double()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        output: Tensor = self.layers[self.calls % 2](x)
        return output


def double_problem(**changes: Any) -> Problem:
    """The two above with the mean squared error; `changes` replace any of it."""
    parts: dict[str, Any] = {"model": double_model, "data": doubles(), "loss": F.mse_loss}
    return Problem("doubles", **(parts | changes))


def assert_same_run(history: History, trace: Trace) -> None:
    """Losses and every parameter after every update are the same, bit for bit."""
    assert history.loss.tolist() == trace.losses
    assert len(trace.losses) > 0
    for column, name in enumerate(history.names):
        kept = history.parameters[name]
        for update, (before, after) in enumerate(zip(trace.before, trace.after, strict=True)):
            assert kept[update].tolist() == before[column].tolist(), (name, update)
            assert kept[update + 1].tolist() == after[column].tolist(), (name, update)
