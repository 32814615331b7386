"""The learning rate of every replica at every update."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradwidgets.core import (
    Array,
    Recipe,
    build_scheduler,
    has_schedule,
    stepped_at,
    still_optimizer,
)
from gradwidgets.sweep.exact import NotExactError


class Rates:
    """Learning rates of recipes, from PyTorch's schedulers on optimizers that move nothing.

    >>> rates = Rates([Recipe(lr=0.1), Recipe(lr=0.1, warmup_steps=1)])
    >>> rates.now
    [0.1, 0.05]
    >>> rates.step("update")
    >>> rates.now
    [0.1, 0.1]
    """

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        self.now = [recipe.lr for recipe in recipes]
        self._recipes = recipes
        self._rows: list[list[float]] = []
        self._scheduled = []
        for place, recipe in enumerate(recipes):
            if has_schedule(recipe):
                optimizer = still_optimizer(recipe)
                scheduler = build_scheduler(optimizer, recipe)
                self._scheduled.append((place, optimizer, scheduler, stepped_at(recipe)))
        self._read()

    @property
    def changing(self) -> bool:
        """True if a recipe has a schedule."""
        return bool(self._scheduled)

    def _read(self) -> None:
        for place, optimizer, *_ in self._scheduled:
            self.now[place] = lr = float(optimizer.param_groups[0]["lr"])
            if not abs(lr) < 1e30:
                raise NotExactError(f"the schedule gives a learning rate of {lr:g}")

    def keep(self) -> None:
        """Keep the rates as those of the update that is made next."""
        if self._scheduled:
            self._rows.append(list(self.now))

    def step(self, at: str) -> None:
        """Step the schedulers that are stepped at this moment, see `stepped_at`."""
        for _, optimizer, scheduler, moment in self._scheduled:
            if moment == at:
                assert scheduler is not None
                optimizer.step()  # or PyTorch would warn of a wrong order
                scheduler.step()
        if self._scheduled:
            self._read()

    def history(self, replica: int, updates: int) -> Array:
        """(updates, 1) the rates of one replica."""
        if not self._scheduled:
            return np.full((updates, 1), self._recipes[replica].lr)
        rows = [row[replica] for row in self._rows[:updates]]
        return np.array(rows, dtype=np.float64).reshape(-1, 1)
