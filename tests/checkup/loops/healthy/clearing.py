"""Gradients cleared anywhere between a step and the next backward call."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import fit, mlp, regression, times


@no_fault(source="rll/deepul#12", written=WITH_RULES)
def cleared_between_loss_and_backward() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="pytorch/tutorials#2799", written=WITH_RULES)
def cleared_after_the_step() -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return fit(model, optimizer, 3, clear=False, after=lambda: optimizer.zero_grad())


@no_fault(source="Gradient tutorial: p.grad = None instead of zero_grad", written=WITH_RULES)
def cleared_by_hand() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def update():
        for p in model.parameters():
            if p.grad is not None:
                p.grad.data.zero_()
        F.mse_loss(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


def _three_batches(clear: Callable[[optim.Optimizer], object]) -> Loop:
    model, x, y = nn.Linear(10, 2), torch.randn(1, 10), torch.tensor([[1.0, 0.0]])
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        clear(optimizer)
        nn.MSELoss()(model(x), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="What zero_grad is for (tutorial)", written=WITH_RULES)
def clears_every_batch() -> Loop:
    return _three_batches(lambda optimizer: optimizer.zero_grad())


@no_fault(source="What zero_grad is for (tutorial)", written=WITH_RULES)
def sets_to_none() -> Loop:
    return _three_batches(lambda optimizer: optimizer.zero_grad(set_to_none=True))
