"""Steps that a GradScaler skips, all of them."""

from __future__ import annotations

import torch

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import with_scaler

OVERFLOW = "a GradScaler overflows in single precision only"


@fault(
    "amp-skipping",
    source="common report: overflow in every step",
    written=WITH_RULES,
    single_precision=OVERFLOW,
)
def scaler_overflows_at_every_step(repaired: bool) -> Loop:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** (16 if repaired else 120))
    return with_scaler(scaler, 3, size=1 if repaired else 1e6)


@fault(
    "amp-skipping",
    source="pytorch forum: GradScaler without update",
    written=WITH_RULES,
    single_precision=OVERFLOW,
)
def scaler_never_updated(repaired: bool) -> Loop:
    """The scale fits after some updates; without, the second step raises an error."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    count = 20 if repaired else 1
    return with_scaler(scaler, count, lr=1e-4, size=100, update=repaired)


@fault(
    "amp-skipping",
    source="pytorch forum: loss infinite in half precision",
    written=SECOND,
    single_precision=OVERFLOW,
)
def infinite_gradient_under_scaler(repaired: bool) -> Loop:
    return with_scaler(torch.amp.GradScaler("cpu"), 4, size=1 if repaired else 1e38)
