"""Clipping that does not reach the gradient that a step reads."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from tests.checkup.loops.collection import FIFTH, SIXTH, Loop, fault
from tests.checkup.loops.parts import mlp, simple, times


@fault("clip-misplaced", source="awslabs/graphstorm#1366", written=FIFTH)
def clipped_after_the_step(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        F.mse_loss(model(x), 10 * y).backward()
        if repaired:
            clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        if not repaired:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.zero_grad()

    return Loop(model, optimizer, times(4, update))


@fault("clip-misplaced", source="common report: clipped before backward", written=FIFTH)
def clipped_before_backward(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.Adam)

    def update():
        loss = F.mse_loss(model(x), 10 * y)
        if not repaired:
            nn.utils.clip_grad_value_(model.parameters(), 0.1)
        loss.backward()
        if repaired:
            clip_grad_value_(model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    model(x).sum().backward()
    optimizer.zero_grad(set_to_none=False)
    return Loop(model, optimizer, times(4, update))


@fault("clip-misplaced", source="PixArt-alpha/PixArt-alpha#160", written=FIFTH)
def clips_an_exhausted_iterator(repaired: bool) -> Loop:
    model, _, x, y = simple()
    trained = filter(lambda p: p.requires_grad, model.parameters())
    trained = list(trained) if repaired else trained
    optimizer = optim.SGD(trained, lr=0.01)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), 10 * y).backward()
        clip_grad_norm_(trained, 0.5)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault("clip-misplaced", source="common report: clipped after every micro-batch", written=FIFTH)
def clipped_between_micro_batches(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        for a, b in zip(x.split(8), 10 * y.split(8)[0].repeat(4, 1).view(4, 8, 1), strict=True):
            (F.mse_loss(model(a), b) / 4).backward()
            if not repaired:
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        if repaired:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault(
    "clip-misplaced", source="common report: clipped before the penalty's backward", written=FIFTH
)
def clipped_between_two_losses(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def penalty():
        (sum(p.square().sum() for p in model.parameters()) * 0.5).backward()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), 10 * y).backward()
        if repaired:
            penalty()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if not repaired:
            penalty()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault("clip-misplaced", source="common report: the other network's gradients", written=SIXTH)
def clips_the_other_network(repaired: bool) -> Loop:
    generator, critic = mlp(4, 16, 2), mlp(2, 16, 1)
    makes = optim.Adam(generator.parameters(), lr=1e-3)
    judges = optim.Adam(critic.parameters(), lr=1e-3)
    yes, no = torch.ones(16, 1), torch.zeros(16, 1)
    judge = F.binary_cross_entropy_with_logits

    def update():
        fake, real = generator(torch.randn(16, 4)), 5 * torch.randn(16, 2) + 9
        judges.zero_grad()
        (judge(critic(real), yes) + judge(critic(fake.detach()), no)).backward()
        clip_grad_norm_((critic if repaired else generator).parameters(), 0.05)
        judges.step()
        makes.zero_grad()
        judge(critic(fake), yes).backward()
        clip_grad_norm_(generator.parameters(), 0.05)
        makes.step()

    return Loop([generator, critic], [makes, judges], times(6, update))
