"""A GradScaler that scales the loss and does not take the scale out again, or the reverse."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, Loop, fault
from tests.checkup.loops.parts import classes, mlp, simple, times


@fault("amp-scale", source="nerfstudio-project/nerfacc#307", written=FIFTH)
def scaled_loss_and_a_plain_step(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()
        if repaired:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()

    return Loop(model, optimizer, times(4, update))


@fault("amp-scale", source="common report: the same with Adam, which hides it", written=FIFTH)
def scaled_micro_batches_and_a_plain_step(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.AdamW, 1e-3)
    scaler = torch.amp.GradScaler("cpu")

    def update():
        for a, b in zip(x.split(8), y.split(8), strict=True):
            scaler.scale(F.mse_loss(model(a), b) / 4).backward()
        if repaired:
            scaler.unscale_(optimizer)
            scaler.update()
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(3, update))


@fault("amp-scale", source="common report: the result of scale is thrown away", written=FIFTH)
def scaled_loss_not_used(repaired: bool) -> Loop:
    (x, y), model = classes(), mlp(out=3)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scaler, criterion = torch.amp.GradScaler("cpu"), nn.CrossEntropyLoss()

    def update():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        scaled = scaler.scale(loss)
        (scaled if repaired else loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return Loop(model, optimizer, times(4, update))
