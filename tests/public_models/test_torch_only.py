"""An LSTM on packed sequences, a VAE, a physics-informed net, and a GAN in a loop of its own."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.rnn import pack_sequence

from gradwidgets import Clip, Problem, Recipe, checkup, edit_gradients, train
from tests.public_models.by_hand import check

DRAW = torch.Generator().manual_seed(0)
RECIPE = Recipe(optimizer="Adam", lr=0.02, updates=8)


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, packed: Any) -> Tensor:
        _, (hidden, _) = self.lstm(packed)
        return self.head(hidden[-1])


def make_tagger() -> nn.Module:
    return Tagger().double()


def step_of_tagger(net: nn.Module, given: Any) -> Tensor:
    packed, labels = given
    return F.cross_entropy(net(packed), labels)


def test_an_lstm_on_packed_sequences() -> None:
    lengths = [[7, 5, 2], [6, 6, 1]]
    batches = []
    for each in lengths:
        words = [torch.randn(n, 4, generator=DRAW, dtype=torch.float64) for n in each]
        batches.append((pack_sequence(words), torch.randint(0, 3, (3,), generator=DRAW)))
    check(make_tagger, batches, step_of_tagger, RECIPE)


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(8, 4)
        self.decoder = nn.Linear(2, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


def make_autoencoder() -> nn.Module:
    return Autoencoder().double()


def negative_elbo(net: nn.Module, x: Tensor) -> Tensor:
    again, mean, log_variance = net(x)
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return F.mse_loss(again, x, reduction="sum") + divergence


def test_a_variational_autoencoder_that_draws_in_each_forward() -> None:
    batches = [torch.randn(10, 8, generator=DRAW, dtype=torch.float64) for _ in range(2)]
    check(make_autoencoder, batches, negative_elbo, RECIPE)


def make_wave() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1)).double()


def residual(net: nn.Module, x: Tensor) -> Tensor:
    """u'' = -u with u(0) = 0 and u'(0) = 1, whose solution is the sine."""
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        u = net(x)
        slope = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        bend = torch.autograd.grad(slope.sum(), x, create_graph=True)[0]
    return ((bend + u) ** 2).mean() + u[0, 0] ** 2 + (slope[0, 0] - 1) ** 2


def test_a_physics_informed_net() -> None:
    x = torch.linspace(0, math.pi, 20, dtype=torch.float64).unsqueeze(1)
    check(make_wave, [x], residual, RECIPE)


def test_a_physics_informed_net_on_held_out_points_learns_the_sine() -> None:
    x = torch.linspace(0, math.pi, 20, dtype=torch.float64).unsqueeze(1)
    problem = Problem("sine", make_wave, x, step=residual, held_out=x[::2] + 0.05)
    history = train(problem, Recipe(optimizer="Adam", lr=0.02, updates=1500))
    assert history.model is not None
    assert (history.model(x) - x.sin()).abs().max() < 0.1
    assert history.held_out[-1, 1] < 0.01 < history.held_out[0, 1]


def test_both_optimizers_of_a_gan_are_watched_and_one_is_clipped() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        faker, judge = nn.Linear(2, 2).double(), nn.Linear(2, 1).double()
        opt_f = torch.optim.SGD(faker.parameters(), lr=0.1)
        opt_j = torch.optim.SGD(judge.parameters(), lr=0.1)
        real = 9 * torch.randn(16, 2, dtype=torch.float64) + 5
        loss, ones = F.binary_cross_entropy_with_logits, torch.ones(16, 1, dtype=torch.float64)
        norms, moved = [], []
        edit_gradients(opt_j, Clip(0.1))
        with checkup([faker, judge], [opt_f, opt_j]) as report:
            for _ in range(5):
                fake = faker(torch.randn(16, 2, dtype=torch.float64))
                opt_j.zero_grad()
                (loss(judge(real), ones) + loss(judge(fake.detach()), 0 * ones)).backward()
                opt_j.step()
                norms.append(torch.cat([p.grad.flatten() for p in judge.parameters()]).norm())
                opt_f.zero_grad()
                loss(judge(fake), ones).backward()
                before = faker.weight.detach().clone()
                opt_f.step()
                moved.append(torch.allclose(before - faker.weight, 0.1 * faker.weight.grad))
        assert max(norms) <= 0.1 + 1e-9
        assert all(moved)
        assert not [each for each in report.findings if each.severity == "error"]
