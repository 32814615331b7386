"""`train`, which records everything, against a loop that appends the loss and no more."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.measure import Row
from gradwidgets.core import Problem, Recipe, problems, train

PROBLEMS = ("moons", "spirals", "digits")
OPTIMIZERS = {"SGD": 0.1, "Adam": 0.01}
TARGET = 1.15


def rows() -> Iterator[Row]:
    """One row for each problem and optimizer, on full batches."""
    for name in PROBLEMS:
        for optimizer, lr in OPTIMIZERS.items():
            problem = problems.get(name)
            recipe = Recipe(optimizer=optimizer, lr=lr, updates=200)
            yield Row(
                f"train {name}, {optimizer}, 200 updates",
                partial(train, problem, recipe),
                partial(bare_loop, problem, recipe),
                target=TARGET,
            )


def bare_loop(problem: Problem, recipe: Recipe) -> list[float]:
    """The loop of every tutorial."""
    torch.manual_seed(recipe.seed)
    model = problem.build()
    x, y = problem.batches()
    optimizer = getattr(torch.optim, recipe.optimizer)(model.parameters(), lr=recipe.lr)
    losses = []
    for _ in range(recipe.updates):
        optimizer.zero_grad()
        loss = problem.loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
