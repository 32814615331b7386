"""The recipes that can be trained together, and the reasons why others cannot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from gradwidgets.core import EDITS, PLATEAU, Problem, Recipe, Run, is_pair, name_of, option_defaults
from gradwidgets.sweep.step import OWN_OPTIONS, TAKEN

if TYPE_CHECKING:
    from gradwidgets.sweep.run import SweptRun

_EDITED = tuple(name for entry in EDITS if entry.sweeps for name in entry.settings)
_OF_SCHEDULE = ("schedule", "schedule_options", "warmup_steps", "schedule_per")
_ENDS = ("stop_below", "patience")
SWEPT_TOGETHER = ("lr", *_OF_SCHEDULE, *_EDITED, *_ENDS, "seed", *OWN_OPTIONS)
"""The settings in which replicas may differ."""
TRAINED_ALONE = ("groups", "dtype", "rounding")
"""Settings of which sweeps know the default only."""
CHUNK_ELEMENTS = 1_000_000
"""Elements of the largest tensor of a chunk of replicas: more would leave the cache."""
UPDATES = 4
"""Updates of the run that is trained alone beside its replica. In the first, operations that have
not been tried yet are made replica by replica."""
FEW = 4
"""Fewer replicas are trained one by one: together, two take up to 1.3 times as long."""
QUICK = 0.5
"""So are runs that take fewer seconds in all: to find out what is exact takes 0.1 to 0.4 s."""


def obstacle(problem: Problem, recipes: Sequence[Recipe]) -> str | None:
    """Return why the recipes cannot be trained together, as far as they tell it; or None."""
    if problem.step is not None:
        return "the problem's own step is written for one model"
    return _obstacle_in_settings(problem, recipes) or _obstacle_in_options(recipes)


def _obstacle_in_settings(problem: Problem, recipes: Sequence[Recipe]) -> str | None:
    first = recipes[0]
    changed = {name for recipe in recipes for name in recipe.changes()}
    formless = [name for entry in EDITS if not entry.sweeps for name in entry.settings]
    for name in (*formless, *TRAINED_ALONE):
        if name in changed:
            return f"{name} has no form for many replicas"
    for spec in dataclasses.fields(Recipe):
        differ = any(getattr(r, spec.name) != getattr(first, spec.name) for r in recipes)
        if differ and spec.name not in (*SWEPT_TOGETHER, "options"):
            return f"{spec.name} changes the loop itself, and not a number in it"
    if first.edits:
        return "the recipe's own edits are written for one model"
    seeds = {recipe.seed for recipe in recipes}
    if not is_pair(problem.batches()) and len(seeds) > 1:
        return "the seeds would draw different batches from one loader"
    if first.batch_size is not None and first.accumulation_steps > 1 and len(seeds) > 1:
        return "micro-batches of different draws lie elsewhere in memory, which sums depend on"
    return _obstacle_in_schedules(recipes)


def _obstacle_in_schedules(recipes: Sequence[Recipe]) -> str | None:
    """Only the learning rate of a replica may change in its run, and by itself."""
    for recipe in recipes:
        if recipe.schedule == PLATEAU:
            return f"{PLATEAU} follows the metric of each run"
        cycles = recipe.schedule in ("OneCycleLR", "CyclicLR")
        if recipe.schedule_options.get("cycle_momentum", cycles):
            return f"{recipe.schedule} changes the momentum, too"
    return None


def _obstacle_in_options(recipes: Sequence[Recipe]) -> str | None:
    first = recipes[0]
    if first.optimizer not in TAKEN:
        return f"replicas of {name_of(first.optimizer)} are not known to give the same bits"
    usual = option_defaults(first.optimizer)
    for name, default in usual.items():
        values = [recipe.options.get(name, default) for recipe in recipes]
        if name not in TAKEN[first.optimizer] and any(value != default for value in values):
            return f"replicas of {first.optimizer} with {name} are not known to give the same bits"
        if name not in OWN_OPTIONS and any(value != values[0] for value in values):
            return f"{name} changes the optimizer itself, and not a number in it"
    return None


def differs(alone: Run, swept: SweptRun, replica: int) -> bool:
    """Tell whether a replica is not, to the last bit, its run alone after the same updates."""
    one, other = alone.history(), swept.histories()[replica]
    names = ("loss", "grad_norms", "edited_norms", "param_norms", "change_norms", "held_out", "lrs")
    assert one.model is not None
    assert other.model is not None
    states = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
        return True
    return not all(
        torch.allclose(a.double(), b.double(), 0.0, 0.0, equal_nan=True) for a, b in states
    )
