"""Second set out of sample, healthy: methods and architectures."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
import torch.utils.checkpoint
from torch import nn, optim

from tests.checkup.loops import (
    Loop,
    Tagger,
    cnn,
    fit,
    healthy,
    images,
    mlp,
    regression,
    sequences,
    times,
    usual,
)


@healthy("actor and critic, two losses, two optimizers, shared advantage")
def unseen_actor_critic() -> Loop:
    actor, critic = mlp(4, 16, 2), mlp(4, 16, 1)
    opt_a, opt_c = optim.Adam(actor.parameters(), 1e-3), optim.Adam(critic.parameters(), 1e-3)

    def update():
        state, reward = torch.randn(24, 4), torch.randn(24, 1)
        advantage = reward - critic(state)
        opt_c.zero_grad()
        advantage.pow(2).mean().backward()
        opt_c.step()
        policy = torch.distributions.Categorical(logits=actor(state))
        gain = advantage.detach().squeeze(1)
        opt_a.zero_grad()
        (
            -(policy.log_prob(policy.sample()) * gain).mean() - 0.01 * policy.entropy().mean()
        ).backward()
        opt_a.step()

    return Loop([actor, critic], [opt_a, opt_c], times(4, update))


@healthy("SAC: actor's loss goes through a critic whose gradient is thrown away")
def unseen_actor_through_critic() -> Loop:
    actor, critic = mlp(4, 16, 2), mlp(6, 16, 1)
    target = copy.deepcopy(critic).requires_grad_(False)
    opt_a, opt_c = optim.Adam(actor.parameters(), 1e-3), optim.Adam(critic.parameters(), 1e-3)

    def update():
        state, action, reward = torch.randn(24, 4), torch.randn(24, 2), torch.randn(24, 1)
        with torch.no_grad():
            goal = reward + 0.9 * target(torch.cat([state, actor(state)], 1))
        opt_c.zero_grad()
        F.mse_loss(critic(torch.cat([state, action], 1)), goal).backward()
        opt_c.step()
        opt_a.zero_grad()
        (-critic(torch.cat([state, actor(state).tanh()], 1)).mean()).backward()
        opt_a.step()
        for p, q in zip(target.parameters(), critic.parameters(), strict=True):
            p.data.lerp_(q.data, 0.05)

    return Loop([actor, critic, target], [opt_a, opt_c], times(4, update))


@healthy("denoising diffusion with EMA weights that still require grad")
def unseen_diffusion_with_average() -> Loop:
    model, x = mlp(9, 32, 8), torch.randn(32, 8)
    average, optimizer = copy.deepcopy(model), optim.AdamW(model.parameters(), 2e-4)

    def update():
        t, noise = torch.rand(32, 1), torch.randn(32, 8)
        noisy = (1 - t).sqrt() * x + t.sqrt() * noise
        optimizer.zero_grad()
        F.mse_loss(model(torch.cat([noisy, t], 1)), noise).backward()
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(average.parameters(), model.parameters(), strict=True):
                p.mul_(0.99).add_(q, alpha=0.01)

    return Loop([model, average], optimizer, times(4, update))


@healthy("fine-tuning with BatchNorm held in eval mode on purpose, its parameters frozen")
def unseen_frozen_batch_norm() -> Loop:
    model, (x, y) = cnn(), images()
    model[1].eval().requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    return usual(model, optim.SGD(trained, 0.01), lambda: F.cross_entropy(model(x), y))


@healthy("mixture of experts with top-1 routing, one expert never chosen here")
def unseen_unused_expert() -> Loop:
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.experts = nn.Linear(8, 3), nn.ModuleList(mlp() for _ in range(3))

        def forward(self, x):
            chance = self.gate(x).softmax(1)
            parts = [chance[:, i : i + 1] * self.experts[i](x) for i in range(2)]
            return sum(parts) + 0 * self.experts[2](x)

    model = Mixture()
    model.experts[2].requires_grad_(False)
    return fit(model, optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-3))


@healthy("torch.compile with the eager backend")
def unseen_compiled_model() -> Loop:
    model = mlp()
    compiled, (x, y) = torch.compile(model, backend="eager"), regression()
    return usual(model, optim.Adam(model.parameters(), 1e-3), lambda: F.mse_loss(compiled(x), y), 3)


@healthy("complex parameters")
def unseen_complex_parameters() -> Loop:
    model = nn.Linear(8, 1, dtype=torch.complex64)
    x = torch.randn(16, 8, dtype=torch.complex64)
    return usual(model, optim.Adam(model.parameters(), 1e-2), lambda: (model(x) - 1).abs().mean())


@healthy("channels_last and double precision")
def unseen_channels_last() -> Loop:
    model, (x, y) = cnn().to(memory_format=torch.channels_last).double(), images()
    x = x.double().to(memory_format=torch.channels_last)
    optimizer = optim.RAdam(model.parameters(), 1e-3)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))


@healthy("sequence tagger with padding, SparseAdam for its table")
def unseen_sparse_table_and_dense_rest() -> Loop:
    model, x, y = Tagger(), sequences(), torch.randint(5, (8, 10))
    model.table = nn.Embedding(20, 8, sparse=True)
    sparse = optim.SparseAdam(list(model.table.parameters()), 1e-3)
    dense = optim.Adam([p for n, p in model.named_parameters() if "table" not in n], 1e-3)

    def update():
        model.zero_grad()
        F.cross_entropy(model(x).transpose(1, 2), y).backward()
        sparse.step()
        dense.step()

    return Loop(model, [sparse, dense], times(3, update))


@healthy("reentrant and plain checkpoints within one Transformer")
def unseen_checkpointed_transformer() -> Loop:
    layers = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2))
    model = nn.ModuleDict({"table": nn.Embedding(20, 8), "layers": layers, "out": nn.Linear(8, 20)})
    x, optimizer = sequences(), optim.AdamW(model.parameters(), 3e-4)

    def loss():
        hidden = model["table"](x)
        for layer in layers:
            hidden = torch.utils.checkpoint.checkpoint(layer, hidden, use_reentrant=False)
        return F.cross_entropy(model["out"](hidden).flatten(0, 1), x.flatten())

    return usual(model, optimizer, loss, 3)
