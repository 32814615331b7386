"""Third set out of sample: healthy loops chosen because the rules might get them wrong."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, cnn, fit, healthy, mlp, regression, times, usual


@healthy("half-precision model, float32 master weights in the optimizer, copied back")
def unseen_master_weights() -> Loop:
    model, (x, y) = mlp(8, 32).bfloat16(), regression()
    master = [p.detach().float().clone().requires_grad_() for p in model.parameters()]
    optimizer = optim.SGD(master, lr=0.05)

    def update():
        model.zero_grad()
        F.mse_loss(model(x.bfloat16()).float(), y).backward()
        for p, q in zip(model.parameters(), master, strict=True):
            q.grad = p.grad.float()
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(model.parameters(), master, strict=True):
                p.copy_(q)

    return Loop(model, optimizer, times(4, update))


class Scaled(nn.Module):
    """A residual branch behind a gain that starts nearly closed."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.branch, self.gain = mlp(8, 16, 8), nn.Parameter(torch.full((8,), start))

    def forward(self, x):
        return x + self.gain * self.branch(x)


@healthy("LayerScale of CaiT and ConvNeXt, one step watched")
def unseen_layer_scale_single_step() -> Loop:
    model = nn.Sequential(Scaled(1e-6), Scaled(1e-6), nn.Linear(8, 1))
    return fit(model, optim.SGD(model.parameters(), 0.01), 1)


@healthy("ReZero with SGD")
def unseen_rezero() -> Loop:
    model = nn.Sequential(Scaled(0.0), Scaled(0.0), nn.Linear(8, 1))
    return fit(model, optim.SGD(model.parameters(), 0.01), 3)


@healthy("backward(inputs=...) for each player of a GAN")
def unseen_backward_to_inputs_only() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))
    real = torch.randn(16, 2)

    def update():
        fake = generator(torch.randn(16, 4))
        opt_d.zero_grad()
        loss = (F.softplus(critic(fake)) + F.softplus(-critic(real))).mean()
        loss.backward(inputs=list(critic.parameters()), retain_graph=True)
        opt_d.step()
        opt_g.zero_grad()
        F.softplus(-critic(generator(torch.randn(16, 4)))).mean().backward(
            inputs=list(generator.parameters())
        )
        opt_g.step()

    return Loop([generator, critic], [opt_g, opt_d], times(3, update))


@healthy("AdaHessian: backward with create_graph, curvature by Hutchinson")
def unseen_second_order_optimizer() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward(create_graph=True)
        held = list(model.parameters())
        signs = [torch.randint_like(p, 2) * 2 - 1 for p in held]
        curves = torch.autograd.grad([p.grad for p in held], held, signs, allow_unused=True)
        for p, z, h in zip(held, signs, curves, strict=True):
            h = torch.zeros_like(p) if h is None else h
            p.grad = (p.grad / ((h * z).abs() + 1)).detach()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("first-order MAML: gradients of copies added to the model's")
def unseen_first_order_meta_learning() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), 1e-3)

    def update():
        optimizer.zero_grad()
        for part in (slice(0, 16), slice(16, 32)):
            learner = copy.deepcopy(model)
            inner = optim.SGD(learner.parameters(), 0.01)
            F.mse_loss(learner(x[part]), y[part]).backward()
            inner.step()
            inner.zero_grad()
            F.mse_loss(learner(x[part]), y[part]).backward()
            for p, q in zip(model.parameters(), learner.parameters(), strict=True):
                p.grad = q.grad.clone() if p.grad is None else p.grad + q.grad
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("style transfer: an image beside the model, LBFGS")
def unseen_image_beside_a_frozen_model() -> Loop:
    network = cnn().eval().requires_grad_(False)
    pixels = torch.randn(1, 1, 8, 8, requires_grad=True)
    optimizer = optim.LBFGS([pixels], max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = network(pixels).pow(2).mean()
        loss.backward()
        return loss

    return Loop(network, optimizer, times(3, lambda: optimizer.step(closure)))


@healthy("SWATS: Adam first, SGD later, on the same parameters")
def unseen_optimizers_in_succession() -> Loop:
    model, (x, y) = mlp(), regression()
    first, second = optim.Adam(model.parameters(), 1e-3), optim.SGD(model.parameters(), 0.01)

    def train():
        for step in range(6):
            optimizer = first if step < 4 else second
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(model, [first, second], train)


@healthy("torch.jit.script")
def unseen_scripted_model() -> Loop:
    model = torch.jit.script(mlp())
    return fit(model, optim.Adam(model.parameters(), 1e-3), 4)


@healthy("VQ-VAE: straight-through codes, codebook and commitment losses")
def unseen_vector_quantisation() -> Loop:
    encoder, codes, decoder = nn.Linear(8, 4), nn.Embedding(6, 4), nn.Linear(4, 8)
    model, x = nn.ModuleList([encoder, codes, decoder]), torch.randn(32, 8)

    def loss():
        z = encoder(x)
        q = codes(torch.cdist(z, codes.weight).argmin(1))
        passed = z + (q - z).detach()
        return (
            F.mse_loss(decoder(passed), x) + F.mse_loss(q, z.detach()) + F.mse_loss(z, q.detach())
        )

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss, 5)


@healthy("momentum contrast: keys from an averaged encoder")
def unseen_momentum_encoder() -> Loop:
    class Momentum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = mlp(8, 16, 6)
            self.key = copy.deepcopy(self.query)

        def forward(self, x):
            with torch.no_grad():
                for p, q in zip(self.key.parameters(), self.query.parameters(), strict=True):
                    p.lerp_(q, 0.1)
                keys = F.normalize(self.key(x + 0.1 * torch.randn_like(x)), dim=1)
            return F.normalize(self.query(x), dim=1) @ keys.T / 0.2

    model, x = Momentum(), torch.randn(16, 8)
    optimizer = optim.SGD(model.query.parameters(), 0.05)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), torch.arange(16)))


@healthy("radial basis functions: distances between data and learned centres")
def unseen_distances_to_centres() -> Loop:
    class Radial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centres, self.out = nn.Parameter(torch.randn(10, 8)), nn.Linear(10, 1)

        def forward(self, x):
            return self.out((-(x[:, None] - self.centres).pow(2).sum(2) / 8).exp())

    model = Radial()
    return fit(model, optim.Adam(model.parameters(), 1e-3))


@healthy("weight decay of a large embedding of which few rows are used")
def unseen_large_embedding() -> Loop:
    model = nn.Sequential(nn.Embedding(3000, 16), nn.Flatten(), nn.Linear(64, 2))
    x, y = torch.randint(3000, (8, 4)), torch.randint(2, (8,))
    return usual(
        model, optim.AdamW(model.parameters(), 1e-3), lambda: F.cross_entropy(model(x), y), 5
    )
