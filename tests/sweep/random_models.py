"""Models drawn at random: `sweep` gives the bits of `train`, or goes one by one and says why.

`make sweeps` tries some hundreds and prints what it saw; `make test` tries a few.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from gradwidgets import Problem, Recipe, sweep, train
from gradwidgets.core import settings
from gradwidgets.sweep import eligibility
from tests.sweep.same_bits import difference

FIELDS: dict[str, tuple[Any, ...]] = {
    "lr": (0.0, 0.001, 0.02, 0.1, 0.3),
    "scale": (0.0, 0.5, 1.0, 3.0, 30.0),
    "seed": (0, 1, 2, 7),
    "mask": (0.0, 0.2, 0.5, 1.0),
    "l2": (0.0, 0.001, 0.01, 0.1),
    "max_norm": (0.01, 0.1, 1.0, None),
}
OPTIMIZERS: tuple[dict[str, Any], ...] = (
    {},
    {"options": {"momentum": 0.9}},
    {"optimizer": "Adam", "lr": 0.01},
    {"optimizer": "AdamW", "lr": 0.01},
    {"optimizer": "RMSprop", "lr": 0.01},
)
DTYPES = (torch.float32, torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16)
WIDTHS = (1, 2, 3, 5, 8, 16, 17)
CLASSES = 3
WORDS = 11


class Residual(nn.Module):
    """Adds what a body makes of the input to it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Tied(nn.Module):
    """One matrix there, and back again; a buffer counts the calls."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.there, self.back = nn.Linear(width, 4, bias=False), nn.Linear(4, width)
        self.back.weight = nn.Parameter(self.there.weight.detach().t().contiguous())
        self.again = nn.Linear(width, 4, bias=False)
        self.again.weight = self.there.weight
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.back(torch.tanh(self.there(x)) + self.again(x))


class Functional(nn.Module):
    """A parameter of its own, and functions in place of modules."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x * self.gain).sin() + torch.rand(()).to(x)


class Last(nn.Module):
    """The last output of a recurrent module."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0][:, -1]


def activation(draw: random.Random) -> nn.Module:
    """One of those with and without arithmetic of their own, at times in place."""
    inplace = draw.random() < 0.3
    return draw.choice(
        [
            nn.Tanh(),
            nn.ReLU(inplace),
            nn.LeakyReLU(0.1, inplace),
            nn.Sigmoid(),
            nn.GELU(),
            nn.SiLU(inplace),
            nn.ELU(inplace=inplace),
            nn.Softplus(),
            nn.Identity(),
            nn.Hardtanh(inplace=inplace),
        ]
    )


def known_rows(draw: random.Random, width: int) -> tuple[list[nn.Module], int]:
    """Layers of rows that a sweep knows."""
    layers: list[nn.Module] = []
    for _ in range(draw.randint(1, 3)):
        to = draw.choice(WIDTHS)
        layers += [nn.Linear(width, to, bias=draw.random() < 0.8), activation(draw)]
        width = to
    return layers, width


def any_rows(draw: random.Random, width: int) -> tuple[list[nn.Module], int]:
    """Layers of rows, of which a sweep may know none."""
    layers, width = known_rows(draw, width)
    others: list[Callable[[], nn.Module]] = [
        lambda: nn.BatchNorm1d(width),
        lambda: nn.LayerNorm(width),
        lambda: nn.Dropout(0.3),
        lambda: Residual(nn.Sequential(nn.Linear(width, width), nn.Tanh())),
        lambda: Tied(width),
        lambda: Functional(width),
        lambda: nn.Sequential(),
    ]
    return [*layers, *(each() for each in draw.sample(others, draw.randint(1, 2)))], width


def body(draw: random.Random, kind: str) -> tuple[list[nn.Module], int]:
    """Layers from an input of that kind to rows, and the width of these."""
    width = draw.choice(WIDTHS[1:])
    if kind == "rows":
        return [], 5
    if kind == "images":
        norm = nn.BatchNorm2d(width) if draw.random() < 0.7 else nn.Identity()
        first = nn.Conv2d(2, width, draw.choice((1, 3)), padding=draw.choice((0, 1)))
        layers = [first, norm, activation(draw)]
        if draw.random() < 0.4:
            layers += [nn.Conv2d(width, width, 3, padding=1, groups=draw.choice((1, width)))]
        pools = nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Dropout2d(0.2)
        return [*layers, draw.choice(pools), nn.AdaptiveAvgPool2d(1), nn.Flatten()], width
    if kind == "series":
        return [nn.Conv1d(2, width, 3), activation(draw), nn.AdaptiveAvgPool1d(1), nn.Flatten()], (
            width
        )
    table = nn.Embedding(WORDS, width, padding_idx=draw.choice((None, 0)))
    cell = draw.choice((nn.GRU, nn.LSTM))(width, 4, batch_first=True)
    return [[table, Last(cell)], [table, nn.Flatten()]][draw.random() < 0.5], 0


def random_model(number: int, kind: str) -> nn.Module:
    """The same structure for the same number; weights by torch's generator."""
    draw = random.Random(number)
    layers, width = body(draw, kind)
    if kind == "words":
        width = 4 if isinstance(layers[-1], Last) else 6 * layers[0].embedding_dim
    rows, width = (known_rows if draw.random() < 0.6 else any_rows)(draw, width)
    return nn.Sequential(*layers, *rows, nn.Linear(width, CLASSES))


def random_case(number: int) -> tuple[Problem, Recipe, str]:
    """A problem, a recipe for it, and the setting to sweep."""
    draw = random.Random(-number - 1)
    kind = draw.choice(("rows", "rows", "images", "series", "words"))
    dtype, count = draw.choice(DTYPES), draw.choice((1, 4, 13, 32))
    generator = torch.Generator().manual_seed(number)
    shape = {"rows": (5,), "images": (2, 6, 6), "series": (2, 9), "words": (6,)}[kind]
    if kind == "words":
        x = torch.randint(WORDS, (count, *shape), generator=generator)
    else:
        x = torch.randn(count, *shape, generator=generator).to(dtype)
    y = torch.randint(CLASSES, (count,), generator=generator)
    losses = F.cross_entropy, nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1)
    loss = draw.choice((*losses, F.mse_loss, nn.MSELoss(), F.smooth_l1_loss))
    if loss not in losses:
        y = F.one_hot(y, CLASSES).to(dtype)
    held_out = (x[: count // 2 + 1], y[: count // 2 + 1]) if draw.random() < 0.3 else None
    problem = Problem(
        f"random {number}",
        lambda: random_model(number, kind).to(dtype),
        (x, y),
        loss,
        held_out=held_out,
    )
    recipe = Recipe(
        **draw.choice(OPTIMIZERS),
        updates=draw.randint(5, 12),
        batch_size=draw.choice((None, None, 5)),
        accumulation_steps=draw.choice((1, 1, 1, 2)),
        clear=draw.choice(("none", "none", "zero", "never")),
        max_norm=draw.choice((None, None, 0.5)),
    )
    return problem, recipe, draw.choice([*FIELDS])


def tried(number: int) -> tuple[str, str]:
    """Train one case both ways: ("same", "differs" or "raises", and the details)."""
    problem, recipe, field = random_case(number)
    values = FIELDS[field]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [_outcome(problem, settings.with_(recipe, **{field: each})) for each in values]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            histories = sweep(problem, recipe, field, values)
        except Exception as error:
            same = any(type(error) is type(each) for each in expected)
            return ("raises as train does" if same else "raises"), repr(error)
    for value, history, each in zip(values, histories, expected, strict=True):
        what = repr(each) if isinstance(each, Exception) else difference(history, each)
        if what:
            return "differs", f"{field}={value!r}: {what}"
    why = [str(each.message) for each in caught if "one by one" in str(each.message)]
    return ("one by one", why[0]) if why else ("together", "")


def _outcome(problem: Problem, recipe: Recipe) -> Any:
    try:
        return train(problem, recipe)
    except Exception as error:
        return error


def main(count: int, first: int = 0) -> int:
    """Print what differs or raises, and how many did what; return how many are wrong."""
    torch.set_num_threads(1)
    eligibility.QUICK = 0.0  # short as they are, the runs are to be trained together
    seen: Counter[str] = Counter()
    for number in range(first, first + count):
        outcome, details = tried(number)
        seen[outcome] += 1
        if outcome in ("differs", "raises"):
            print(f"{number}: {outcome}: {details}", flush=True)
    print(f"{count} random models: {dict(seen)}")
    return seen["differs"] + seen["raises"]


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
