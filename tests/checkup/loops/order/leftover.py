"""Gradients of the last batches that no step reads."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import optim

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import accumulated, mlp, simple


@fault("leftover", source="ultralytics/ultralytics#11217", written=WITH_RULES)
def last_batches_of_the_epoch_dropped(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return accumulated(model, optimizer, size=6, every=4, step_last=repaired)


@fault("leftover", source="ultralytics/ultralytics#11217 (tagger)", written=SECOND)
def three_of_eleven_batches_lost(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def train():
        for i in range(11):
            (F.mse_loss(model(x), y) / 4).backward()
            if i % 4 == 3 or (repaired and i == 10):
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)
