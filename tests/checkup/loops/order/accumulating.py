"""Gradients of several backward calls, summed where a mean is meant.

Every accumulation is told, as information. The twins get the mean from one backward call. Gradients
of another optimizer's loss are a warning.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim

from tests.checkup.loops.collection import FIFTH, SECOND, SIXTH, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import mlp, regression, simple, times


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


@fault("accumulating", source="Lightning-AI/pytorch-lightning#591", written=FIFTH)
def critic_reads_the_generators_loss(repaired: bool) -> Loop:
    generator, critic = mlp(4, out=2), mlp(2)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))
    one, zero = torch.ones(16, 1), torch.zeros(16, 1)

    def update():
        fake = generator(torch.randn(16, 4))
        opt_g.zero_grad()
        F.binary_cross_entropy_with_logits(critic(fake), one).backward()
        opt_g.step()
        if repaired:
            opt_d.zero_grad()
        judged = critic(torch.cat([torch.randn(16, 2) + 2, fake.detach()]))
        F.binary_cross_entropy_with_logits(judged, torch.cat([one, zero])).backward()
        opt_d.step()
        opt_d.zero_grad()

    return Loop([generator, critic], [opt_g, opt_d], times(4, update))


@fault("accumulating", source="common report: actor and critic", written=FIFTH)
def critic_reads_the_actors_loss(repaired: bool) -> Loop:
    actor, critic, state = mlp(4, out=2), mlp(6), torch.randn(32, 4)
    opt_a, opt_c = optim.Adam(actor.parameters(), 1e-3), optim.SGD(critic.parameters(), 1e-2)
    reward, action = torch.randn(32, 1), torch.randn(32, 2)

    def update():
        opt_a.zero_grad()
        (-critic(torch.cat([state, actor(state)], 1)).mean()).backward()
        opt_a.step()
        if repaired:
            opt_c.zero_grad()
        F.mse_loss(critic(torch.cat([state, action], 1)), reward).backward()
        opt_c.step()
        if not repaired:
            opt_c.zero_grad()

    return Loop([actor, critic], [opt_a, opt_c], times(4, update))


@fault("accumulating", source="common report: backward left in the validation loop", written=SIXTH)
def gradients_left_by_validation(repaired: bool) -> Loop:
    model, (x, y), (held_x, held_y) = mlp(), regression(), regression()
    optimizer = optim.SGD(model.parameters(), lr=1e-2)

    def epoch():
        for a, b in zip(x.split(8), y.split(8), strict=True):
            F.mse_loss(model(a), b).backward()
            optimizer.step()
            optimizer.zero_grad()
        for a, b in zip(held_x.split(8), held_y.split(8), strict=True):
            loss = F.mse_loss(model(a), b)
            if not repaired:
                loss.backward()

    return Loop(model, optimizer, times(3, epoch))
