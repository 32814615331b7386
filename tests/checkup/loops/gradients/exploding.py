"""Gradients far larger than the parameters."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import simple, usual


@fault("exploding", "non-finite", source="pytorch/pytorch#2769", written=WITH_RULES)
def recurrent_weights_too_large(repaired: bool) -> Loop:
    model = nn.RNN(4, 16, nonlinearity="relu", batch_first=True)
    nn.init.normal_(model.weight_hh_l0, std=0.1 if repaired else 1.0)
    x, y = torch.randn(8, 40, 4), torch.randn(8, 40, 16)
    optimizer = optim.SGD(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.mse_loss(model(x)[0], y), 3)


@fault("exploding", source="pytorch/pytorch#2623", written=WITH_RULES)
def deep_network_with_unit_variance_weights(repaired: bool) -> Loop:
    layers = [part for _ in range(8) for part in (nn.Linear(64, 64), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(64, 1))
    for p in model.parameters():
        nn.init.normal_(p, std=math.sqrt(2 / 64) if repaired else 1.0)
    x, y = torch.randn(16, 64), torch.randn(16, 1)
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 1)


@fault(
    "exploding",
    "update-too-large",
    "non-finite",
    source="pytorch forum: unnormalised inputs",
    written=SECOND,
)
def huge_inputs(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    inputs = x if repaired else x * 1e3
    return usual(model, optimizer, lambda: F.mse_loss(model(inputs), y))
