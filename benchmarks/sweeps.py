"""`sweep`, which trains all values in one run, against `train` for one value after the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from torch import nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.measure import Row
from gradwidgets.core import Problem, Recipe, problems, train
from gradwidgets.sweep import sweep

OPTIMIZERS = {"SGD": (0.1, 1 / 6), "Adam": (0.01, 1 / 8)}
"""The learning rate, and the ratio not to be exceeded with 51 values on `moons`."""
RANGE = 51
COUNTS = (1, 3, 10, 51, 200)
WIDTHS = (4, 16, 64, 256)
PAIRS = 7


def rows() -> Iterator[Row]:
    """The range of a slider; then more and fewer replicas, wider and narrower models."""
    for optimizer, (lr, target) in OPTIMIZERS.items():
        recipe = Recipe(optimizer=optimizer, lr=lr)
        for field in ("scale", "lr"):
            yield row(problems.moons, recipe, RANGE, field, target)
    for name in ("spirals", "digits"):
        yield row(problems.get(name), problems.get(name).recipe, RANGE)
    for count in COUNTS:
        yield row(problems.moons, Recipe(optimizer="Adam", lr=0.01), count)
    for width in WIDTHS:
        yield row(of_width(width), Recipe(lr=0.1), RANGE)


def row(
    problem: Problem, recipe: Recipe, count: int, field: str = "scale", target: float | None = None
) -> Row:
    """So many values of a field, in one run and one by one."""
    values = [getattr(recipe, field) * float(x) for x in np.linspace(0.1, 1, count)]
    return Row(
        f"sweep {problem.name}, {recipe.optimizer}, {count} values of {field}",
        partial(sweep, problem, recipe, field, values),
        partial(one_by_one, problem, [recipe.replace(**{field: value}) for value in values]),
        pairs=PAIRS,
        target=target,
    )


def one_by_one(problem: Problem, recipes: list[Recipe]) -> None:
    """What a slider without a sweep does."""
    for recipe in recipes:
        train(problem, recipe)


def of_width(width: int) -> Problem:
    """`moons`, with so many hidden units."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 2))

    return Problem(f"moons of width {width}", model, problems.moons.batches(), F.cross_entropy)
