"""Predictions and targets whose shapes broadcast."""

from __future__ import annotations

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
from tests.checkup.loops.parts import classes, counts, fit, mlp, regression, simple, usual


@fault("broadcast-loss", source="deepset-ai/FARM#229", written=WITH_RULES)
def targets_without_the_last_dimension(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    target = y if repaired else y.squeeze(1)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), target))


@fault("broadcast-loss", source="pytorch/pytorch#16045", written=WITH_RULES)
def squared_difference_written_out(repaired: bool) -> Loop:
    model = mlp()

    def criterion(out, y):
        return (((out if repaired else out.squeeze()) - y) ** 2).mean()

    return fit(model, optim.Adam(model.parameters(), lr=1e-3), 1, criterion)


@fault("broadcast-loss", source="jiwei0921/CoNet#3", written=WITH_RULES)
def depth_map_without_channel(repaired: bool) -> Loop:
    model, x, y = nn.Conv2d(3, 1, 3, padding=1), torch.randn(2, 3, 8, 8), torch.randn(2, 8, 8)
    target = y.unsqueeze(1) if repaired else y
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.smooth_l1_loss(model(x), target, reduction="sum"))


@fault(
    "broadcast-loss", source="xaohuicai in surajdakua/Crowd-Counting-Using-Pytorch#4", written=FIRST
)
def absolute_error_by_hand(repaired: bool) -> Loop:
    model, (x, y) = nn.Sequential(nn.Linear(8, 30), nn.GELU(), nn.Linear(30, 1)), regression(9)
    target = y if repaired else y.flatten()
    optimizer = optim.Adagrad(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: (target - model(x)).abs().mean(), 13)


@fault("broadcast-loss", source="andrewgcodes/xlstm#4", written=SECOND)
def flat_prediction_column_target(repaired: bool) -> Loop:
    model = mlp()

    def criterion(out, y):
        return F.smooth_l1_loss(out if repaired else out.squeeze(-1), y)

    return fit(model, optim.Adam(model.parameters(), 1e-3), 4, criterion)


@fault("broadcast-loss", source="sunwuzhou03/reinforcement-learning-lab#1", written=SECOND)
def td_target_of_shape_n(repaired: bool) -> Loop:
    model, optimizer, x, _ = simple(optim.Adam, 1e-3)
    reward = torch.randn(32)

    def loss():
        with torch.no_grad():
            target = reward + 0.9 * model(x).squeeze(1)
        return (model(x) - (target[:, None] if repaired else target)).pow(2).mean()

    return usual(model, optimizer, loss)


@fault(
    "broadcast-loss",
    source="sunwuzhou03/reinforcement-learning-lab#1 (64, 1 and 64, 4)",
    written=THIRD,
)
def one_value_for_four_targets(repaired: bool) -> Loop:
    model, x, y = mlp(out=4 if repaired else 1), torch.randn(64, 8), torch.randn(64, 4)
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y))


@fault(
    "broadcast-loss",
    source="PacktPublishing/Deep-Reinforcement-Learning-Hands-On#33",
    written=FIFTH,
)
def advantages_of_another_shape(repaired: bool) -> Loop:
    (x, _), actor, value = classes(), mlp(out=3), torch.randn(32, 1)
    rewards = torch.randn(32)

    def loss():
        policy = Categorical(logits=actor(x))
        advantage = rewards - (value.squeeze(1) if repaired else value)
        return -(policy.log_prob(policy.sample()) * advantage).mean()

    return usual(actor, optim.Adam(actor.parameters(), 1e-2), loss)


@fault("broadcast-loss", source="pytorch forum: weights of samples", written=FIFTH)
def weights_in_a_column(repaired: bool) -> Loop:
    (x, y), model, weights = classes(), mlp(out=3), torch.rand(32, 1)

    def loss():
        losses = F.cross_entropy(model(x), y, reduction="none")
        return (losses * (weights.squeeze(1) if repaired else weights)).mean()

    return usual(model, optim.SGD(model.parameters(), 0.05), loss)


@fault("broadcast-loss", source="poisson_nll_loss of (N, 1) and (N,)", written=SIXTH)
def counts_without_the_last_dimension(repaired: bool) -> Loop:
    model, (x, y) = mlp(), counts()
    target = y if repaired else y.squeeze(1)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.poisson_nll_loss(model(x), target))


@fault("broadcast-loss", source="hinge loss by hand of (N, 1) and (N,)", written=SIXTH)
def margins_of_flat_labels(repaired: bool) -> Loop:
    model, (x, y) = mlp(), regression()
    label = y.sign() if repaired else y.sign().squeeze(1)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: F.relu(1 - label * model(x)).mean())
