"""Gradients that die out on their way to the first layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import Pyramid, fit, focal_losses, regression, usual


@fault("vanishing", source="common report: ten sigmoid layers", written=WITH_RULES)
def ten_sigmoid_layers(repaired: bool) -> Loop:
    activation = nn.Tanh if repaired else nn.Sigmoid
    widths = (8, *[16] * 9)
    layers = [part for width in widths for part in (nn.Linear(width, 16), activation())]
    model = nn.Sequential(*layers, nn.Linear(16, 1))
    return fit(model, optim.SGD(model.parameters(), 0.1), 4)


@fault("vanishing", source="Data Science Handbook, Trainability (page)", written=WITH_RULES)
def thirty_plain_relu_layers(repaired: bool) -> Loop:
    layers: list[nn.Module] = []
    for _ in range(30):
        layers += [nn.Linear(16, 16), *([nn.BatchNorm1d(16)] if repaired else []), nn.ReLU()]
    model, (x, y) = nn.Sequential(*layers, nn.Linear(16, 1)), regression(features=16)
    return usual(model, optim.Adam(model.parameters(), 1e-4), lambda: F.mse_loss(model(x), y), 2)


@fault("vanishing", source="stackoverflow: deep tanh network with tiny weights", written=SECOND)
def tiny_initial_weights(repaired: bool) -> Loop:
    layers = [part for _ in range(5) for part in (nn.Linear(8, 8), nn.Tanh())]
    model, (x, y) = nn.Sequential(*layers, nn.Linear(8, 1)), regression()
    for p in model.parameters():
        nn.init.normal_(p, std=0.3 if repaired else 1e-3)
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y))


@fault("vanishing", source="a closed branch excuses its own block, no other", written=FIFTH)
def sigmoid_layers_beside_a_closed_branch(repaired: bool) -> Loop:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.gain = nn.Linear(16, 16), nn.Parameter(torch.full((16,), 0.01))

        def forward(self, x):
            return x + self.gain * self.inner(x)

    activation = nn.Tanh if repaired else nn.Sigmoid
    widths = (8, *[16] * 9)
    layers = [part for width in widths for part in (nn.Linear(width, 16), activation())]
    model = nn.Sequential(*layers, Branch(), nn.Linear(16, 1))
    return fit(model, optim.SGD(model.parameters(), 0.1), 4)


@fault("vanishing", source="empty levels excuse no stem that passes nothing on", written=FIFTH)
def sigmoid_stem_of_a_pyramid(repaired: bool) -> Loop:
    stem: list[nn.Module] = []
    for _ in range(6):
        passing = [nn.BatchNorm2d(8), nn.ReLU()] if repaired else [nn.Sigmoid()]
        stem += [nn.Conv2d(8, 8, 3, padding=1), *passing]
    model, x = Pyramid(*stem), torch.randn(2, 3, 32, 32)
    optimizer = optim.AdamW(model.parameters(), 1e-4)
    return usual(model, optimizer, lambda: focal_losses(model(x), hit=(0, 1, 2)), 3)
