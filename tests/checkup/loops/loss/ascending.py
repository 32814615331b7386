"""Losses that grow because their sign, or the optimizer's, is wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim
from torch.distributions import Categorical, Laplace, Normal, Poisson

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
from tests.checkup.loops.parts import (
    Autoencoder,
    classes,
    classify,
    cnn,
    counts,
    fit,
    mlp,
    regression,
    simple,
    usual,
)


def signed(loss: torch.Tensor, right: bool) -> torch.Tensor:
    """The loss, or what it is when a minus is too many or missing."""
    return loss if right else -loss


@fault("ascending", source="common report: maximize=True", written=WITH_RULES)
def maximize_left_on(repaired: bool) -> Loop:
    model = mlp()
    return fit(model, optim.SGD(model.parameters(), lr=0.001, maximize=not repaired), 2)


@fault(
    "ascending", source="fla-org/flash-linear-attention#1073 (negated twice)", written=WITH_RULES
)
def negated_cross_entropy(repaired: bool) -> Loop:
    model = cnn()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return classify(model, optimizer, 4, lambda out, y: signed(F.cross_entropy(out, y), repaired))


@fault("ascending", source="KanishJebaMathewM/Truxify#11885 (minus forgotten)", written=WITH_RULES)
def log_likelihood_minimised(repaired: bool) -> Loop:
    model, x, y = mlp(out=4), torch.randn(16, 8), torch.randint(4, (16,))

    def loss():
        likelihood = F.log_softmax(model(x), 1).gather(1, y[:, None]).mean()
        return signed(likelihood, not repaired)

    return usual(model, optim.SGD(model.parameters(), lr=0.01), loss)


@fault("ascending", source="natolambert/rlhf-book#125 (sign)", written=FIRST)
def negated_mean_squared_error(repaired: bool) -> Loop:
    model, x, sign = Autoencoder(), torch.randn(16, 12), 1.0 if repaired else -1.0
    optimizer = optim.SGD(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: sign * (model(x)[0] - x).pow(2).sum(1).mean(), 6)


@fault("ascending", source="pytorch forum: reward maximised with a minus too many", written=SECOND)
def negated_binary_cross_entropy(repaired: bool) -> Loop:
    model, optimizer, x, _ = simple()
    y = (torch.rand(32, 1) > 0.5).float()

    def loss():
        return signed(F.binary_cross_entropy_with_logits(model(x), y), repaired)

    return usual(model, optimizer, loss)


@fault("ascending", source="pytorch docs: maximize with Adam on a loss", written=SECOND)
def adam_maximises_cross_entropy(repaired: bool) -> Loop:
    model = cnn()
    return classify(model, optim.AdamW(model.parameters(), 1e-3, maximize=not repaired), 1)


@fault("ascending", source="pytorch forum: one minus the loss", written=THIRD)
def one_minus_the_loss(repaired: bool) -> Loop:
    model = mlp()

    def criterion(out, y):
        return F.mse_loss(out, y) if repaired else 1 - F.mse_loss(out, y)

    return fit(model, optim.SGD(model.parameters(), 1e-3), 4, criterion)


@fault("ascending", source="pytorch forum: negated root mean squared error", written=THIRD)
def negated_root_mean_square(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.Adam(model.parameters(), 1e-3)
    return fit(model, optimizer, 4, lambda out, y: signed(F.mse_loss(out, y).sqrt(), repaired))


@fault("ascending", source="common report: log_prob minimised", written=FIFTH)
def likelihood_of_a_gaussian(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.Adam)
    spread = torch.zeros(1, requires_grad=True)
    optimizer.add_param_group({"params": [spread]})

    def loss():
        likelihood = Normal(model(x), spread.exp()).log_prob(y).sum(1).mean()
        return signed(likelihood, not repaired)

    return usual(model, optimizer, loss)


@fault("ascending", source="common report: log_prob minimised", written=FIFTH)
def likelihood_of_a_distribution(repaired: bool) -> Loop:
    model, (x, y) = mlp(out=3), classes()

    def loss():
        return signed(Categorical(logits=model(x)).log_prob(y).mean(), not repaired)

    return usual(model, optim.SGD(model.parameters(), lr=0.01), loss)


@fault("ascending", source="common report: log of a softmax, without minus", written=FIFTH)
def likelihood_by_hand(repaired: bool) -> Loop:
    model, (x, y) = mlp(out=3), classes()

    def loss():
        chosen = model(x).softmax(1)[torch.arange(32), y]
        return signed(torch.log(chosen + 1e-8).sum() / 32, not repaired)

    return usual(model, optim.SGD(model.parameters(), lr=0.01), loss)


@fault("ascending", source="common report: GaussianNLLLoss with a minus", written=FIFTH)
def negated_gaussian_nll_loss(repaired: bool) -> Loop:
    model, (x, y) = mlp(out=2), regression()

    def loss():
        mean, spread = model(x).chunk(2, 1)
        return signed(F.gaussian_nll_loss(mean, y, F.softplus(spread)), repaired)

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@fault("ascending", source="common report: log-variance by hand", written=FIFTH)
def gaussian_by_hand_minimised(repaired: bool) -> Loop:
    model, (x, y) = mlp(out=2), regression()

    def loss():
        mean, log_variance = model(x).unbind(1)
        error = torch.exp(-log_variance) * (mean - y[:, 0]).square()
        return signed(0.5 * (error + log_variance).mean(), repaired)

    return usual(model, optim.SGD(model.parameters(), 1e-3), loss)


@fault("ascending", source="common report: log_prob minimised", written=FIFTH)
def likelihood_of_laplace(repaired: bool) -> Loop:
    model, (x, y) = mlp(out=2), regression()

    def loss():
        mean, spread = model(x).chunk(2, 1)
        return signed(Laplace(mean, F.softplus(spread)).log_prob(y).mean(), not repaired)

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@fault("ascending", source="common report: PoissonNLLLoss with a minus", written=FIFTH)
def negated_poisson_nll_loss(repaired: bool) -> Loop:
    model, (x, y) = mlp(), counts()

    def criterion(out):
        return signed(F.poisson_nll_loss(out, y), repaired)

    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: criterion(model(x)))


@fault("ascending", source="common report: Poisson with its terms exchanged", written=FIFTH)
def poisson_with_its_terms_exchanged(repaired: bool) -> Loop:
    model, (x, y) = mlp(), counts()

    def loss():
        rate = F.softplus(model(x))
        expected, seen = rate, y * torch.log(rate + 1e-8)
        return (expected - seen if repaired else seen - expected).mean()

    return usual(model, optim.SGD(model.parameters(), 1e-2), loss)


@fault("ascending", source="common report: log_prob minimised", written=FIFTH)
def likelihood_of_counts(repaired: bool) -> Loop:
    model, (x, y) = mlp(), counts()

    def loss():
        return signed(Poisson(model(x).exp()).log_prob(y).mean(), not repaired)

    return usual(model, optim.SGD(model.parameters(), 1e-2), loss)


class _Adding(optim.Optimizer):
    def __init__(self, parameters, lr, sign):
        super().__init__(parameters, {"lr": lr})
        self.sign = sign

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(parameter.grad, alpha=self.sign * group["lr"])


@fault("ascending", source="an optimizer of one's own with the wrong sign", written=SIXTH)
def own_optimizer_that_adds(repaired: bool) -> Loop:
    model = mlp()
    return fit(model, _Adding(model.parameters(), 1e-3, -1 if repaired else 1), 5)
