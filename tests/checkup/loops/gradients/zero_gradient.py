"""Gradients that are zero, everywhere or in a part of the model."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.distributions import Categorical

from tests.checkup.loops.collection import (
    FIFTH,
    FIRST,
    SECOND,
    SIXTH,
    THIRD,
    WITH_RULES,
    Loop,
    fault,
)
from tests.checkup.loops.parts import fit, mlp, regression, usual


@fault("zero-gradient", source="common report: round() in the path", written=WITH_RULES)
def rounded_output(repaired: bool) -> Loop:
    model = mlp()

    def criterion(out, y):
        return F.mse_loss(out if repaired else out.round(), y)

    return fit(model, optim.SGD(model.parameters(), lr=0.01), 4, criterion)


@fault(
    "zero-gradient",
    source="Understanding and Mitigating PyTorch Dead ReLU Problem (page)",
    written=WITH_RULES,
)
def dead_relu(repaired: bool) -> Loop:
    model = mlp()
    nn.init.constant_(model[0].bias, 0.0 if repaired else -50.0)
    return fit(model, optim.Adam(model.parameters(), 1e-3), 2)


@fault("zero-gradient", source="Weight Initialization (page): all weights zero", written=WITH_RULES)
def all_zero_initialisation(repaired: bool) -> Loop:
    model = mlp()
    if not repaired:
        for p in model.parameters():
            nn.init.zeros_(p)
    return fit(model, optim.SGD(model.parameters(), 0.1))


@fault("zero-gradient", source="ultralytics/yolov3#191", written=WITH_RULES)
def cross_entropy_of_a_single_class(repaired: bool) -> Loop:
    model = mlp(out=2 if repaired else 1)
    x, y = torch.randn(16, 8), torch.zeros(16, dtype=torch.long)
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.cross_entropy(model(x), y))


@fault(
    "zero-gradient", source="pytorch forum: softmax over the wrong dimension", written=WITH_RULES
)
def softmax_over_a_dimension_of_one(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    dimension = 0 if repaired else 1
    return fit(model, optimizer, 1, lambda out, y: F.mse_loss(out.softmax(dimension), y))


class Activated(nn.Module):
    """Two layers and any function between them."""

    def __init__(self, hidden: int, activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, hidden), nn.Linear(hidden, 1)
        self.activation = activation

    def forward(self, x):
        return self.b(self.activation(self.a(x)))


@fault("zero-gradient", source="pytorch forum: sign activation", written=WITH_RULES)
def sign_in_the_middle(repaired: bool) -> Loop:
    model = Activated(8, torch.tanh if repaired else torch.sign)
    return fit(model, optim.SGD(model.parameters(), 0.01), 4)


@fault(
    "zero-gradient", source="vvincenttttt in lanlan96/ARM3D#1 (thresholded output)", written=FIRST
)
def heaviside_output(repaired: bool) -> Loop:
    model, x, y = nn.Conv1d(2, 3, 3), torch.randn(5, 2, 9), torch.rand(5, 3, 7)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)

    def loss():
        return F.mse_loss(model(x) if repaired else torch.floor(model(x)), y)

    return usual(model, optimizer, loss, 2)


@fault(
    "zero-gradient", source="stackoverflow 58844168: loss of one-hot argmax scores", written=SECOND
)
def threshold_in_the_middle(repaired: bool) -> Loop:
    model = Activated(6, torch.relu if repaired else torch.ceil)
    return fit(model, optim.Adam(model.parameters(), 1e-3), 4)


@fault("zero-gradient", source="pytorch forum: clamp saturates the output", written=SECOND)
def output_clamped_far_away(repaired: bool) -> Loop:
    model, shift = mlp(), 0.5 if repaired else 100
    optimizer = optim.SGD(model.parameters(), 0.01)
    return fit(model, optimizer, 4, lambda out, y: F.mse_loss((out + shift).clamp(0, 1), y))


@fault("zero-gradient", source="pytorch forum: inputs normalised to zero", written=THIRD)
def all_inputs_zero(repaired: bool) -> Loop:
    model, y = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 1)), torch.randn(16, 1)
    x = torch.randn(16, 8) if repaired else torch.zeros(16, 8)
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y))


@fault("zero-gradient", "update-too-large", source="pytorch forum: dying ReLU", written=FIFTH)
def units_die_in_training(repaired: bool) -> Loop:
    (x, y), model = regression(), nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    index = iter(range(100))

    def after():
        if next(index) == 3 and not repaired:
            with torch.no_grad():
                model[0].bias -= 20  # as one far too long step leaves it

    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 14, after=after)


@fault("zero-gradient", source="low-rank adapters: both factors at zero", written=SIXTH)
def both_factors_of_an_adapter_zero(repaired: bool) -> Loop:
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(8, 1).requires_grad_(False)
            self.down = nn.Parameter(0.1 * torch.randn(2, 8) * repaired)
            self.up = nn.Parameter(torch.zeros(1, 2))

        def forward(self, x):
            return self.base(x) + x @ self.down.T @ self.up.T

    model = Adapted()
    return fit(model, optim.Adam([model.down, model.up], lr=1e-2), 6)


@fault("zero-gradient", source="PPO: old log-probabilities of the same forward", written=SIXTH)
def ratio_of_the_same_log_probabilities(repaired: bool) -> Loop:
    model, states = mlp(4, 16, 3), torch.randn(32, 4)
    actions, advantages = torch.randint(3, (32,)), torch.randn(32)

    def loss():
        new = Categorical(logits=model(states)).log_prob(actions)
        ratio = (new - (new.detach() if repaired else new)).exp()
        return -torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()

    return usual(model, optim.Adam(model.parameters(), lr=1e-3), loss)
