"""Gradients with a graph that no loss uses."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim
from torch.func import functional_call

from tests.checkup.loops.collection import FIFTH, Loop, fault
from tests.checkup.loops.parts import mlp, regression, simple, times, usual


@fault("grad-unused", source="hoyeoplee/MeLU#9", written=FIFTH)
def adapted_weights_loaded(repaired: bool) -> Loop:
    model, tasks = mlp(), [regression() for _ in range(3)]
    optimizer = optim.Adam(model.parameters(), lr=1e-2)

    def update():
        optimizer.zero_grad()
        for x, y in tasks:
            start = {name: p.detach().clone() for name, p in model.named_parameters()}
            weights = dict(model.named_parameters())
            inner = F.mse_loss(model(x[:16]), y[:16])
            slopes = torch.autograd.grad(inner, list(weights.values()), create_graph=True)
            fast = {n: p - 0.1 * g for (n, p), g in zip(weights.items(), slopes, strict=True)}
            if repaired:
                out = functional_call(model, fast, (x[16:],))
            else:
                model.load_state_dict({name: value.detach() for name, value in fast.items()})
                out = model(x[16:])
            F.mse_loss(out, y[16:]).backward()
            if not repaired:
                model.load_state_dict(start)
        optimizer.step()

    return Loop(model, optimizer, times(4, update))


@fault("grad-unused", source="common report: a gradient penalty made a number", written=FIFTH)
def gradient_penalty_as_a_number(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.Adam)

    def loss():
        points = x.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(model(points).sum(), points, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).pow(2).mean()
        return F.mse_loss(model(x), y) + 0.1 * (penalty if repaired else penalty.item())

    return usual(model, optimizer, loss)
