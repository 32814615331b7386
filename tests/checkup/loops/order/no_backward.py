"""Steps without gradients from a backward call."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import simple, times


@fault("no-backward", source="pytorch forum: backward commented out", written=WITH_RULES)
def no_backward_at_all(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        if repaired:
            loss.backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault(
    "no-backward",
    source="pytorch forum: gradients taken with autograd.grad, not assigned",
    written=WITH_RULES,
)
def autograd_grad_not_assigned(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        held = list(model.parameters())
        slopes = torch.autograd.grad(F.mse_loss(model(x), y), held)
        if repaired:
            for p, slope in zip(held, slopes, strict=True):
                p.grad = slope
        optimizer.step()

    return Loop(model, optimizer, times(2, update))


@fault("no-backward", source="pytorch forum: loss.backward without parentheses", written=SECOND)
def backward_without_parentheses(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward() if repaired else loss.backward
        optimizer.step()

    return Loop(model, optimizer, times(2, update))
