"""Loops written after the rules were settled: how they fare at first sight is the honest rate."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import Loop, broken, healthy, images, regression, sequences, times, usual


class Attention(nn.Module):
    """One block of causal self-attention for tokens."""

    def __init__(self, words: int = 30, width: int = 24) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(16, width)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm, self.mlp = nn.LayerNorm(width), nn.Linear(width, width)
        self.out = nn.Linear(width, words)

    def forward(self, x):
        hidden = self.words(x) + self.places(torch.arange(x.shape[1]))
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        mixed, _ = self.attention(hidden, hidden, hidden, attn_mask=mask, is_causal=True)
        return self.out(F.gelu(self.mlp(self.norm(hidden + mixed))))


class Autoencoder(nn.Module):
    """A variational autoencoder of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(12, 8), nn.Linear(4, 12)

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


def _elbo(model, x):
    rebuilt, mean, log_variance = model(x)
    divergence = -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum(1).mean()
    return F.mse_loss(rebuilt, x) + 0.01 * divergence


@healthy("karpathy/nanoGPT#578")
def fresh_small_language_model() -> Loop:
    model, x = Attention(), sequences(4, 12, 30)
    optimizer = optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)

    def update():
        loss = F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)

    return Loop(model, optimizer, times(12, update))


@healthy("variational autoencoder example")
def fresh_variational_autoencoder() -> Loop:
    model, x = Autoencoder(), torch.randn(40, 12)
    return usual(model, optim.Adamax(model.parameters(), 2e-3), lambda: _elbo(model, x), 17)


@healthy("siamese contrastive learning")
def fresh_contrastive_learning() -> Loop:
    model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16))
    x, optimizer = torch.randn(20, 8), optim.SGD(model.parameters(), lr=0.3, momentum=0.9)

    def loss():
        a, b = (F.normalize(model(x + 0.1 * torch.randn_like(x)), dim=1) for _ in range(2))
        return F.cross_entropy(a @ b.T / 0.2, torch.arange(20))

    return usual(model, optimizer, loss, 8)


@healthy("proximal policy optimisation")
def fresh_clipped_policy_optimisation() -> Loop:
    actor, critic = nn.Linear(6, 3), nn.Linear(6, 1)
    model = nn.ModuleDict({"actor": actor, "critic": critic})
    optimizer, state = optim.Adam(model.parameters(), lr=3e-4, eps=1e-5), torch.randn(50, 6)
    with torch.no_grad():
        policy = torch.distributions.Categorical(logits=actor(state))
        action = policy.sample()
        before, reward = policy.log_prob(action), torch.randn(50)

    def update():
        policy = torch.distributions.Categorical(logits=actor(state))
        value = critic(state).squeeze(-1)
        ratio, gain = (policy.log_prob(action) - before).exp(), reward - value.detach()
        surrogate = torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
        loss = -surrogate + 0.5 * (reward - value).pow(2).mean() - 0.01 * policy.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

    return Loop(model, optimizer, times(10, update))


@healthy("deep residual network with zero-initialised gains")
def fresh_residual_gains_at_zero() -> Loop:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.n, self.m = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
            nn.init.zeros_(self.m.weight)

        def forward(self, x):
            return F.relu(x + self.m(self.b(F.relu(self.n(self.a(x))))))

    model = nn.Sequential(nn.Conv2d(1, 4, 3), Block(), Block(), nn.Flatten(), nn.Linear(144, 4))
    x, y = images(6)
    return usual(
        model, optim.SGD(model.parameters(), 0.02), lambda: F.cross_entropy(model(x), y), 1
    )


@healthy("distillation with a frozen teacher inside the model")
def fresh_distillation() -> Loop:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.student = nn.Linear(8, 5)
            self.teacher = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 5)).requires_grad_(False)

        def forward(self, x):
            self.teacher.eval()
            return self.student(x).log_softmax(1), self.teacher(x).softmax(1)

    model, x = Pair(), torch.randn(24, 8)
    optimizer = optim.RMSprop([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    return usual(model, optimizer, lambda: F.kl_div(*model(x), reduction="batchmean"), 5)


@healthy("two optimizers on one loss")
def fresh_two_optimizers_one_loss() -> Loop:
    model, (x, y) = nn.Sequential(nn.Linear(8, 40), nn.SiLU(), nn.Linear(40, 1)), regression(50)
    first = optim.Adagrad(model[0].parameters(), lr=0.02)
    second = optim.SGD(model[2].parameters(), lr=0.01)

    def update():
        model.zero_grad()
        F.huber_loss(model(x), y).backward()
        second.step()
        first.step()

    return Loop(model, [first, second], times(9, update))


@healthy("exponential learning rate decay over the whole run")
def fresh_annealed_to_the_end() -> Loop:
    model, x = nn.GRU(3, 7, num_layers=2, dropout=0.1), torch.randn(9, 5, 3)
    optimizer = optim.NAdam(model.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.7)

    def update():
        optimizer.zero_grad()
        model(x)[0].square().mean().backward()
        optimizer.step()
        scheduler.step()

    return Loop(model, optimizer, times(15, update))


@healthy("lookahead: slow weights outside of the optimizer")
def fresh_lookahead() -> Loop:
    model, (x, y) = nn.Linear(8, 1), regression()
    slow, optimizer = copy.deepcopy(model), optim.Adam(model.parameters(), lr=0.02)

    def update():
        for _ in range(5):
            optimizer.zero_grad()
            F.l1_loss(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            for p, q in zip(model.parameters(), slow.parameters(), strict=True):
                p.copy_(q.lerp_(p, 0.5))

    return Loop(model, optimizer, times(3, update))


@healthy("converged linear regression with LBFGS")
def fresh_converged_least_squares() -> Loop:
    model, (x, y) = nn.Linear(8, 1).double(), regression(100)
    optimizer = optim.LBFGS(model.parameters(), max_iter=30)

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x.double()), y.double())
        loss.backward()
        return loss

    return Loop(model, optimizer, times(6, lambda: optimizer.step(closure)))


@healthy("gradient noise and weight decay by hand")
def fresh_noise_added_to_gradients() -> Loop:
    model, (x, y) = nn.Sequential(nn.Linear(8, 9), nn.ELU(), nn.Linear(9, 1)), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.02)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        for p in model.parameters():
            p.grad.data.add_(0.01 * p.data + 0.01 * torch.randn_like(p))
        optimizer.step()

    return Loop(model, optimizer, times(7, update))


@healthy("half of the units masked in the gradient")
def fresh_masked_gradient() -> Loop:
    model, (x, y) = nn.Linear(8, 1), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        model.weight.grad[:, :4] = 0
        model.bias.grad = None
        optimizer.step()

    return Loop(model, optimizer, times(4, update))


@broken("unregistered", source="pytorch forum: prompts in a list of parameters")
def fresh_prompts_in_a_list() -> Loop:
    class Prompted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(6, 2)
            self.prompts = [nn.Parameter(torch.randn(6)) for _ in range(3)]

        def forward(self, x):
            return self.body(x + sum(self.prompts))

    model, x, y = Prompted(), torch.randn(11, 6), torch.randint(2, (11,))
    return usual(model, optim.Adamax(model.parameters()), lambda: F.cross_entropy(model(x), y), 6)


@broken("not-in-optimizer", source="pytorch forum: class token added later")
def fresh_positions_left_out() -> Loop:
    model, x = Attention(), sequences(3, 9, 30)
    optimizer = optim.AdamW([p for n, p in model.named_parameters() if "places" not in n], 1e-4)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).flatten(0, 1), x.flatten()), 14)


@broken("detached", source="pytorch forum: code sampled without reparametrisation")
def fresh_code_detached_in_autoencoder() -> Loop:
    class Sampled(Autoencoder):
        def forward(self, x):
            mean, log_variance = self.encoder(x).chunk(2, 1)
            code = torch.distributions.Normal(mean, (log_variance / 2).exp()).sample()
            return self.decoder(code), mean, log_variance

    model, x = Sampled(), torch.randn(30, 12)
    optimizer = optim.Adam(model.parameters())
    return usual(model, optimizer, lambda: F.mse_loss(model(x)[0], x), 20)


@broken("not-cleared", source="wanyunchong in yastrebksv/TennisCourtDetector#7")
def fresh_language_model_not_cleared() -> Loop:
    model, x = Attention(), sequences(5, 7, 30)
    optimizer = optim.RMSprop(model.parameters(), lr=1e-4)

    def update():
        F.cross_entropy(model(x).flatten(0, 1), x.flatten()).backward()
        optimizer.step()

    return Loop(model, optimizer, times(18, update))


@broken("not-in-model", source="pytorch forum: layer reinitialised by assignment")
def fresh_bias_replaced() -> Loop:
    model, x = Autoencoder(), torch.randn(10, 12)
    optimizer = optim.NAdam(model.parameters(), lr=1e-3)
    model.decoder.weight = nn.Parameter(torch.randn(12, 4) * 0.1)
    return usual(model, optimizer, lambda: _elbo(model, x), 5)


@broken("eval-mode", source="pytorch forum: eval after loading a checkpoint")
def fresh_eval_after_loading() -> Loop:
    model = nn.Sequential(nn.LSTM(5, 6, 2, dropout=0.3, batch_first=True))
    x, optimizer = torch.randn(4, 9, 5), optim.SGD(model.parameters(), lr=0.5)
    model.eval()
    return usual(model, optimizer, lambda: model(x)[0].square().mean(), 1)


@broken("step-before-backward", source="YunShen66666 in shoutOutYangJie/FaceID-GAN#5")
def fresh_step_too_early_with_momentum() -> Loop:
    model, (x, y) = nn.Linear(8, 1), regression(7)
    optimizer = optim.SGD(model.parameters(), lr=0.03, momentum=0.8)

    def update():
        loss = F.l1_loss(model(x), y)
        optimizer.zero_grad()
        optimizer.step()
        loss.backward()

    return Loop(model, optimizer, times(11, update))


@broken("cleared-before-step", source="baofff in huggingface/accelerate#1299")
def fresh_clear_at_the_top_of_accumulation() -> Loop:
    model, x = Attention(), sequences(8, 6, 30)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def train():
        for index, row in enumerate(x.split(1)):
            optimizer.zero_grad()
            (F.cross_entropy(model(row).flatten(0, 1), row.flatten()) / 2).backward()
            if index % 2:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()

    return Loop(model, optimizer, train)


@broken("update-too-large", "exploding", "non-finite", source="pytorch forum: lr 1 with RMSprop")
def fresh_learning_rate_too_large_for_rmsprop() -> Loop:
    model, (x, y) = nn.Sequential(nn.Linear(8, 50), nn.ReLU(), nn.Linear(50, 1)), regression(20)
    return usual(model, optim.RMSprop(model.parameters(), 3.0), lambda: F.mse_loss(model(x), y), 7)


@broken("update-too-small", source="pytorch forum: lr 1e-10 with Adam")
def fresh_adam_with_a_tiny_learning_rate() -> Loop:
    model, x = Attention(), sequences(3, 8, 30)
    optimizer = optim.Adam(model.parameters(), lr=1e-10)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x).flatten(0, 1), x.flatten()), 9)


@broken("broadcast-loss", source="xaohuicai in surajdakua/Crowd-Counting-Using-Pytorch#4")
def fresh_absolute_error_by_hand() -> Loop:
    model, (x, y) = nn.Sequential(nn.Linear(8, 30), nn.GELU(), nn.Linear(30, 1)), regression(9)
    optimizer = optim.Adagrad(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: (y.flatten() - model(x)).abs().mean(), 13)


@broken("zero-gradient", source="vvincenttttt in lanlan96/ARM3D#1 (thresholded output)")
def fresh_heaviside_output() -> Loop:
    model, x, y = nn.Conv1d(2, 3, 3), torch.randn(5, 2, 9), torch.rand(5, 3, 7)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    return usual(model, optimizer, lambda: F.mse_loss(torch.floor(model(x)), y), 2)


@broken("ascending", source="natolambert/rlhf-book#125 (sign)")
def fresh_negated_mean_squared_error() -> Loop:
    model, x = Autoencoder(), torch.randn(16, 12)
    optimizer = optim.SGD(model.parameters(), lr=1e-3)
    return usual(model, optimizer, lambda: -1.0 * (model(x)[0] - x).pow(2).sum(1).mean(), 6)


@broken("no-step", source="pytorch forum: step called on the wrong optimizer")
def fresh_wrong_optimizer_stepped() -> Loop:
    model, other = nn.Linear(8, 1), nn.Linear(8, 1)
    optimizer, wrong = (optim.Adam(m.parameters(), lr=1e-2) for m in (model, other))
    x, y = regression()

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        wrong.step()

    return Loop(model, optimizer, times(4, update))
