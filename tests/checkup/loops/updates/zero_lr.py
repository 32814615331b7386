"""Learning rates that are zero."""

from __future__ import annotations

from torch import optim

from tests.checkup.loops.collection import FIFTH, SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import fit, mlp


@fault("zero-lr", source="common report: lr 0", written=WITH_RULES)
def learning_rate_zero(repaired: bool) -> Loop:
    model = mlp()
    return fit(model, optim.SGD(model.parameters(), lr=0.01 if repaired else 0.0), 4)


@fault("zero-lr", source="Project-MONAI/tutorials#630", written=WITH_RULES)
def warm_up_scheduled_per_epoch(repaired: bool) -> Loop:
    model, start = mlp(), 1 if repaired else 0
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: (epoch + start) / 10)
    return fit(model, optimizer, 4)


@fault("zero-lr", source="pytorch forum: one group's lr is 0", written=WITH_RULES)
def group_with_learning_rate_zero(repaired: bool) -> Loop:
    model, lr = mlp(), 0.001 if repaired else 0.0
    groups = [{"params": model[0].parameters(), "lr": lr}, {"params": model[2].parameters()}]
    return fit(model, optim.SGD(groups, lr=0.01), 4)


@fault("zero-lr", source="pytorch forum: cosine schedule at its end", written=SECOND)
def schedule_has_ended(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), 0.1)
    scheduler = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=20 if repaired else 2)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    return fit(model, optimizer)


@fault("zero-lr", source="common report: a schedule of epochs, stepped per batch", written=FIFTH)
def schedule_at_its_end_within_the_watch(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    count = 10 if repaired else 2
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda k: max(0.0, 1 - k / count))
    return fit(model, optimizer, 10, after=schedule.step)
