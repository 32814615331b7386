"""Steps that a GradScaler skips, all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from tests.checkup.loops import SECOND, WITH_RULES, Loop, fault, simple, times

OVERFLOW = "a GradScaler overflows in single precision only"


def scaled(scale: float, lr: float, size: float, count: int, *, update_scale: bool = True) -> Loop:
    """A loop with a GradScaler of that scale, its loss multiplied by `size`."""
    model, optimizer, x, y = simple(lr=lr)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y) * size).backward()
        scaler.step(optimizer)
        if update_scale:
            scaler.update()

    return Loop(model, optimizer, times(count, update))


@fault(
    "amp-skipping",
    source="common report: overflow in every step",
    written=WITH_RULES,
    single_precision=OVERFLOW,
)
def scaler_overflows_at_every_step(repaired: bool) -> Loop:
    return scaled(2.0 ** (16 if repaired else 120), lr=1e-8, size=1e6, count=3)


@fault(
    "amp-skipping",
    source="pytorch forum: GradScaler without update",
    written=WITH_RULES,
    single_precision=OVERFLOW,
)
def scaler_never_updated(repaired: bool) -> Loop:
    """The scale fits after some updates; without, the second step raises an error."""
    return scaled(2.0**127, lr=1e-4, size=100, count=20 if repaired else 1, update_scale=repaired)


@fault(
    "amp-skipping",
    source="pytorch forum: loss infinite in half precision",
    written=SECOND,
    single_precision=OVERFLOW,
)
def infinite_gradient_under_scaler(repaired: bool) -> Loop:
    return scaled(2.0**16, lr=0.01, size=1 if repaired else 1e38, count=4)
