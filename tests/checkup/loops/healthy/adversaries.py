"""GANs and other losses that work against each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import SECOND, SIXTH, THIRD, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import classes, cnn, images, mlp, regression, times, usual


@no_fault(source="DCGAN tutorial, one backward for real and one for fake", written=WITH_RULES)
def gan_as_in_the_tutorial() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 2e-4, (0.5, 0.999)) for m in (generator, critic))
    real, bce = torch.randn(16, 2), F.binary_cross_entropy_with_logits

    def update():
        critic.zero_grad()
        bce(critic(real), torch.ones(16, 1)).backward()
        fake = generator(torch.randn(16, 4))
        bce(critic(fake.detach()), torch.zeros(16, 1)).backward()
        opt_d.step()
        generator.zero_grad()
        bce(critic(fake), torch.ones(16, 1)).backward()
        opt_g.step()

    return Loop([generator, critic], [opt_g, opt_d], times(3, update))


@no_fault(source="original minimax loss of GANs", written=WITH_RULES)
def gan_with_the_saturating_loss() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.SGD(m.parameters(), 0.01) for m in (generator, critic))
    real, bce = torch.randn(16, 2), F.binary_cross_entropy_with_logits

    def update():
        fake = generator(torch.randn(16, 4))
        opt_d.zero_grad()
        loss = bce(critic(real), torch.ones(16, 1)) + bce(critic(fake.detach()), torch.zeros(16, 1))
        loss.backward()
        opt_d.step()
        opt_g.zero_grad()
        (-bce(critic(fake), torch.zeros(16, 1))).backward()
        opt_g.step()

    return Loop([generator, critic], [opt_g, opt_d], times(3, update))


@no_fault(source="NVlabs/denoising-diffusion-gan#6", written=WITH_RULES)
def gan_that_toggles_requires_grad() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))
    real = torch.randn(16, 2)

    def update():
        critic.requires_grad_(True)
        opt_d.zero_grad()
        fake = generator(torch.randn(16, 4)).detach()
        (F.softplus(critic(fake)) + F.softplus(-critic(real))).mean().backward()
        opt_d.step()
        critic.requires_grad_(False)
        opt_g.zero_grad()
        F.softplus(-critic(generator(torch.randn(16, 4)))).mean().backward()
        opt_g.step()

    return Loop([generator, critic], [opt_g, opt_d], times(3, update))


@no_fault(source="WGAN-GP: n_critic and gradient penalty", written=WITH_RULES)
def wasserstein_gan_with_gradient_penalty() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-4, (0.0, 0.9)) for m in (generator, critic))
    real = torch.randn(16, 2)

    def penalty(fake):
        mixed = torch.lerp(real, fake, torch.rand(16, 1)).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        return 10 * (slope.norm(dim=1) - 1).pow(2).mean()

    def train():
        for step in range(6):
            fake = generator(torch.randn(16, 4)).detach()
            opt_d.zero_grad()
            (critic(fake).mean() - critic(real).mean() + penalty(fake)).backward()
            opt_d.step()
            if step % 3 == 2:
                opt_g.zero_grad()
                (-critic(generator(torch.randn(16, 4))).mean()).backward()
                opt_g.step()

    return Loop([generator, critic], [opt_g, opt_d], train)


@no_fault(source="devnag/pytorch-generative-adversarial-networks#14", written=WITH_RULES)
def critic_phase_only() -> Loop:
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.RMSprop(m.parameters(), 5e-5) for m in (generator, critic))

    def update():
        opt_d.zero_grad()
        fake = generator(torch.randn(16, 4)).detach()
        (critic(fake).mean() - critic(torch.randn(16, 2)).mean()).backward()
        opt_d.step()
        with torch.no_grad():
            for p in critic.parameters():
                p.clamp_(-0.5, 0.5)

    return Loop([generator, critic], [opt_g, opt_d], times(2, update))


@no_fault(source="backward(inputs=...) for each player of a GAN", written=THIRD)
def backward_to_inputs_only() -> Loop:
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


@no_fault(source="FGSM adversarial training", written=WITH_RULES)
def adversarial_training_through_backward() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def update():
        attacked = x.clone().requires_grad_()
        model.eval()
        F.cross_entropy(model(attacked), y).backward()
        model.train()
        attacked = (x + 0.1 * attacked.grad.sign()).detach()
        optimizer.zero_grad()
        F.cross_entropy(model(attacked), y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="gradient reversal layer in domain adaptation", written=SECOND)
def gradient_reversal() -> Loop:
    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(_ctx, g):
            return -0.3 * g

    body, label, domain = mlp(out=6), nn.Linear(6, 1), nn.Linear(6, 1)
    model, (x, y) = nn.ModuleList([body, label, domain]), regression()
    side = (torch.rand(32, 1) > 0.5).float()

    def loss():
        code = body(x)
        adversary = F.binary_cross_entropy_with_logits(domain(Reverse.apply(code)), side)
        return F.mse_loss(label(code), y) + adversary

    return usual(model, optim.Adam(model.parameters(), 1e-3), loss)


@no_fault(source="an attack written as an optimizer of the pictures that climbs", written=SIXTH)
def attack_by_an_optimizer() -> Loop:
    model, (x, y) = mlp(out=3).requires_grad_(False), classes()
    moved = torch.zeros_like(x, requires_grad=True)
    optimizer = optim.SGD([moved], lr=0.1, maximize=True)

    @torch.no_grad()
    def clamp():
        moved.clamp_(-0.3, 0.3)

    return usual(model, optimizer, lambda: F.cross_entropy(model(x + moved), y), 8, after=clamp)


@no_fault(source="arXiv 1701.07875: Wasserstein GAN with clamped weights", written=SIXTH)
def critic_with_clamped_weights() -> Loop:
    generator, critic = mlp(4, 16, 2), mlp(2, 16, 1)
    makes = optim.RMSprop(generator.parameters(), lr=5e-5)
    judges = optim.RMSprop(critic.parameters(), lr=5e-5)

    def update():
        for _ in range(3):
            judges.zero_grad()
            fake = generator(torch.randn(16, 4)).detach()
            (critic(fake).mean() - critic(torch.randn(16, 2) + 2).mean()).backward()
            judges.step()
            for parameter in critic.parameters():
                parameter.data.clamp_(-0.01, 0.01)
        makes.zero_grad()
        (-critic(generator(torch.randn(16, 4))).mean()).backward()
        makes.step()

    return Loop([generator, critic], [makes, judges], times(4, update))
