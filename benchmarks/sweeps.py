"""`sweep`, which trains all values together, against `train` for one value after the other.

Both give the same bits. `torch.func`, which does not, is there for comparison. All are timed in
processor time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F  # noqa: N812

from benchmarks.measure import Row
from gradwidgets.core import Problem, Recipe, problems, train
from gradwidgets.sweep import Sweep, sweep

RANGE = 51
TARGETS = {
    "line": 1 / 25,
    "bowl": 1 / 25,
    "moons": 1 / 4.7,
    "spirals": 1 / 2.5,
    "digits": 1 / 6.7,
    "digits_cnn": 1 / 4,
    "tokens": 1 / 4,
}
"""The ratio not to be exceeded with 51 values of scale. `chars` is trained one by one."""
FEW = (2, 4)
"""So many values of each problem, too."""
COUNTS = (1, 3, 10, 200)
WIDTHS = (4, 16, 64, 256)
PAIRS = 5


def rows() -> Iterator[Row]:
    """The range of a slider; then more and fewer replicas, wider and narrower models."""
    for name in problems.names():
        problem = problems.get(name)
        recipe = problem.recipe.replace(updates=100)
        yield row(problem, recipe, RANGE, target=TARGETS.get(name))
        for count in FEW:
            yield row(problem, recipe, count)
    adam = Recipe(optimizer="Adam", lr=0.01)
    yield row(problems.moons, adam, RANGE, "lr")
    for count in COUNTS:
        yield row(problems.moons, adam, count)
    for width in WIDTHS:
        yield row(of_width(width), Recipe(lr=0.1), RANGE)
    yield against_torch_func()


def row(
    problem: Problem, recipe: Recipe, count: int, field: str = "scale", target: float | None = None
) -> Row:
    """Some values of a field, together and one by one."""
    values = [getattr(recipe, field) * float(x) for x in np.linspace(0.1, 1, count)]
    return Row(
        f"sweep {problem.name}, {recipe.optimizer}, {count} values of {field}",
        partial(sweep, problem, recipe, field, values),
        partial(one_by_one, problem, [recipe.replace(**{field: value}) for value in values]),
        pairs=PAIRS,
        target=target,
        clock=time.process_time,
    )


def one_by_one(problem: Problem, recipes: list[Recipe]) -> None:
    """Train what a sweep trains, without one."""
    for recipe in recipes:
        train(problem, recipe)


def of_width(width: int) -> Problem:
    """`moons`, with so many hidden units."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 2))

    return Problem(f"moons of width {width}", model, problems.moons.batches(), F.cross_entropy)


def against_torch_func() -> Row:
    """Two hundred updates of SGD on 51 replicas of `moons`, recording nothing but in ours."""
    recipes = [Recipe(lr=0.01 * (1 + number)) for number in range(RANGE)]
    model = problems.moons.build()
    x, y = problems.moons.batches()
    rates = torch.tensor([recipe.lr for recipe in recipes])

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return F.cross_entropy(functional_call(model, parameters, x), y)

    def mapped() -> None:
        start = {name: p.detach() for name, p in model.named_parameters()}
        values = {name: p.expand(RANGE, *p.shape).clone() for name, p in start.items()}
        gradients_of = vmap(grad(loss))
        for _ in range(recipes[0].updates):
            gradients = gradients_of(values)
            for name, value in values.items():
                value -= rates.view(-1, *[1] * (value.ndim - 1)) * gradients[name]

    return Row(
        f"sweep moons, SGD, {RANGE} values of lr, against a bare loop with torch.func.vmap",
        lambda: Sweep(problems.moons, recipes).advance(),
        mapped,
        pairs=PAIRS,
        clock=time.process_time,
    )
