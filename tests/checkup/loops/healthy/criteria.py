"""Losses with parameters, and networks beside the watched one, where nothing is wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, Loop, no_fault
from tests.checkup.loops.parts import classify, cnn, fit, mlp, regression, usual


class Scaled(nn.Module):
    """A squared error times a learned factor, and one that keeps the factor from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, out, y):
        return (self.factor * (out - y).square().mean() - self.factor.log()).sum()


@no_fault(source="a criterion whose weights are fixed", written=FIFTH)
def frozen_criterion() -> Loop:
    model, criterion = mlp(), Scaled().requires_grad_(False)
    return fit(model, optim.SGD(model.parameters(), lr=0.01), criterion=criterion)


@no_fault(source="KaiyangZhou/pytorch-center-loss: two optimizers", written=FIFTH)
def criterion_with_its_own_optimizer() -> Loop:
    model, criterion = mlp(), Scaled()
    own = optim.SGD(criterion.parameters(), lr=0.01)

    def after() -> None:
        own.step()
        own.zero_grad()

    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return fit(model, optimizer, criterion=criterion, after=after)


@no_fault(source="a second optimizer that steps once per epoch only", written=FIFTH)
def criterion_whose_optimizer_waits() -> Loop:
    model, criterion = mlp(), Scaled()
    criterion.own = [optim.SGD(criterion.parameters(), lr=0.01)]
    return fit(model, optim.Adam(model.parameters(), lr=1e-3), criterion=criterion)


@no_fault(source="centers moved by hand, as in the paper of center loss", written=FIFTH)
def criterion_moved_by_hand() -> Loop:
    model, criterion = mlp(), Scaled()

    def after() -> None:
        criterion.factor.data -= 0.01 * criterion.factor.grad
        criterion.zero_grad()

    return fit(model, optim.Adam(model.parameters(), lr=1e-3), criterion=criterion, after=after)


@no_fault(source="perceptual loss: a network that nobody froze", written=FIFTH)
def network_within_the_loss() -> Loop:
    model, judge = mlp(out=8), mlp()
    (x, _), aim = regression(), torch.randn(32, 8)

    def loss():
        return F.mse_loss(judge(model(x)), judge(aim))

    return usual(model, optim.SGD(model.parameters(), lr=0.01), loss)


@no_fault(source="distillation: the teacher's graph is kept and never used", written=FIFTH)
def teacher_with_a_graph() -> Loop:
    model, teacher = cnn(), cnn()

    def criterion(out, y):
        return F.cross_entropy(out, y) + F.mse_loss(out, teacher(pictures))

    pictures = torch.randn(8, 1, 8, 8)
    return classify(model, optim.SGD(model.parameters(), lr=0.01), criterion=criterion)


@no_fault(source="two models, trained in turn by optimizers of their own", written=FIFTH)
def two_models_in_turn() -> Loop:
    models = mlp(), mlp(hidden=12)
    first, second = (optim.Adam(model.parameters(), lr=1e-3) for model in models)
    x, y = regression()

    def after() -> None:
        second.zero_grad()
        F.mse_loss(models[1](x), y).backward()
        second.step()

    return fit(models[0], first, after=after)


@no_fault(source="style transfer: the picture is trained through a network", written=FIFTH)
def picture_trained_through_a_network() -> Loop:
    class Picture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.values = nn.Parameter(torch.randn(4, 8))

        def forward(self):
            return self.values.sigmoid()

    model, network, aim = Picture(), mlp(out=4), torch.randn(4, 4)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    return usual(model, optimizer, lambda: F.mse_loss(network(model()), aim))
