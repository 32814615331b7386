"""Accumulation whose steps come after the wrong batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, Loop, fault
from tests.checkup.loops.parts import classes, mlp


def _modulo(optimizer: optim.Optimizer, model: nn.Module, every: int, repaired: bool) -> Loop:
    x, y = classes(24 * every)

    def train():
        for index, (a, b) in enumerate(zip(x.split(8), y.split(8), strict=True), 1):
            (F.cross_entropy(model(a), b) / every).backward()
            if (index % every == 0) == repaired:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@fault("uneven-groups", source="eriklindernoren/PyTorch-YOLOv3#325", written=FIFTH)
def modulo_of_four_inverted(repaired: bool) -> Loop:
    model = mlp(out=3)
    return _modulo(optim.Adam(model.parameters(), lr=1e-2), model, 4, repaired)


@fault("uneven-groups", source="eriklindernoren/PyTorch-YOLOv3#325, by three", written=FIFTH)
def modulo_of_three_inverted(repaired: bool) -> Loop:
    model = mlp(out=3)
    return _modulo(optim.SGD(model.parameters(), lr=1e-2, momentum=0.9), model, 3, repaired)


@fault("uneven-groups", source="common report: not divided, and inverted", written=FIFTH)
def modulo_inverted_without_division(repaired: bool) -> Loop:
    model, x = mlp(), torch.randn(80, 8)
    optimizer = optim.RMSprop(model.parameters(), lr=1e-3)

    def train():
        for index, batch in enumerate(x.split(4)):
            F.l1_loss(model(batch), batch[:, :1]).backward()
            if (not (index + 1) % 5) if repaired else (index + 1) % 5:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)
