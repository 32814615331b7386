"""Models, data and loops that cases are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.optim import Optimizer

from tests.checkup.loops.collection import Loop


def times(count: int, update: Callable[[], object]) -> Callable[[], None]:
    """The loop that does one update several times."""

    def train() -> None:
        for _ in range(count):
            update()

    return train


def regression(samples: int = 32, features: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets (samples, 1) of a noisy linear relation."""
    x = torch.randn(samples, features)
    return x, x @ torch.randn(features, 1) + 0.1 * torch.randn(samples, 1)


def counts(samples: int = 32, features: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and counts (samples, 1), whose logarithms are about linear in the inputs."""
    x = torch.randn(samples, features)
    return x, torch.poisson(torch.exp(0.3 * x.sum(1, keepdim=True)))


def images(samples: int = 8, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (samples, 1, 8, 8) and their classes."""
    return torch.randn(samples, 1, 8, 8), torch.randint(classes, (samples,))


def sequences(samples: int = 8, length: int = 10, words: int = 20) -> torch.Tensor:
    """Token numbers (samples, length)."""
    return torch.randint(words, (samples, length))


def mlp(features: int = 8, hidden: int = 16, out: int = 1) -> nn.Sequential:
    """Two layers and a ReLU."""
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, out))


def cnn(classes: int = 4) -> nn.Sequential:
    """A convolution with BatchNorm and dropout for `images`."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(24, classes),
    )


def in_order(*calls: Callable[[], object], reverse: bool) -> None:
    """Call one after the other, or the last one first."""
    for call in reversed(calls) if reverse else calls:
        call()


def optimizer_made(
    make: Callable[[], Optimizer], change: Callable[[], object], *, after: bool
) -> Optimizer:
    """An optimizer that is made after a change of the model, or before it."""
    if after:
        change()
    optimizer = make()
    if not after:
        change()
    return optimizer


def usual(
    model: nn.Module | Sequence[nn.Module],
    optimizer: Any,
    loss: Callable[[], torch.Tensor],
    count: int = 4,
    *,
    clear: bool = True,
    edit: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> Loop:
    """The loop of every tutorial: clear, forward, backward, step.

    `edit` is called before the step, `after` behind it.
    """

    def update() -> None:
        if clear:
            optimizer.zero_grad()
        loss().backward()
        edit()
        optimizer.step()
        after()

    return Loop(model, optimizer, times(count, update))


Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def fit(
    model: nn.Module, optimizer: Any, count: int = 3, criterion: Criterion = F.mse_loss, **how: Any
) -> Loop:
    """The usual loop on `regression`; `how` is what `usual` takes."""
    x, y = regression()
    return usual(model, optimizer, lambda: criterion(model(x), y), count, **how)


def classify(
    model: nn.Module,
    optimizer: Any,
    count: int = 4,
    criterion: Criterion = F.cross_entropy,
    **how: Any,
) -> Loop:
    """The usual loop on `images`; `how` is what `usual` takes."""
    x, y = images()
    return usual(model, optimizer, lambda: criterion(model(x), y), count, **how)


def simple(
    kind: type[Optimizer] = optim.SGD, lr: float = 0.01, **options: float
) -> tuple[nn.Module, Optimizer, torch.Tensor, torch.Tensor]:
    """Two layers, an optimizer of theirs and the data of `regression`."""
    model, (x, y) = mlp(), regression()
    return model, kind(model.parameters(), lr=lr, **options), x, y


def with_scaler(
    scaler: torch.amp.GradScaler,
    count: int,
    *,
    lr: float = 0.01,
    size: float = 1.0,
    update: bool = True,
) -> Loop:
    """The usual loop with a GradScaler, its loss multiplied by `size`."""
    model, optimizer, x, y = simple(lr=lr)

    def scaled_update() -> None:
        optimizer.zero_grad()
        scaler.scale(F.mse_loss(model(x), y) * size).backward()
        scaler.step(optimizer)
        if update:
            scaler.update()

    return Loop(model, optimizer, times(count, scaled_update))


def in_turn(models: Sequence[nn.Module], optimizers: Sequence[Optimizer], count: int = 3) -> Loop:
    """Several models, each with its optimizer, fitted to the same `regression` one by one."""
    x, y = regression()

    def update() -> None:
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    return Loop(models, optimizers, times(count, update))


class Tagger(nn.Module):
    """Embedding, bidirectional LSTM and a head for `sequences`."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(20, 8), nn.Linear(12, 5)
        self.rnn = nn.LSTM(8, 6, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.out(self.rnn(self.table(x))[0])


def tagging(model: nn.Module, optimizer: Optimizer, count: int = 3, **how: Any) -> Loop:
    """The usual loop that gives every token a class; `how` is what `usual` takes."""
    x, y = sequences(), torch.randint(5, (8, 10))

    def loss() -> torch.Tensor:
        return F.cross_entropy(model(x).transpose(1, 2), y)

    return usual(model, optimizer, loss, count, **how)


class LanguageModel(nn.Module):
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


def elbo(model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    """The negative evidence lower bound, its divergence weighted by 0.01."""
    rebuilt, mean, log_variance = model(x)
    divergence = -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum(1).mean()
    return F.mse_loss(rebuilt, x) + 0.01 * divergence


def predict_themselves(model: LanguageModel, x: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each token given itself and those before it."""
    return F.cross_entropy(model(x).flatten(0, 1), x.flatten())


def gan(count: int, *, clear_critic: bool = True, step_critic: bool = True) -> Loop:
    """A generator and a critic that train in turn, each with an Adam of its own."""
    generator, critic = mlp(4, 8, 2), mlp(2, 8, 1)
    opt_g, opt_d = (optim.Adam(m.parameters(), 1e-3) for m in (generator, critic))
    real = torch.randn(16, 2) + 3

    def update() -> None:
        fake = generator(torch.randn(16, 4))
        if clear_critic:
            opt_d.zero_grad()
        (F.softplus(critic(fake.detach())) + F.softplus(-critic(real))).mean().backward()
        if step_critic:
            opt_d.step()
        opt_g.zero_grad()
        F.softplus(-critic(fake)).mean().backward()
        opt_g.step()

    return Loop([generator, critic], [opt_g, opt_d], times(count, update))


def accumulated(
    model: nn.Module, optimizer: Optimizer, size: int, every: int, *, step_last: bool = False
) -> Loop:
    """A step after so many batches of `regression`, of that size; perhaps one after the last."""
    x, y = regression()
    batches = list(zip(x.split(size), y.split(size), strict=True))

    def train() -> None:
        optimizer.zero_grad()
        for index, (a, b) in enumerate(batches, 1):
            (F.mse_loss(model(a), b) / every).backward()
            if index % every == 0 or (step_last and index == len(batches)):
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


class TwoTables(nn.Module):
    """A language model whose embedding and output are to share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)

    def tie(self) -> None:
        """Make the two weights one."""
        self.out.weight = self.table.weight

    def forward(self, x):
        return self.out(self.table(x))

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each next token."""
        return F.cross_entropy(self(x[:, :-1]).transpose(1, 2), x[:, 1:])


def classes(
    samples: int = 32, features: int = 8, count: int = 3
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and classes that a linear map gives them."""
    x = torch.randn(samples, features)
    return x, (x @ torch.randn(features, count)).argmax(1)


class Pyramid(nn.Module):
    """A detector of one stage: levels of a pyramid, and heads that all levels share."""

    def __init__(self, *stem: nn.Module, levels: int = 3, width: int = 8) -> None:
        super().__init__()

        def convolution(stride: int = 1, channels: int = width) -> nn.Conv2d:
            return nn.Conv2d(width, channels, 3, stride, padding=1)

        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, padding=1), nn.ReLU(), *stem)
        self.down = nn.ModuleList(convolution(2) for _ in range(levels))
        self.smooth = nn.ModuleList(convolution() for _ in range(levels))
        self.classes = nn.Sequential(convolution(), nn.ReLU(), convolution(channels=2))
        self.boxes = nn.Sequential(convolution(), nn.ReLU(), convolution(channels=4))
        for layer in (*self.classes[::2], *self.boxes[::2]):
            nn.init.normal_(layer.weight, std=0.01)
        nn.init.constant_(self.classes[-1].bias, -4.6)  # one in a hundred is an object

    def forward(self, x):
        x, found = self.stem(x), []
        for down, smooth in zip(self.down, self.smooth, strict=True):
            x = torch.relu(down(x))
            level = smooth(x)
            found.append((self.classes(level), self.boxes(level)))
        return found


def focal_losses(
    found: list[tuple[torch.Tensor, torch.Tensor]], hit: Sequence[int]
) -> torch.Tensor:
    """The losses of RetinaNet; on each level of `hit` there is one box of one picture."""
    total = torch.zeros(())
    for level, (classes, boxes) in enumerate(found):
        target = torch.zeros_like(classes)
        if level in hit:
            target[0, 0, 0, 0] = 1
            total = total + F.l1_loss(boxes[0, :, 0, 0], torch.ones(4), reduction="sum")
        chance = classes.sigmoid()
        wrong = chance * (1 - target) + (1 - chance) * target
        each = F.binary_cross_entropy_with_logits(classes, target, reduction="none")
        total = total + ((0.75 - 0.5 * target) * wrong.square() * each).sum()
    return total
