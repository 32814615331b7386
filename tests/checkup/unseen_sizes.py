"""Second set out of sample: wrong losses, gradients and updates."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, broken, cnn, images, regression, simple, times, usual


@broken("broadcast-loss", source="andrewgcodes/xlstm#4")
def unseen_flat_prediction_column_target() -> Loop:
    model, optimizer, x, y = simple(optim.Adam, 1e-3)
    return usual(model, optimizer, lambda: F.smooth_l1_loss(model(x).squeeze(-1), y))


@broken("broadcast-loss", source="sunwuzhou03/reinforcement-learning-lab#1")
def unseen_td_target_of_shape_n() -> Loop:
    model, optimizer, x, _ = simple(optim.Adam, 1e-3)
    reward = torch.randn(32)

    def loss():
        with torch.no_grad():
            target = reward + 0.9 * model(x).squeeze(1)
        return (model(x) - target).pow(2).mean()

    return usual(model, optimizer, loss)


@broken("ascending", source="pytorch forum: reward maximised with a minus too many")
def unseen_negated_binary_cross_entropy() -> Loop:
    model, optimizer, x, _ = simple()
    y = (torch.rand(32, 1) > 0.5).float()
    return usual(model, optimizer, lambda: -F.binary_cross_entropy_with_logits(model(x), y))


@broken("ascending", source="pytorch docs: maximize with Adam on a loss")
def unseen_adam_maximises_cross_entropy() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.AdamW(model.parameters(), 1e-3, maximize=True)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y), 1)


@broken("zero-gradient", source="stackoverflow 58844168: loss of one-hot argmax scores")
def unseen_threshold_in_the_middle() -> Loop:
    class Spiking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 6), nn.Linear(6, 1)

        def forward(self, x):
            return self.b(torch.ceil(self.a(x)))

    model, (x, y) = Spiking(), regression()
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y))


@broken("zero-gradient", source="pytorch forum: clamp saturates the output")
def unseen_output_clamped_far_away() -> Loop:
    model, optimizer, x, y = simple()
    return usual(model, optimizer, lambda: F.mse_loss((model(x) + 100).clamp(0, 1), y))


@broken("non-finite", source="pytorch forum: std of a batch of one")
def unseen_standard_deviation_of_one() -> Loop:
    model, optimizer, x, y = simple()
    return usual(model, optimizer, lambda: F.mse_loss(model(x[:1]), y[:1]) + model(x[:1]).std())


@broken("non-finite", source="pytorch/pytorch#15506 style: infinite target")
def unseen_infinite_target() -> Loop:
    model, optimizer, x, y = simple()
    y[3] = math.inf
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 2)


@broken("vanishing", source="stackoverflow: deep tanh network with tiny weights")
def unseen_tiny_initial_weights() -> Loop:
    layers = [part for _ in range(5) for part in (nn.Linear(8, 8), nn.Tanh())]
    model, (x, y) = nn.Sequential(*layers, nn.Linear(8, 1)), regression()
    for p in model.parameters():
        nn.init.normal_(p, std=1e-3)
    return usual(model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), y))


@broken("update-too-small", source="stackoverflow: lr 1e-12 with momentum")
def unseen_momentum_with_vanishing_rate() -> Loop:
    model, optimizer, x, y = simple(lr=1e-12, momentum=0.9)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 5)


@broken("update-too-large", "exploding", "non-finite", source="stackoverflow: SGD lr 50")
def unseen_rate_of_fifty() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), 50.0)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y), 4)


@broken("exploding", "update-too-large", "non-finite", source="pytorch forum: unnormalised inputs")
def unseen_huge_inputs() -> Loop:
    model, optimizer, x, y = simple(lr=0.01)
    return usual(model, optimizer, lambda: F.mse_loss(model(x * 1e3), y), 4)


@broken("clipped-away", source="pytorch/examples#1196")
def unseen_clip_value_of_a_millionth() -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        nn.utils.clip_grad_value_(model.parameters(), 1e-6)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@broken("leftover", source="ultralytics/ultralytics#11217 (tagger)")
def unseen_three_of_eleven_batches_lost() -> Loop:
    model, optimizer, x, y = simple()

    def train():
        for i in range(11):
            (F.mse_loss(model(x), y) / 4).backward()
            if i % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@broken("accumulating", source="pytorch forum: three losses, three backward calls")
def unseen_three_losses_three_backwards() -> Loop:
    model, optimizer, x, y = simple()

    def update():
        optimizer.zero_grad()
        for weight in (0.5, 0.3, 0.2):
            (weight * F.mse_loss(model(x), y)).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))
