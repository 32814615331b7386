"""Gradients that no step reads."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIRST, SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import accumulated, gan, mlp, regression, simple, times


@fault("no-step", source="jpchen in pyro-ppl/pyro#1242", written=WITH_RULES)
def scheduler_stepped_instead_of_optimizer(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    scheduler = optim.lr_scheduler.StepLR(optimizer, 10)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        if repaired:
            optimizer.step()
        scheduler.step()

    return Loop(model, optimizer, times(3, update))


@fault("no-step", source="pytorch forum: optimizer.step without parentheses", written=WITH_RULES)
def step_without_parentheses(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step() if repaired else optimizer.step

    return Loop(model, optimizer, update)


@fault(
    "no-step", source="Adversarial-Deep-Learning/code-soup#69 (discriminator)", written=WITH_RULES
)
def discriminator_never_stepped(repaired: bool) -> Loop:
    return gan(3, step_critic=repaired)


@fault("no-step", source="pytorch forum: two optimizers, one step", written=WITH_RULES)
def second_optimizer_forgotten(repaired: bool) -> Loop:
    encoder, decoder, (x, y) = mlp(out=4), mlp(4), regression()
    first, second = optim.SGD(encoder.parameters(), 0.01), optim.SGD(decoder.parameters(), 0.01)

    def update():
        first.zero_grad()
        second.zero_grad()
        F.mse_loss(decoder(encoder(x)), y).backward()
        first.step()
        if repaired:
            second.step()

    return Loop([encoder, decoder], [first, second], times(2, update))


@fault("no-step", source="common report: accumulation longer than the epoch", written=WITH_RULES)
def fewer_batches_than_accumulation_steps(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return accumulated(model, optimizer, size=11, every=3 if repaired else 4)


@fault(
    "no-step",
    "no-backward",
    source="word_language_model example, pytorch/pytorch#1271",
    written=WITH_RULES,
)
def unused_optimizer_beside_a_frozen_update(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression()

    def update():
        model.zero_grad()
        F.mse_loss(model(x), y).backward()
        for p in model.parameters():
            if repaired:
                p.data -= 0.01 * p.grad
            else:
                p - 0.01 * p.grad

    return Loop(model, optim.SGD(model.parameters(), lr=0.01), times(3, update))


@fault("no-step", source="pytorch forum: step called on the wrong optimizer", written=FIRST)
def wrong_optimizer_stepped(repaired: bool) -> Loop:
    model, other = nn.Linear(8, 1), nn.Linear(8, 1)
    optimizer, wrong = (optim.Adam(m.parameters(), lr=1e-2) for m in (model, other))
    x, y = regression()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        (optimizer if repaired else wrong).step()

    return Loop(model, optimizer, times(4, update))


@fault("no-step", source="spro/practical-pytorch#21 (step in a branch never taken)", written=SECOND)
def step_in_a_branch_never_taken(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    every = 1 if repaired else 10

    def train():
        for i in range(1, 4):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            if i % every == 0:
                optimizer.step()

    return Loop(model, optimizer, train)


@fault("no-step", source="pytorch forum: scaler.update without scaler.step", written=SECOND)
def scaler_never_steps(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    scaler = torch.amp.GradScaler("cpu")

    def update():
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y)).backward()
        if repaired:
            scaler.step(optimizer)
            scaler.update()

    return Loop(model, optimizer, times(3, update))
