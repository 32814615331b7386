"""Reasons why recipes or models cannot be trained in one run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from gradwidgets.core import EDITS, Problem, Recipe, Run, is_pair
from gradwidgets.sweep.run import SweptRun

_EDITED = tuple(name for entry in EDITS if entry.sweeps for name in entry.settings)
FIELDS = ("lr", *_EDITED, "stop_below", "seed")
"""Settings that replicas may differ in."""

OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adamax", "RAdam", "Adadelta")
"""Optimizers that treat each element on its own, with a step in proportion to `lr`, and that do
not blow up differences in rounding (RMSprop, Adagrad and NAdam do: where a gradient is zero but
for rounding, their first steps are as long as elsewhere)."""


def obstacle(problem: Problem, recipes: Sequence[Recipe]) -> str | None:
    """The reason why the recipes cannot be trained in one run, as far as they tell."""
    first = recipes[0]
    changed = {name for recipe in recipes for name in recipe.changes()}
    for entry in EDITS:
        if not entry.sweeps and changed.intersection(entry.settings):
            return f"{entry.settings[0]} has no form for many replicas"
    for spec in dataclasses.fields(Recipe):
        differ = any(getattr(r, spec.name) != getattr(first, spec.name) for r in recipes)
        if differ and spec.name not in FIELDS:
            return f"{spec.name} changes the loop itself, and not a number in it"
        if differ and spec.name == "seed" and not is_pair(problem.batches()):
            return "the seeds would draw different batches from one loader"
    if first.edits:
        return "the recipe's own edits are written for one model"
    if first.optimizer not in OPTIMIZERS:
        return f"replicas of {first.optimizer} would not give the same numbers"
    return None


def obstacle_in(one: Run) -> str | None:
    """The reason why the model of a run, after its first update, cannot be replicated, or None."""
    parameters = list(one.model.parameters())
    if any(True for _ in one.model.buffers()):
        return "the model has buffers, and each replica would need its own"
    if len({(p.dtype, p.device) for p in parameters}) > 1:
        return "the parameters differ in dtype or device"
    if any(not p.requires_grad for p in parameters):
        return "some parameters are frozen"
    if one.losses and any(p.grad is None for p in parameters):
        return "some parameters take no part in the loss"
    return None


def difference(one: Run, swept: SweptRun) -> str | None:
    """The reason why the first replica's first update is not that of a run of its own, or None."""
    if len({recipe.seed for recipe in swept.recipes}) > 1 and swept.draws:
        return "the model draws random numbers as it learns"
    ours = torch.nn.utils.parameters_to_vector(one.model.parameters()).detach()
    tolerance = torch.finfo(ours.dtype).eps ** 0.5
    if not torch.allclose(ours, swept.values[0].detach(), tolerance, tolerance, equal_nan=True):
        return "the model does not compute the same in a batch of replicas"
    return None
