"""Clipping that leaves next to nothing of the gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import cnn, fit, images, mlp, times


@fault("clipped-away", source="common report: max_norm 1e-6", written=WITH_RULES)
def clipped_to_a_millionth(repaired: bool) -> Loop:
    model, most = mlp(), 1.0 if repaired else 1e-6
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return fit(model, optimizer, edit=lambda: nn.utils.clip_grad_norm_(model.parameters(), most))


@fault("clipped-away", source="milesial/Pytorch-UNet#468", written=WITH_RULES)
def clipped_before_unscaling(repaired: bool) -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        if repaired:
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(3, update))


@fault("clipped-away", source="pytorch/examples#1196", written=SECOND)
def clip_value_of_a_millionth(repaired: bool) -> Loop:
    model, most = mlp(), 1.0 if repaired else 1e-6
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return fit(model, optimizer, edit=lambda: nn.utils.clip_grad_value_(model.parameters(), most))


@fault(
    "clipped-away", source="common report: max_norm 0 means no clipping elsewhere", written=FIFTH
)
def clipped_to_norm_zero(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.01, weight_decay=1e-4)

    def edit():
        nn.utils.clip_grad_norm_(model.parameters(), 1.0 if repaired else 0.0)

    return fit(model, optimizer, 4, edit=edit)
