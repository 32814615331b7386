"""Learning rates that change, from zero or to nearly zero."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import cnn, fit, images, mlp, regression, usual


@no_fault(source="verl-project/verl#3674", written=WITH_RULES)
def warm_up_that_starts_at_zero() -> Loop:
    model = mlp()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 100))
    return fit(model, optimizer, 3, after=scheduler.step)


@no_fault(source="pytorch docs: schedulers", written=WITH_RULES)
def one_cycle_schedule() -> Loop:
    model, (x, y) = cnn(), images(16)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=20)

    def loss():
        return F.cross_entropy(model(x), y)

    return usual(model, optimizer, loss, 20, after=scheduler.step)


@no_fault(source="exponential learning rate decay over the whole run", written=FIRST)
def annealed_to_the_end() -> Loop:
    model, x = nn.GRU(3, 7, num_layers=2, dropout=0.1), torch.randn(9, 5, 3)
    optimizer = optim.NAdam(model.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.7)
    return usual(model, optimizer, lambda: model(x)[0].square().mean(), 15, after=scheduler.step)


@no_fault(source="a group's lr is 0 for the first steps only", written=SECOND)
def group_that_starts_later() -> Loop:
    model, (x, y) = mlp(), regression()
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}]
    optimizer = optim.SGD(groups, lr=0.01)

    def train():
        for step in range(6):
            if step == 3:
                optimizer.param_groups[0]["lr"] = 0.001
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(model, optimizer, train)


@no_fault(source="linear warm-up from zero, watched for a single step", written=SECOND)
def warm_up_single_step() -> Loop:
    model = mlp()
    optimizer = optim.Adam(model.parameters(), lr=3e-4)
    scheduler = optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / 4000)
    return fit(model, optimizer, 1, after=scheduler.step)


@no_fault(source="a cosine that reaches zero in the last step", written=FIFTH)
def cosine_to_zero_at_the_end() -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
    return fit(model, optimizer, 13, after=schedule.step)


@no_fault(source="one cycle ends at a millionth", written=FIFTH)
def one_cycle_to_its_end() -> Loop:
    model = mlp()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=12)
    return fit(model, optimizer, 11, after=schedule.step)


@no_fault(source="a warm-up from zero", written=FIFTH)
def warm_up_from_zero() -> Loop:
    model = mlp()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, k / 8))
    return fit(model, optimizer, 8, after=schedule.step)


@no_fault(source="warm restarts", written=FIFTH)
def warm_restarts() -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    schedule = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 4)
    return fit(model, optimizer, 17, after=schedule.step)


@no_fault(source="two stages, the second with an optimizer of its own", written=FIFTH)
def second_stage_with_another_lr() -> Loop:
    model, (x, y) = mlp(), regression()
    first = optim.Adam(model.parameters(), lr=1e-2)

    def train():
        for optimizer in (first, optim.Adam(model.parameters(), lr=1e-3)):
            for _ in range(5):
                optimizer.zero_grad()
                F.mse_loss(model(x), y).backward()
                optimizer.step()

    return Loop(model, first, train)


@no_fault(
    source="rates tried from the same start, each with an optimizer of its own", written=FIFTH
)
def rates_tried_from_one_start() -> Loop:
    model, (x, y) = mlp(), regression()
    first = optim.Adam(model.parameters(), lr=1e-3)
    start = copy.deepcopy(model.state_dict())

    def train():
        for optimizer in (first, *(optim.Adam(model.parameters(), lr=1e-3) for _ in range(2))):
            model.load_state_dict(start)
            for _ in range(4):
                optimizer.zero_grad()
                F.mse_loss(model(x), y).backward()
                optimizer.step()

    return Loop(model, first, train)


@no_fault(source="rates tried upwards, the start put back at the end", written=FIFTH)
def range_test_of_the_lr() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer, start = optim.SGD(model.parameters(), lr=1e-4), copy.deepcopy(model.state_dict())

    def train():
        for _ in range(8):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
            optimizer.param_groups[0]["lr"] *= 1.5
        model.load_state_dict(start)

    return Loop(model, optimizer, train)
