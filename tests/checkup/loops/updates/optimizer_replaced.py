"""Optimizers that are made again within the loop."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import optim

from tests.checkup.loops.collection import FIFTH, Loop, fault
from tests.checkup.loops.parts import mlp, regression, times


@fault("optimizer-replaced", source="alan-turing-institute/deepsensor#47", written=FIFTH)
def made_in_every_epoch(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression()
    held = [optim.Adam(model.parameters(), lr=1e-2)]

    def epoch():
        if not repaired:
            held[0] = optim.Adam(model.parameters(), lr=1e-2)
        for a, b in zip(x.split(8), y.split(8), strict=True):
            held[0].zero_grad()
            F.mse_loss(model(a), b).backward()
            held[0].step()

    return Loop(model, held[0], times(3, epoch))


@fault("optimizer-replaced", source="common report: made anew to change the lr", written=FIFTH)
def made_again_to_lower_the_lr(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression()
    held = [optim.SGD(model.parameters(), lr=0.01, momentum=0.9)]
    rates = iter((0.01, 0.008, 0.006, 0.004))

    def epoch():
        rate = next(rates)
        if repaired:
            held[0].param_groups[0]["lr"] = rate
        else:
            held[0] = optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        for _ in range(3):
            held[0].zero_grad()
            F.mse_loss(model(x), y).backward()
            held[0].step()

    return Loop(model, held[0], times(4, epoch))
