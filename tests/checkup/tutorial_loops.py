"""The examples of the tutorials that this project began with: edits, clearing, registration."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, broken, healthy, times

EDITS = "Scaling, masking and penalising gradients (tutorial)"
CLEARING = "What zero_grad is for (tutorial)"
UPDATING = "Why are PyTorch parameters not updating? (tutorial)"


def _one_edited_step(edit: Callable[[nn.Parameter], object]) -> Loop:
    model, x, y = nn.Linear(10, 1), torch.randn(1, 10), torch.randn(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        loss = nn.MSELoss()(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        for p in model.parameters():
            edit(p)
        optimizer.step()

    return Loop(model, optimizer, update)


@healthy(EDITS)
def tutorial_gradient_scaled_by_half() -> Loop:
    return _one_edited_step(lambda p: p.grad.data.mul_(0.5))


@healthy(EDITS)
def tutorial_first_half_masked() -> Loop:
    return _one_edited_step(lambda p: p.grad.data[: len(p.grad) // 2].zero_())


@healthy(EDITS)
def tutorial_penalty_added() -> Loop:
    return _one_edited_step(lambda p: p.grad.data.add_(0.01 * p.data))


def _three_batches(clear: Callable[[optim.Optimizer], object]) -> Loop:
    model, x, y = nn.Linear(10, 2), torch.randn(1, 10), torch.tensor([[1.0, 0.0]])
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        clear(optimizer)
        nn.MSELoss()(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("not-cleared", source=CLEARING)
def tutorial_accumulates_unintentionally() -> Loop:
    return _three_batches(lambda _: None)


@healthy(CLEARING)
def tutorial_clears_every_batch() -> Loop:
    return _three_batches(lambda optimizer: optimizer.zero_grad())


@healthy(CLEARING)
def tutorial_sets_to_none() -> Loop:
    return _three_batches(lambda optimizer: optimizer.zero_grad(set_to_none=True))


@broken("not-cleared", source=UPDATING)
def tutorial_missing_zero_grad() -> Loop:
    model = nn.Linear(10, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        F.mse_loss(model(torch.randn(64, 10)), torch.randn(64, 1)).backward()
        optimizer.step()

    return Loop(model, optimizer, times(100, update))


@broken("not-in-optimizer", source=UPDATING)
def tutorial_parameter_sliced_off() -> Loop:
    """Own parameters come first, so the slice drops the last layer's bias and not the one meant."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear1, self.linear2 = nn.Linear(10, 5), nn.Linear(5, 1)
            self.unregistered_param = nn.Parameter(torch.randn(5))

        def forward(self, x):
            return self.linear2(self.linear1(x)) + self.unregistered_param

    model = Model()
    optimizer = optim.SGD(list(model.parameters())[:-1], lr=0.01)

    def update():
        loss = F.mse_loss(model(torch.randn(64, 10)), torch.randn(64, 5))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return Loop(model, optimizer, times(10, update))
