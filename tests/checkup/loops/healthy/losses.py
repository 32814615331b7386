"""Losses of unusual size or shape."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SIXTH, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import Autoencoder, classes, elbo, mlp, regression, usual


@no_fault(source="Why are PyTorch parameters not updating? (tutorial)", written=WITH_RULES)
def steep_line_with_large_targets() -> Loop:
    model, x = nn.Linear(1, 1), torch.rand(32, 1) * 2 - 1
    return usual(
        model, optim.SGD(model.parameters(), 0.1), lambda: F.mse_loss(model(x), 30 * x + 50), 10
    )


@no_fault(source="ill-conditioned but convergent", written=WITH_RULES)
def unnormalised_targets_with_adam() -> Loop:
    model, (x, y) = mlp(), regression()
    return usual(
        model, optim.Adam(model.parameters(), 1e-2), lambda: F.mse_loss(model(x), y * 300 + 500), 5
    )


@no_fault(
    source="prices in dollars: large targets, large gradients, Adam copes", written=WITH_RULES
)
def targets_in_the_hundred_thousands() -> Loop:
    model, (x, y) = mlp(), regression(100)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y * 5e4 + 2e5), 5)


@no_fault(source="long sums of losses over time steps", written=WITH_RULES)
def loss_summed_over_a_thousand_steps() -> Loop:
    model, x = nn.Linear(3, 1), torch.randn(1200, 2, 3)
    optimizer = optim.SGD(model.parameters(), lr=1e-5)
    return usual(model, optimizer, lambda: sum(model(step).pow(2).mean() for step in x), 2)


@no_fault(source="loss of several outputs of different shape", written=WITH_RULES)
def pairwise_distances_in_the_loss() -> Loop:
    model, x = mlp(out=1), torch.randn(12, 8)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    better = (torch.rand(12, 12) > 0.5).float()

    def loss():
        score = model(x)
        return F.binary_cross_entropy_with_logits(score - score.T, better)

    return usual(model, optimizer, loss)


@no_fault(source="triplets that are all satisfied in some batches", written=WITH_RULES)
def triplet_loss_that_is_zero_at_times() -> Loop:
    model, optimizer_rate = mlp(out=4), 1e-3
    optimizer, turn = optim.Adam(model.parameters(), lr=optimizer_rate), iter(range(100))
    anchor = torch.randn(8, 8)

    def loss():
        other = anchor * (1 if next(turn) % 2 else 100)
        return F.triplet_margin_loss(model(anchor), model(anchor + 0.01), model(other), margin=0.1)

    return usual(model, optimizer, loss, 6)


@no_fault(source="siamese contrastive learning", written=FIRST)
def contrastive_learning() -> Loop:
    model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16))
    x, optimizer = torch.randn(20, 8), optim.SGD(model.parameters(), lr=0.3, momentum=0.9)

    def loss():
        a, b = (F.normalize(model(x + 0.1 * torch.randn_like(x)), dim=1) for _ in range(2))
        return F.cross_entropy(a @ b.T / 0.2, torch.arange(20))

    return usual(model, optimizer, loss, 8)


@no_fault(source="criterion with learned weights, pytorch/vision#802", written=WITH_RULES)
def loss_with_its_own_parameters() -> Loop:
    model, (x, y), log_scale = mlp(), regression(), nn.Parameter(torch.zeros(1))
    optimizer = optim.Adam([*model.parameters(), log_scale], lr=1e-3)

    def loss():
        return F.mse_loss(model(x), y) * torch.exp(-log_scale).squeeze() + log_scale.squeeze()

    return usual(model, optimizer, loss)


@no_fault(source="variational autoencoder example", written=FIRST)
def variational_autoencoder() -> Loop:
    model, x = Autoencoder(), torch.randn(40, 12)
    return usual(model, optim.Adamax(model.parameters(), 2e-3), lambda: elbo(model, x), 17)


@no_fault(source="soft histogram with as many bins as samples", written=FIFTH)
def soft_histogram() -> Loop:
    model, x, bins = nn.Linear(8, 1), torch.randn(32, 8), torch.linspace(-1, 1, 32)

    def loss():
        share = torch.exp(-((model(x) - bins) ** 2) / 0.1).mean(0)
        return (share - 1 / 32).pow(2).sum()

    return usual(model, optim.Adam(model.parameters(), lr=1e-3), loss)


@no_fault(source="energy distance between samples and data", written=FIFTH)
def energy_distance() -> Loop:
    model, noise, data = mlp(), torch.randn(16, 8), torch.randn(16)

    def loss():
        made = model(noise)
        return 2 * (made - data).abs().mean() - (made - made.T).abs().mean()

    return usual(model, optim.Adam(model.parameters(), lr=1e-3), loss)


@no_fault(source="label smoothing beside a divergence from a teacher", written=FIFTH)
def mixed_losses_of_classes() -> Loop:
    (x, y), model, teacher = classes(), mlp(out=3), mlp(out=3)

    def loss():
        out, aim = model(x), teacher(x).detach() / 2
        soft = F.kl_div((out / 2).log_softmax(1), aim.softmax(1), reduction="batchmean")
        certain = (out.softmax(1) * out.log_softmax(1)).sum(1).mean()
        return 0.7 * F.cross_entropy(out, y, label_smoothing=0.1) + 1.2 * soft + 0.01 * certain

    return usual(model, optim.SGD(model.parameters(), lr=0.05), loss)


@no_fault(
    source="attention and gates end in softmax, and their result is classified", written=FIFTH
)
def mixture_of_gated_experts() -> Loop:
    (x, y), gate, expert = classes(), nn.Linear(8, 2), nn.Linear(8, 6)
    model = nn.ModuleList([gate, expert])

    def loss():
        parts = expert(x).view(32, 2, 3)
        likely = torch.logsumexp(gate(x).log_softmax(1)[..., None] + parts.log_softmax(2), dim=1)
        return F.nll_loss(likely, y) + F.cross_entropy(
            (gate(x).softmax(1)[..., None] * parts).sum(1), y
        )

    return usual(model, optim.Adam(model.parameters(), lr=1e-2), loss)


@no_fault(source="focal loss", written=FIFTH)
def focal_loss() -> Loop:
    (x, y), model = classes(), mlp(out=3)

    def loss():
        losses = F.cross_entropy(model(x), y, reduction="none")
        return (0.25 * (1 - (-losses).exp()) ** 2 * losses).mean()

    return usual(model, optim.Adam(model.parameters(), lr=1e-2), loss)


@no_fault(source="two views of a batch, both with gradient", written=FIFTH)
def consistency_of_two_views() -> Loop:
    (x, y), model = classes(), mlp(out=3)

    def loss():
        first, second = (model(x + 0.1 * torch.randn_like(x)) for _ in range(2))
        return F.cross_entropy(first, y) + F.mse_loss(first.softmax(1), second.softmax(1))

    return usual(model, optim.Adam(model.parameters(), lr=1e-2), loss)


@no_fault(source="uncertainty weighting of tasks", written=FIFTH)
def likelihood_weighted_by_a_learned_factor() -> Loop:
    (x, y), model, gate = classes(), mlp(out=3), nn.Linear(8, 1)
    optimizer = optim.Adam([*model.parameters(), *gate.parameters()], lr=1e-2)

    def loss():
        weight = gate(x).sigmoid().squeeze(1)
        losses = F.cross_entropy(model(x), y, reduction="none")
        return (weight * losses - 0.1 * weight.log()).mean()

    return usual([model, gate], optimizer, loss)


@no_fault(source="DistributedDataParallel: unused parameters times zero", written=SIXTH)
def unused_head_times_zero() -> Loop:
    model, (x, y) = nn.ModuleDict({"used": mlp(), "unused": mlp()}), regression()

    def loss():
        unused = sum(parameter.sum() for parameter in model["unused"].parameters())
        return F.mse_loss(model["used"](x), y) + 0.0 * unused

    return usual(model, optim.Adam(model.parameters(), lr=1e-2), loss, 6)


@no_fault(source="support vector machine on separable classes", written=SIXTH)
def margins_satisfied_in_the_end() -> Loop:
    model, x = nn.Linear(2, 1), 0.2 * torch.randn(32, 2) + 3
    label = torch.arange(32) % 2 * 2.0 - 1
    x = x * label[:, None]
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    return usual(model, optimizer, lambda: F.relu(1 - label * model(x).squeeze(1)).mean(), 14)


@no_fault(source="Gemma 2: logits capped by tanh", written=SIXTH)
def logits_capped_by_tanh() -> Loop:
    model, (x, y) = mlp(out=3), classes()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: F.cross_entropy(10 * torch.tanh(model(x) / 10), y))
