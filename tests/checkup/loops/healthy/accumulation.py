"""Several backward calls on purpose before a step."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import optim

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import mlp, regression, times


@no_fault(source="Gradient tutorial: accumulation template", written=WITH_RULES)
def accumulation_over_four_batches() -> Loop:
    model, (x, y) = mlp(), regression(64)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def train():
        optimizer.zero_grad()
        for index, (a, b) in enumerate(zip(x.split(8), y.split(8), strict=True)):
            (F.mse_loss(model(a), b) / 4).backward()
            if (index + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@no_fault(source="accumulation with the leftover batches stepped at the end", written=SECOND)
def accumulation_with_leftover() -> Loop:
    model, (x, y) = mlp(), regression(44)
    optimizer = optim.SGD(model.parameters(), 0.01)

    def train():
        batches = list(zip(x.split(4), y.split(4), strict=True))
        for i, (a, b) in enumerate(batches, 1):
            (F.mse_loss(model(a), b) / 4).backward()
            if i % 4 == 0 or i == len(batches):
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@no_fault(source="two losses on one graph with retain_graph", written=SECOND)
def two_losses_retained() -> Loop:
    model, (x, y) = mlp(out=2), regression()
    optimizer = optim.AdamW(model.parameters(), 1e-3)

    def update():
        optimizer.zero_grad()
        out = model(x)
        F.mse_loss(out[:, :1], y).backward(retain_graph=True)
        F.l1_loss(out[:, 1:], y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))
