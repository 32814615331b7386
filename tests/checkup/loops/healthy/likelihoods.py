"""Likelihoods with learned scales and rates, and sums that resemble negated ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.distributions import Normal, Poisson

from tests.checkup.loops.collection import FIFTH, Loop, no_fault
from tests.checkup.loops.parts import counts, mlp, regression, usual


@no_fault(source="heteroscedastic regression, the variance times a number", written=FIFTH)
def learned_variance_by_hand() -> Loop:
    model, (x, y) = mlp(out=2), regression()

    def loss():
        mean, log_std = model(x).chunk(2, 1)
        std = log_std.clamp(-4, 2).exp()
        return (log_std.clamp(-4, 2) + (y - mean).square() / (2 * std.square())).mean()

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@no_fault(source="two losses weighed by learned uncertainties (Kendall and others)", written=FIFTH)
def losses_weighed_by_their_noise() -> Loop:
    class Weighed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.log_noise = mlp(out=2), nn.Parameter(torch.zeros(2))

        def forward(self, x, y):
            out, (first, second) = self.net(x), self.log_noise.unbind()
            errors = F.mse_loss(out[:, :1], y), F.l1_loss(out[:, 1:], y)
            return errors[0] * torch.exp(-first) + first + errors[1] / second.exp() + second

    model, (x, y) = Weighed(), regression()
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: model(x, y))


@no_fault(source="REINFORCE over counts, with one negative return an episode", written=FIFTH)
def policy_of_counts_with_a_negative_return() -> Loop:
    model, (x, y) = mlp(), counts()

    def loss():
        return -(Poisson(model(x).exp()).log_prob(y).sum() * torch.tensor(-0.01))

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@no_fault(source="advantage-weighted regression with a learned variance", written=FIFTH)
def gaussian_weighed_by_advantages() -> Loop:
    model, (x, y), advantage = mlp(out=2), regression(), torch.randn(32, 1)

    def loss():
        mean, spread = model(x).chunk(2, 1)
        each = F.gaussian_nll_loss(mean, y, F.softplus(spread), reduction="none")
        return (advantage * each).mean()

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@no_fault(source="an upper bound of mutual information (CLUB) is minimised", written=FIFTH)
def information_minimised() -> Loop:
    model, x = mlp(out=4), torch.randn(32, 8)

    def loss():
        out, mean = model(x), x[:, :4]
        likelihood = Normal(mean, 1.0).log_prob(out).sum(1)
        return (likelihood - Normal(mean.flip(0), 1.0).log_prob(out).sum(1)).mean()

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@no_fault(source="entropy maximised under a budget: log of the scale minus its size", written=FIFTH)
def entropy_under_a_budget() -> Loop:
    model, (x, y) = mlp(out=2), regression()

    def loss():
        mean, log_std = model(x).chunk(2, 1)
        noisy = mean + log_std.exp() * torch.randn_like(mean)
        return F.mse_loss(noisy, y) - 0.01 * (log_std - log_std.exp()).mean()

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@no_fault(source="a maximised Poisson likelihood", written=FIFTH)
def counts_with_maximize() -> Loop:
    model, (x, y) = mlp(), counts()
    optimizer = optim.SGD(model.parameters(), 1e-2, maximize=True)
    return usual(model, optimizer, lambda: Poisson(model(x).exp()).log_prob(y).mean())
