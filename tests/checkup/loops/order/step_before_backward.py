"""Steps that read the gradients of the update before."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIRST, SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import in_order, regression, simple, times


@fault("step-before-backward", source="facebookresearch/vilbert-multi-task#37", written=WITH_RULES)
def step_between_forward_and_backward(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        in_order(loss.backward, optimizer.step, reverse=not repaired)

    return Loop(model, optimizer, times(3, update))


@fault("step-before-backward", source="pytorch/tutorials#3676", written=WITH_RULES)
def single_update_stepped_first(repaired: bool) -> Loop:
    model, x, y = nn.LSTM(4, 3, batch_first=True), torch.randn(2, 5, 4), torch.randn(2, 5, 3)
    optimizer = optim.Adam(model.parameters())

    def update():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x)[0], y)
        in_order(loss.backward, optimizer.step, reverse=not repaired)

    return Loop(model, optimizer, update)


@fault("step-before-backward", source="YunShen66666 in shoutOutYangJie/FaceID-GAN#5", written=FIRST)
def step_too_early_with_momentum(repaired: bool) -> Loop:
    model, (x, y) = nn.Linear(8, 1), regression(7)
    optimizer = optim.SGD(model.parameters(), lr=0.03, momentum=0.8)

    def update():
        loss = F.l1_loss(model(x), y)
        optimizer.zero_grad()
        in_order(loss.backward, optimizer.step, reverse=not repaired)

    return Loop(model, optimizer, times(11, update))


@fault("step-before-backward", source="pytorch forum: step at the top of the loop", written=SECOND)
def step_at_the_top(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.Adam, 1e-3)

    def update():
        out = model(x)
        if not repaired:
            optimizer.step()
        optimizer.zero_grad()
        F.mse_loss(out, y).backward()
        if repaired:
            optimizer.step()

    return Loop(model, optimizer, times(4, update))
