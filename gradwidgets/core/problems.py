"""The built-in problems. What you read here is what runs, and what `script` writes.

`problems.line` and the others are `Problem` objects, made when first asked for. Each is three
plain functions: data, model and loss. Data follows `torch.get_default_dtype()`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe

line: Problem
bowl: Problem
moons: Problem
spirals: Problem
digits: Problem
digits_cnn: Problem
tokens: Problem
chars: Problem


def line_data() -> tuple[Tensor, Tensor]:
    """64 points near y = 2 x - 1."""
    draw = torch.Generator().manual_seed(0)
    x = torch.linspace(-1, 1, 64).unsqueeze(1)
    return x, 2 * x - 1 + 0.1 * torch.randn(64, 1, generator=draw)


def line_model() -> nn.Module:
    """One weight, one bias."""
    return nn.Linear(1, 1)


def bowl_data() -> tuple[Tensor, Tensor]:
    """64 samples of two uncorrelated features, one five times as large as the other."""
    angle = torch.arange(64) * (2 * torch.pi / 64)
    x = torch.stack([0.5 * angle.cos(), 2.5 * angle.sin()], dim=1)
    return x, x.sum(dim=1, keepdim=True)


def bowl_model() -> nn.Module:
    """Two weights, far from the solution (1, 1); the loss is a quadratic of condition 25."""
    model = nn.Linear(2, 1, bias=False)
    nn.init.constant_(model.weight, -2.0)
    return model


def moons_data() -> tuple[Tensor, Tensor]:
    """200 points on two interleaved half-circles."""
    draw = torch.Generator().manual_seed(0)
    angle = torch.linspace(0, torch.pi, 100)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    x = torch.cat([upper, lower]) + 0.15 * torch.randn(200, 2, generator=draw)
    y = torch.arange(200) // 100
    order = torch.randperm(200, generator=draw)
    return x[order], y[order]


def moons_model() -> nn.Module:
    """A perceptron with 16 hidden units."""
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))


def spirals_data() -> tuple[Tensor, Tensor]:
    """300 points on two intertwined spirals."""
    draw = torch.Generator().manual_seed(0)
    turn = torch.linspace(0.05, 1, 150).sqrt() * 2.5 * torch.pi
    arm = torch.stack([turn.cos() * turn, turn.sin() * turn], dim=1) / 5
    x = torch.cat([arm, -arm]) + 0.05 * torch.randn(300, 2, generator=draw)
    y = torch.arange(300) // 150
    order = torch.randperm(300, generator=draw)
    return x[order], y[order]


def spirals_model() -> nn.Module:
    """A perceptron with two hidden layers."""
    return nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
    )


def digits_data(test: bool = False) -> tuple[Tensor, Tensor]:
    """8x8 handwritten digits: 1437 to train on, every fifth (360) held out."""
    from gradwidgets.core.digits import load_digits  # the same as in sklearn.datasets

    digits = load_digits()
    x = torch.tensor(digits.data / 16, dtype=torch.get_default_dtype())
    y = torch.tensor(digits.target)
    held_out = torch.arange(len(x)) % 5 == 0
    return (x[held_out], y[held_out]) if test else (x[~held_out], y[~held_out])


def digits_model() -> nn.Module:
    """A perceptron with 32 hidden units."""
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def digits_cnn_model() -> nn.Module:
    """Two convolutions, with batch normalisation."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


def tokens_data() -> tuple[Tensor, Tensor]:
    """96 sequences of 3 to 12 tokens: predict the running sum modulo 5; 0 and -100 are padding."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(1, 6, (96, 12), generator=draw)
    length = torch.randint(3, 13, (96, 1), generator=draw)
    padding = torch.arange(12) >= length
    y = (x.cumsum(dim=1) % 5).masked_fill(padding, -100)
    return x.masked_fill(padding, 0), y


class TokenModel(nn.Module):
    """Embedding, recurrent layer, one prediction per token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 8, padding_idx=0)
        self.recurrent = nn.GRU(8, 24, batch_first=True)
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        """(samples, tokens) token ids to (samples, tokens, 5) scores."""
        output: Tensor = self.head(self.recurrent(self.embedding(x))[0])
        return output


def token_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean over the tokens that are not padding."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten(), ignore_index=-100)


def chars_data(test: bool = False) -> tuple[Tensor, Tensor]:
    """212 sentences of a story: predict each next character; every fifth sentence is held out.

    Id 0 stands before and after a sentence. Behind its end inputs are 0 and targets -100.
    """
    from gradwidgets.core.chars import load_lines

    lines = load_lines()
    alphabet = "\n" + "".join(sorted(set("".join(lines))))
    x = torch.zeros(len(lines), 41, dtype=torch.long)
    y = torch.full_like(x, -100)
    for i, line in enumerate(lines):
        ids = torch.tensor([alphabet.index(character) for character in f"\n{line}\n"])
        x[i, : len(line) + 1], y[i, : len(line) + 1] = ids[:-1], ids[1:]
    held_out = torch.arange(len(lines)) % 5 == 0
    return (x[held_out], y[held_out]) if test else (x[~held_out], y[~held_out])


class CharModel(nn.Module):
    """A transformer with one block; the table of characters is its input and its output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(44, 32)
        self.position = nn.Embedding(41, 32)
        self.norm1 = nn.LayerNorm(32)
        self.query_key_value = nn.Linear(32, 96, bias=False)
        self.attention_output = nn.Linear(32, 32)
        self.norm2 = nn.LayerNorm(32)
        self.mlp = nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 32))
        self.norm3 = nn.LayerNorm(32)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.position.weight, std=0.1)

    def attention(self, h: Tensor) -> Tensor:
        """Causal self-attention, with two heads of 16 features."""
        q, k, v = self.query_key_value(h).unflatten(2, (3, 2, 16)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        output: Tensor = self.attention_output(mixed.transpose(1, 2).flatten(2))
        return output

    def forward(self, x: Tensor) -> Tensor:
        """(samples, characters) ids to (samples, characters, 44) scores."""
        h = self.embedding(x) + self.position.weight[: x.shape[1]]
        h = h + self.attention(self.norm1(h))
        h = h + self.mlp(self.norm2(h))
        return F.linear(self.norm3(h), self.embedding.weight)


_BUILT_IN: dict[str, Callable[[], Problem]] = {
    "line": lambda: Problem(
        "line",
        line_model,
        line_data,
        F.mse_loss,
        recipe=Recipe(updates=100),
        description="Fit a straight line: two parameters, so the loss is a landscape.",
    ),
    "bowl": lambda: Problem(
        "bowl",
        bowl_model,
        bowl_data,
        F.mse_loss,
        recipe=Recipe(updates=100),
        description="A long narrow valley: one direction is 25 times as steep as the other.",
    ),
    "moons": lambda: Problem(
        "moons",
        moons_model,
        moons_data,
        F.cross_entropy,
        recipe=Recipe(lr=0.5),
        description="Tell two half-moons apart.",
    ),
    "spirals": lambda: Problem(
        "spirals",
        spirals_model,
        spirals_data,
        F.cross_entropy,
        recipe=Recipe(optimizer="Adam", lr=0.01, updates=300),
        description="Tell two intertwined spirals apart.",
    ),
    "digits": lambda: Problem(
        "digits",
        digits_model,
        digits_data,
        F.cross_entropy,
        held_out=partial(digits_data, test=True),
        recipe=Recipe(lr=0.5, batch_size=64, updates=300),
        description="Read handwritten digits.",
    ),
    "digits_cnn": lambda: Problem(
        "digits_cnn",
        digits_cnn_model,
        digits_data,
        F.cross_entropy,
        held_out=partial(digits_data, test=True),
        recipe=Recipe(optimizer="Adam", lr=0.01, batch_size=64, updates=100),
        description="Read handwritten digits with convolutions and batch normalisation.",
    ),
    "tokens": lambda: Problem(
        "tokens",
        TokenModel,
        tokens_data,
        token_loss,
        recipe=Recipe(optimizer="Adam", lr=0.01, batch_size=32),
        description="Keep a running sum over sequences of different lengths.",
    ),
    "chars": lambda: Problem(
        "chars",
        CharModel,
        chars_data,
        token_loss,
        held_out=partial(chars_data, test=True),
        metric="loss",
        recipe=Recipe(optimizer="AdamW", lr=0.003, batch_size=16),
        description="Predict a story character by character, with a small transformer.",
    ),
}


def names() -> list[str]:
    """The names of the built-in problems."""
    return list(_BUILT_IN)


def get(problem: str | Problem) -> Problem:
    """The built-in problem of that name; a `Problem` is returned as it is.

    Raises:
        ValueError: there is no built-in problem of that name.
    """
    if isinstance(problem, Problem):
        return problem
    if problem not in _BUILT_IN:
        raise ValueError(f"problem={problem!r} is unknown; give a Problem or one of {names()}")
    if problem not in globals():
        globals()[problem] = _BUILT_IN[problem]()
    built: Problem = globals()[problem]
    return built


def is_built_in(problem: Problem) -> bool:
    """Tell whether a problem is the built-in one of its name.

    >>> is_built_in(get("line"))
    True
    """
    return problem.name in _BUILT_IN and get(problem.name) is problem


def __getattr__(name: str) -> Problem:
    if name in _BUILT_IN:
        return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
