"""Losses and gradients that are infinite or no numbers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import cnn, images, mlp, simple, usual


@fault("non-finite", source="pytorch/pytorch#2421", written=WITH_RULES)
def gradient_of_a_zero_norm(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def loss():
        square = (model[0].weight * 0).pow(2).sum()
        return F.mse_loss(model(x), y) + (square + 1e-12 if repaired else square).sqrt()

    return usual(model, optimizer, loss)


@fault("non-finite", source="common report: NaN in the inputs", written=WITH_RULES)
def nan_in_the_data(repaired: bool) -> Loop:
    model, (x, y) = cnn(), images()
    if not repaired:
        x[3, 0, 2, 2] = math.nan
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.cross_entropy(model(x), y))


@fault("non-finite", source="horenbergerb/BernoulliDiffusion#15", written=WITH_RULES)
def log_of_a_zero_probability(repaired: bool) -> Loop:
    model, x = mlp(out=3), torch.randn(16, 8) * 1e3

    def loss():
        out = model(x)
        return -(out.log_softmax(1) if repaired else out.softmax(1).log())[:, 0].mean()

    return usual(model, optim.SGD(model.parameters(), lr=1e-6), loss, 1)


@fault("non-finite", source="pytorch forum: every key masked", written=WITH_RULES)
def attention_over_nothing(repaired: bool) -> Loop:
    model = nn.MultiheadAttention(8, 2, batch_first=True)
    x, mask = torch.randn(2, 4, 8), torch.full((2, 4), not repaired)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return usual(
        model, optimizer, lambda: model(x, x, x, key_padding_mask=mask)[0].pow(2).mean(), 2
    )


@fault("non-finite", source="pytorch forum: std of a batch of one", written=SECOND)
def standard_deviation_of_one(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    count = 32 if repaired else 1

    def loss():
        return F.mse_loss(model(x[:count]), y[:count]) + model(x[:count]).std()

    return usual(model, optimizer, loss)


@fault("non-finite", source="pytorch/pytorch#15506 style: infinite target", written=SECOND)
def infinite_target(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    if not repaired:
        y[3] = math.inf
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 2)
