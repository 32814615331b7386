"""Gradients that no backward call has left: estimated, or from a function."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim
from torch.func import functional_call, grad, vmap

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import mlp, regression, times


@no_fault(source="evolution strategies: gradients without backward", written=WITH_RULES)
def gradients_estimated_by_finite_differences() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    @torch.no_grad()
    def update():
        before = F.mse_loss(model(x), y)
        for p in model.parameters():
            noise = torch.randn_like(p)
            p += 0.01 * noise
            p.grad = (F.mse_loss(model(x), y) - before) / 0.01 * noise
            p -= 0.01 * noise
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(4, update))


@no_fault(source="torch.func: gradients of a function, assigned", written=WITH_RULES)
def gradients_from_a_function_transform() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        weights = {name: p.detach() for name, p in model.named_parameters()}
        slopes = grad(lambda w: F.mse_loss(functional_call(model, w, x), y))(weights)
        for name, p in model.named_parameters():
            p.grad = slopes[name]
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="updates by hand from torch.autograd.grad, no optimizer stepped", written=SECOND)
def manual_updates() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), 0.01)

    def train():
        for step in range(4):
            slopes = torch.autograd.grad(F.mse_loss(model(x), y), list(model.parameters()))
            for p, g in zip(model.parameters(), slopes, strict=True):
                p.grad = g if step % 2 else 0.5 * g
            optimizer.step()

    return Loop(model, optimizer, train)


@no_fault(source="per-sample gradients by torch.func, assigned", written=SECOND)
def per_sample_gradients() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def one(weights, a, b):
        return F.mse_loss(functional_call(model, weights, a), b)

    def update():
        weights = {name: p.detach() for name, p in model.named_parameters()}
        slopes = vmap(grad(one), (None, 0, 0))(weights, x, y)
        for name, p in model.named_parameters():
            p.grad = slopes[name].mean(0)
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(2, update))
