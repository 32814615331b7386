"""Several steps that read the same gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import simple, times


@fault(
    "step-twice",
    source="Lightning-AI/pytorch-lightning forum: manual step in automatic mode",
    written=WITH_RULES,
)
def stepped_twice_per_backward(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        if not repaired:
            optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault(
    "step-twice", source="pytorch forum: step inside the loop over parameters", written=WITH_RULES
)
def stepped_for_every_layer(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.Adam, 1e-3)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        for _ in range(1 if repaired else len(model)):
            optimizer.step()

    return Loop(model, optimizer, update)


@fault(
    "step-twice",
    source="Lightning-AI/pytorch-lightning#20215 (manual and automatic)",
    written=SECOND,
)
def step_after_the_scaler_stepped(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()
        if not repaired:
            optimizer.step()

    return Loop(model, optimizer, times(3, update))
