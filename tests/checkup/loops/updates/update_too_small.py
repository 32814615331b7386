"""Updates that are lost to rounding, or nearly so."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import (
    LanguageModel,
    fit,
    mlp,
    predict_themselves,
    regression,
    sequences,
    simple,
    times,
    usual,
)


@fault("update-too-small", source="common report: lr 1e-9 in float32", written=WITH_RULES)
def learning_rate_below_rounding(repaired: bool) -> Loop:
    model = mlp()
    return fit(model, optim.SGD(model.parameters(), 1e-2 if repaired else 1e-9), 4)


@fault("update-too-small", source="pytorch/ao#1124", written=WITH_RULES)
def updates_lost_in_bfloat16(repaired: bool) -> Loop:
    dtype = torch.float32 if repaired else torch.bfloat16
    model, (x, y) = mlp(16, 64).to(dtype), regression(64, 16)
    x, y = x.to(dtype), y.to(dtype)
    return usual(model, optim.AdamW(model.parameters(), 1e-5), lambda: F.mse_loss(model(x), y))


@fault("update-too-small", source="pytorch forum: scheduler stepped per batch", written=WITH_RULES)
def learning_rate_decayed_per_batch(repaired: bool) -> Loop:
    """The rate of 1e-3 after 200 batches, each of which has taken a tenth of it."""
    model, optimizer, x, y = simple(optim.Adam, 1e-3 if repaired else 1e-12)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
        if not repaired:
            optimizer.param_groups[0]["lr"] *= 0.9

    return Loop(model, optimizer, times(6, update))


@fault("update-too-small", source="pytorch forum: lr 1e-10 with Adam", written=FIRST)
def adam_with_a_tiny_learning_rate(repaired: bool) -> Loop:
    model, x = LanguageModel(), sequences(3, 8, 30)
    optimizer = optim.Adam(model.parameters(), lr=1e-3 if repaired else 1e-10)
    return usual(model, optimizer, lambda: predict_themselves(model, x), 9)


@fault("update-too-small", source="stackoverflow: lr 1e-12 with momentum", written=SECOND)
def momentum_with_vanishing_rate(repaired: bool) -> Loop:
    model, lr = mlp(), 1e-2 if repaired else 1e-12
    return fit(model, optim.SGD(model.parameters(), lr, momentum=0.9), 5)


@fault("update-too-small", "zero-lr", source="ivadomed/ivadomed#55", written=FIFTH)
def epoch_scheduler_stepped_per_batch(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression(48)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.StepLR(optimizer, 3, 0.1)

    def train():
        for _ in range(2):
            for a, b in zip(x.split(2), y.split(2), strict=True):
                optimizer.zero_grad()
                F.mse_loss(model(a), b).backward()
                optimizer.step()
                schedule.step() if not repaired else None
            schedule.step()

    return Loop(model, optimizer, train)
