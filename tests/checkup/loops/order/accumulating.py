"""Gradients of several backward calls, summed where a mean is meant.

Whether a loss was divided cannot be seen, so every accumulation is told, as information. The twins
get the mean from one backward call.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import simple, times


@fault("accumulating", source="pytorch forum: loss summed over micro-batches", written=WITH_RULES)
def micro_batches_not_averaged(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    size = 32 if repaired else 16

    def update():
        optimizer.zero_grad()
        for a, b in zip(x.split(size), y.split(size), strict=True):
            F.mse_loss(model(a), b).backward()
        optimizer.step()

    return Loop(model, optimizer, times(2, update))


@fault("accumulating", source="pytorch forum: three losses, three backward calls", written=SECOND)
def three_losses_three_backwards(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        losses = (weight * F.mse_loss(model(x), y) for weight in (0.5, 0.3, 0.2))
        for loss in [sum(losses)] if repaired else losses:
            loss.backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))
