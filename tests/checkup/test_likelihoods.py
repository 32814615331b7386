"""Which way a likelihood goes is read from its graph; the likelihood itself is the oracle."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.distributions import Laplace, Normal, Poisson

from gradwidgets.checkup.criterion import direction

FORMS: dict[str, tuple[type, Callable[[Tensor, Tensor, Tensor], Tensor]]] = {
    "gaussian_nll_loss": (Normal, lambda m, s, y: F.gaussian_nll_loss(m, y, s.exp() ** 2)),
    "its sum": (
        Normal,
        lambda m, s, y: F.gaussian_nll_loss(m, y, s.exp() ** 2, full=True, reduction="sum"),
    ),
    "log std": (Normal, lambda m, s, y: (0.5 * ((y - m) / s.exp()).square() + s).mean()),
    "log std, two means": (
        Normal,
        lambda m, s, y: ((y - m) ** 2 / s.exp() ** 2).mean() / 2 + s.mean(),
    ),
    "inverse": (Normal, lambda m, s, y: (torch.exp(-2 * s) * (m - y) ** 2 + 2 * s).mean()),
    "precision": (
        Normal,
        lambda m, s, y: ((-2 * s).exp() * (m - y) ** 2 - torch.log((-2 * s).exp())).mean(),
    ),
    "power": (Normal, lambda m, s, y: ((m - y) ** 2 * s.exp().pow(-2) + 2 * s).mean()),
    "Normal": (Normal, lambda m, s, y: -Normal(m, s.exp()).log_prob(y).mean()),
    "Laplace": (Laplace, lambda m, s, y: -Laplace(m, s.exp()).log_prob(y).mean()),
    "Laplace by hand": (Laplace, lambda m, s, y: ((m - y).abs() / s.exp() + s).sum()),
    "poisson_nll_loss": (Poisson, lambda m, s, y: F.poisson_nll_loss(m + s, y)),
    "its full form": (Poisson, lambda m, s, y: F.poisson_nll_loss(m + s, y, full=True)),
    "of rates": (Poisson, lambda m, s, y: F.poisson_nll_loss((m + s).exp(), y, log_input=False)),
    "Poisson by hand": (
        Poisson,
        lambda m, s, y: (_exp(m, s) - y * (_exp(m, s) + 1e-8).log()).sum(),
    ),
    "Poisson": (Poisson, lambda m, s, y: -Poisson((m + s).exp()).log_prob(y).sum()),
}


def _exp(m: Tensor, s: Tensor) -> Tensor:
    return (m + s).exp()


@pytest.mark.parametrize("name", FORMS)
def test_the_sign_is_that_of_the_likelihood(name: str) -> None:
    kind, form = FORMS[name]
    torch.manual_seed(0)
    m, s = (torch.randn(6, 1, requires_grad=True) for _ in range(2))
    y = torch.randint(1, 5, (6, 1)).float()

    def likelihood() -> Tensor:
        given = (_exp(m, s),) if kind is Poisson else (m, s.exp())
        return kind(*given).log_prob(y).sum()

    loss, before = form(m, s, y), likelihood().item()
    gradients = torch.autograd.grad(loss, (m, s), retain_graph=True)
    with torch.no_grad():
        for tensor, gradient in zip((m, s), gradients, strict=True):
            tensor -= 1e-4 * gradient
    assert likelihood().item() > before
    if name == "Poisson by hand":  # two sums are two tensors: which rate is meant cannot be told
        assert direction(loss.grad_fn) == 0
    else:
        assert direction(loss.grad_fn) == 1
        assert direction((-loss).grad_fn) == -1
        assert direction((3 - 2 * loss).grad_fn) == -1


def test_other_sums_of_the_same_parts_are_left_alone() -> None:
    torch.manual_seed(0)
    m, s = (torch.randn(6, 1, requires_grad=True) for _ in range(2))
    y = torch.rand(6, 1)
    for loss in (
        (s.exp() * (m - y).square() + s).mean(),  # not the logarithm of what it is divided by
        ((m - y).square() / s.exp() + m).mean(),
        ((m - y).square() / m.exp() + s).mean(),
        (s.exp() - s).mean(),  # no counts
        (s.exp() - y * m).mean(),
        (s.exp() - (y - 0.5) * s).mean(),  # counts are not negative
        0.5 * (m.square() + s.exp() - 1 - s).sum(),  # a divergence
        F.gaussian_nll_loss(m, y, s.exp()) - F.mse_loss(m, y),
    ):
        assert direction(loss.grad_fn) == direction((-loss).grad_fn) == 0
