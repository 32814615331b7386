"""Copies that follow the model's weights."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, SECOND, SIXTH, THIRD, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import cnn, fit, images, mlp, regression, times, usual


@no_fault(source="exponential moving average of the weights", written=WITH_RULES)
def moving_average_teacher() -> Loop:
    student, (x, y) = cnn(), images()
    teacher = copy.deepcopy(student).requires_grad_(False)
    optimizer = optim.AdamW(student.parameters(), lr=1e-3)

    def update():
        optimizer.zero_grad()
        with torch.no_grad():
            soft = teacher(x).softmax(1)
        (F.cross_entropy(student(x), y) + F.cross_entropy(student(x), soft)).backward()
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(teacher.parameters(), student.parameters(), strict=True):
                p.lerp_(q, 0.01)

    return Loop([student, teacher], optimizer, times(3, update))


@no_fault(source="denoising diffusion with EMA weights that still require grad", written=SECOND)
def diffusion_with_average() -> Loop:
    model, x = mlp(9, 32, 8), torch.randn(32, 8)
    average, optimizer = copy.deepcopy(model), optim.AdamW(model.parameters(), 2e-4)

    def update():
        t, noise = torch.rand(32, 1), torch.randn(32, 8)
        noisy = (1 - t).sqrt() * x + t.sqrt() * noise
        optimizer.zero_grad()
        F.mse_loss(model(torch.cat([noisy, t], 1)), noise).backward()
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(average.parameters(), model.parameters(), strict=True):
                p.mul_(0.99).add_(q, alpha=0.01)

    return Loop([model, average], optimizer, times(4, update))


@no_fault(source="momentum contrast: keys from an averaged encoder", written=THIRD)
def momentum_encoder() -> Loop:
    class Momentum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = mlp(8, 16, 6)
            self.key = copy.deepcopy(self.query)

        def forward(self, x):
            with torch.no_grad():
                for p, q in zip(self.key.parameters(), self.query.parameters(), strict=True):
                    p.lerp_(q, 0.1)
                keys = F.normalize(self.key(x + 0.1 * torch.randn_like(x)), dim=1)
            return F.normalize(self.query(x), dim=1) @ keys.T / 0.2

    model, x = Momentum(), torch.randn(16, 8)
    optimizer = optim.SGD(model.query.parameters(), 0.05)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), torch.arange(16)))


@no_fault(source="averaged weights put in for a test, then taken out again", written=FIFTH)
def averages_swapped_in_for_a_test() -> Loop:
    model, (x, _) = mlp(), regression()
    shadow = copy.deepcopy(model.state_dict())

    def after():
        own = copy.deepcopy(model.state_dict())
        for key, value in own.items():
            shadow[key].lerp_(value, 0.5)
        model.load_state_dict(shadow)
        with torch.no_grad():
            model(x)
        model.load_state_dict(own)

    return fit(model, optim.Adam(model.parameters(), lr=1e-3), 5, after=after)


@no_fault(source="federated averaging: clients by turns in one model", written=SIXTH)
def federated_clients_in_one_model() -> Loop:
    model, (x, y) = mlp(), regression(64)
    optimizer = optim.SGD(model.parameters(), lr=1e-2)

    def train():
        world = copy.deepcopy(model.state_dict())
        for _ in range(3):
            clients = []
            for a, b in zip(x.split(16), y.split(16), strict=True):
                model.load_state_dict(world)
                optimizer.zero_grad()
                F.mse_loss(model(a), b).backward()
                optimizer.step()
                clients.append(copy.deepcopy(model.state_dict()))
            world = {name: sum(client[name] for client in clients) / 4 for name in world}
        model.load_state_dict(world)

    return Loop(model, optimizer, train)
