"""Loops of special methods: what looks odd in them is meant."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.func import functional_call

from tests.checkup.loops import Loop, cnn, healthy, images, mlp, regression, times, usual


@healthy("DCGAN tutorial, one backward for real and one for fake")
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


@healthy("original minimax loss of GANs")
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


@healthy("NVlabs/denoising-diffusion-gan#6")
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


@healthy("WGAN-GP: n_critic and gradient penalty")
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


@healthy("devnag/pytorch-generative-adversarial-networks#14")
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


@healthy("pytorch docs: LBFGS")
def lbfgs_with_closure() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.LBFGS(model.parameters(), lr=0.5, max_iter=6, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    return Loop(model, optimizer, times(3, lambda: optimizer.step(closure)))


@healthy("pytorch docs: any optimizer takes a closure")
def adam_with_closure_over_two_batches() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def closure():
        optimizer.zero_grad()
        for a, b in zip(x.split(16), y.split(16), strict=True):
            (F.mse_loss(model(a), b) / 2).backward()

    return Loop(model, optimizer, times(3, lambda: optimizer.step(closure)))


class Sharpness(optim.Optimizer):
    """Sharpness-aware minimisation in two steps around a base optimizer."""

    def __init__(self, parameters, base, rho=0.05, **options):
        super().__init__(parameters, {"rho": rho, **options})
        self.base = base(self.param_groups, **options)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def first_step(self):
        held = [p for group in self.param_groups for p in group["params"]]
        scale = 0.05 / torch.stack([p.grad.norm() for p in held]).norm()
        for p in held:
            self.state[p]["moved"] = p.grad * scale
            p.add_(self.state[p]["moved"])
        self.zero_grad()

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(self.state[p]["moved"])
        self.base.step()
        self.zero_grad()


@healthy("davda54/sam#8")
def sharpness_aware_minimisation() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = Sharpness(model.parameters(), optim.SGD, lr=0.01, momentum=0.9)

    def update():
        F.mse_loss(model(x), y).backward()
        optimizer.first_step()
        F.mse_loss(model(x), y).backward()
        optimizer.second_step()

    return Loop(model, optimizer, times(3, update))


@healthy("SAM written in the loop, with .data")
def sharpness_aware_by_hand() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        F.mse_loss(model(x), y).backward()
        moves = [0.05 * p.grad / (p.grad.norm() + 1e-8) for p in model.parameters()]
        for p, move in zip(model.parameters(), moves, strict=True):
            p.data.add_(move)
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        for p, move in zip(model.parameters(), moves, strict=True):
            p.data.sub_(move)
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(3, update))


@healthy("FGSM adversarial training")
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


@healthy("MAML, second order")
def meta_learning_with_fast_weights() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        optimizer.zero_grad()
        weights = dict(model.named_parameters())
        inner = F.mse_loss(functional_call(model, weights, x[:16]), y[:16])
        slopes = torch.autograd.grad(inner, weights.values(), create_graph=True)
        fast = {k: w - 0.01 * g for (k, w), g in zip(weights.items(), slopes, strict=True)}
        F.mse_loss(functional_call(model, fast, x[16:]), y[16:]).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("Reptile: inner optimizer on a copy, gradients written by hand")
def reptile() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.5)

    def update():
        learner = copy.deepcopy(model)
        inner = optim.SGD(learner.parameters(), lr=0.02)
        for _ in range(3):
            inner.zero_grad()
            F.mse_loss(learner(x), y).backward()
            inner.step()
        for p, q in zip(model.parameters(), learner.parameters(), strict=True):
            p.grad = (p - q).detach()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("PCGrad: one backward per task, gradients merged by hand")
def projected_conflicting_gradients() -> Loop:
    model, (x, y) = mlp(out=2), regression()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        kept = []
        for task in range(2):
            optimizer.zero_grad()
            F.mse_loss(model(x)[:, task], y[:, 0]).backward()
            kept.append([p.grad.clone() for p in model.parameters()])
        for p, first, second in zip(model.parameters(), *kept, strict=True):
            p.grad = first + second
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@healthy("exponential moving average of the weights")
def moving_average_teacher() -> Loop:
    student, (x, y) = cnn(), images()
    teacher = copy.deepcopy(student).requires_grad_(False)
    optimizer = optim.AdamW(student.parameters(), lr=1e-3)

    def update():
        optimizer.zero_grad()
        with torch.no_grad():
            soft = teacher(x).softmax(1)
        (F.cross_entropy(student(x), y) + F.cross_entropy(student(x), soft)).backward()
        optimizer.step()
        with torch.no_grad():
            for p, q in zip(teacher.parameters(), student.parameters(), strict=True):
                p.lerp_(q, 0.01)

    return Loop([student, teacher], optimizer, times(3, update))


@healthy("ikostrikov/pytorch-a3c#30")
def policy_gradient_with_negative_rewards() -> Loop:
    model, states = mlp(4, 16, 2), torch.randn(20, 4)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)

    def update():
        chances = torch.distributions.Categorical(logits=model(states))
        actions = chances.sample()
        reward = -torch.rand(20) - 0.1
        optimizer.zero_grad()
        (-(chances.log_prob(actions) * reward)).mean().backward()
        optimizer.step()

    return Loop(model, optimizer, times(4, update))


@healthy("objective maximised with maximize=True")
def policy_gradient_with_maximize() -> Loop:
    model, states = mlp(4, 16, 2), torch.randn(20, 4)
    optimizer = optim.Adam(model.parameters(), lr=1e-2, maximize=True)
    advantage = torch.randn(20)

    def objective():
        chances = torch.distributions.Categorical(logits=model(states))
        return (chances.log_prob(chances.sample()) * advantage).mean()

    return usual(model, optimizer, objective)


@healthy("pytorch DQN tutorial")
def q_learning_with_target_network() -> Loop:
    online = mlp(4, 16, 2)
    target = copy.deepcopy(online)
    optimizer = optim.AdamW(online.parameters(), lr=1e-3, amsgrad=True)
    state, action, following = torch.randn(32, 4), torch.randint(2, (32, 1)), torch.randn(32, 4)

    def update():
        value = online(state).gather(1, action)
        with torch.no_grad():
            expected = (target(following).max(1).values * 0.99 + 1).unsqueeze(1)
        optimizer.zero_grad()
        F.smooth_l1_loss(value, expected).backward()
        nn.utils.clip_grad_value_(online.parameters(), 100)
        optimizer.step()

    return Loop([online, target], optimizer, times(3, update))


@healthy("experts, one of which runs per step")
def experts_by_turns() -> Loop:
    experts = nn.ModuleList([mlp() for _ in range(3)])
    x, y = regression()
    optimizer, turn = optim.Adam(experts.parameters(), lr=1e-3), iter(range(100))
    return usual(experts, optimizer, lambda: F.mse_loss(experts[next(turn) % 3](x), y), 6)


@healthy("stochastic depth")
def layers_dropped_at_random() -> Loop:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks, self.out = nn.ModuleList([mlp(8, 8, 8) for _ in range(4)]), nn.Linear(8, 1)

        def forward(self, x):
            for block in self.blocks:
                if torch.rand(()) < 0.7:
                    x = x + block(x)
            return self.out(x)

    model, (x, y) = Residual(), regression()
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y), 10)


class LowRank(nn.Module):
    """A frozen layer and a trainable low-rank correction that starts at zero."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(2, layer.in_features))
        self.b = nn.Parameter(torch.zeros(layer.out_features, 2))

    def forward(self, x):
        return self.layer(x) + x @ self.a.T @ self.b.T


@healthy("LoRA, cloneofsimo/lora#263")
def low_rank_adapters_in_one_step() -> Loop:
    model, (x, y) = mlp(), regression()
    model[0], model[2] = LowRank(model[0]), LowRank(model[2])
    trainable = [p for p in model.parameters() if p.requires_grad]
    return usual(model, optim.AdamW(trainable, 1e-3), lambda: F.mse_loss(model(x), y), 1)


@healthy("LoRA, cloneofsimo/lora#263")
def low_rank_adapters() -> Loop:
    model, (x, y) = mlp(), regression()
    model[0], model[2] = LowRank(model[0]), LowRank(model[2])
    return usual(model, optim.AdamW(model.parameters(), 1e-3), lambda: F.mse_loss(model(x), y), 3)


@healthy("triplets that are all satisfied in some batches")
def triplet_loss_that_is_zero_at_times() -> Loop:
    model, optimizer_rate = mlp(out=4), 1e-3
    optimizer, turn = optim.Adam(model.parameters(), lr=optimizer_rate), iter(range(100))
    anchor = torch.randn(8, 8)

    def loss():
        other = anchor * (1 if next(turn) % 2 else 100)
        return F.triplet_margin_loss(model(anchor), model(anchor + 0.01), model(other), margin=0.1)

    return usual(model, optimizer, loss, 6)


@healthy("skipping a batch whose loss is too high")
def outlier_batch_skipped() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer, turn = optim.SGD(model.parameters(), lr=0.01), iter(range(100))

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        if next(turn) != 2:
            optimizer.step()

    return Loop(model, optimizer, times(5, update))


@healthy("optimizer step inside backward, one optimizer per parameter (tutorial)")
def optimizer_step_in_backward() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizers = {p: optim.Adam([p], lr=1e-3) for p in model.parameters()}

    def hook(p):
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(hook)
    return Loop(
        model, list(optimizers.values()), times(3, lambda: F.mse_loss(model(x), y).backward())
    )


@healthy("criterion with learned weights, pytorch/vision#802")
def loss_with_its_own_parameters() -> Loop:
    model, (x, y), log_scale = mlp(), regression(), nn.Parameter(torch.zeros(1))
    optimizer = optim.Adam([*model.parameters(), log_scale], lr=1e-3)

    def loss():
        return F.mse_loss(model(x), y) * torch.exp(-log_scale).squeeze() + log_scale.squeeze()

    return usual(model, optimizer, loss)
