"""Gradients through, or from, an inner loop."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.func import functional_call

from tests.checkup.loops.collection import FIFTH, THIRD, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import fit, mlp, regression, times, usual


@no_fault(source="MAML, second order", written=WITH_RULES)
def meta_learning_with_fast_weights() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        optimizer.zero_grad()
        weights = dict(model.named_parameters())
        inner = F.mse_loss(functional_call(model, weights, x[:16]), y[:16])
        slopes = torch.autograd.grad(inner, weights.values(), create_graph=True)
        fast = {k: w - 0.01 * g for (k, w), g in zip(weights.items(), slopes, strict=True)}
        F.mse_loss(functional_call(model, fast, x[16:]), y[16:]).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(
    source="Reptile: inner optimizer on a copy, gradients written by hand", written=WITH_RULES
)
def reptile() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.5)

    def update():
        learner = copy.deepcopy(model)
        inner = optim.SGD(learner.parameters(), lr=0.02)
        for _ in range(3):
            inner.zero_grad()
            F.mse_loss(learner(x), y).backward()
            inner.step()
        for p, q in zip(model.parameters(), learner.parameters(), strict=True):
            p.grad = (p - q).detach()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="first-order MAML: gradients of copies added to the model's", written=THIRD)
def first_order_meta_learning() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def update():
        optimizer.zero_grad()
        for part in (slice(0, 16), slice(16, 32)):
            learner = copy.deepcopy(model)
            inner = optim.SGD(learner.parameters(), 0.01)
            F.mse_loss(learner(x[part]), y[part]).backward()
            inner.step()
            inner.zero_grad()
            F.mse_loss(learner(x[part]), y[part]).backward()
            for p, q in zip(model.parameters(), learner.parameters(), strict=True):
                p.grad = q.grad.clone() if p.grad is None else p.grad + q.grad
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="curvature measured by two calls of grad, beside training", written=FIFTH)
def curvature_measured() -> Loop:
    model, (x, y) = mlp(), regression()
    held = list(model.parameters())

    def after():
        slopes = torch.autograd.grad(F.mse_loss(model(x), y), held, create_graph=True)
        total = sum((slope * torch.randn_like(slope)).sum() for slope in slopes)
        torch.autograd.grad(total, held)

    return fit(model, optim.SGD(held, lr=0.01), 4, after=after)


@no_fault(
    source="a model that returns forces, of which the loss uses the energy only", written=FIFTH
)
def forces_that_no_loss_uses() -> Loop:
    class Potential(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.energy = mlp()

        def forward(self, x):
            x = x.clone().requires_grad_(True)
            energy = self.energy(x)
            (force,) = torch.autograd.grad(energy.sum(), x, create_graph=True)
            return energy, force

    model, (x, y) = Potential(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.mse_loss(model(x)[0], y))
