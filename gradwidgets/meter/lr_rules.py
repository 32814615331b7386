"""Compare rules for lr when the batch grows, by training: none, square root, and linear.

A batch that is `factor` times as large makes `factor` times fewer updates of the same samples. Each
rule multiplies lr to make up for that; which one does so on a problem is measured here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwidgets.components import PagedTable, cell
from gradwidgets.core import (
    SHAPES,
    History,
    Problem,
    Recipe,
    is_pair,
    name_of,
    needs_loss,
    not_allowed,
    problems,
    reduction,
    validate,
)
from gradwidgets.sweep import Sweep

RULES: dict[str, Callable[[float], float]] = {
    "none": lambda _: 1.0,
    "square root": math.sqrt,
    "linear": lambda factor: factor,
}
"""What lr is multiplied by when the batch grows by a factor."""
BEST = "best of all tried"
SEEDS = 5
LRS = {
    "SGD": tuple(0.1 * 2.0**power for power in range(-4, 6)),
    "Adam": tuple(0.01 * 2.0**power for power in range(-3, 7)),
}
"""Learning rates that a meter tries, by optimizer."""


@dataclass(frozen=True)
class Trial:
    """One batch size with one learning rate, over several seeds.

    Args:
        batch: samples per update.
        rule: the name of the rule; "" for the small batch.
        lr: the learning rate.
        updates: how many were made in a run.
        losses: the loss at the end with each seed; infinite where the run diverged.

    >>> Trial(batch=16, rule="linear", lr=0.4, updates=50, losses=(0.5, 0.7)).loss
    0.6
    """

    batch: int
    rule: str
    lr: float
    updates: int
    losses: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.losses))


@dataclass(frozen=True, repr=False)
class LrRules(PagedTable):
    """The rules for one optimizer, compared; printed as a table, in Jupyter as HTML.

    Args:
        problem: its name.
        optimizer: its name.
        epochs: passes over the data in every run.
        samples: samples in the data.
        small: the batch that is made larger.
        rules: the large batch with each of `RULES`.
        best: the large batch with the best of `lrs`; None if none was tried.
        lrs: the learning rates that were tried at both batches.

    >>> found = lr_rules("line", Recipe(batch_size=4, updates=20), factor=2, seeds=2)
    >>> [(trial.rule, trial.batch, trial.updates) for trial in found.rules]
    [('none', 8, 8), ('square root', 8, 8), ('linear', 8, 8)]
    """

    problem: str
    optimizer: str
    epochs: int
    samples: int
    small: Trial
    rules: tuple[Trial, ...]
    best: Trial | None = None
    lrs: tuple[float, ...] = ()

    @property
    def wins(self) -> dict[str, int]:
        """By rule, the seeds with which its loss is the lowest of the three, and finite."""
        table = np.array([trial.losses for trial in self.rules])
        lowest = (table == table.min(0)) & np.isfinite(table)
        return {trial.rule: int(n) for trial, n in zip(self.rules, lowest.sum(1), strict=True)}

    def page(self) -> dict[str, Any]:
        """The table as plain data for a `BarTable`."""
        return rules_page([self])


def lr_rules(
    problem: Problem | str,
    recipe: Recipe | None = None,
    factor: int = 4,
    seeds: int = SEEDS,
    lrs: Sequence[float] = (),
) -> LrRules:
    """Train with a batch and with one `factor` times as large, lr scaled by each of `RULES`.

    All runs see the same samples as often (whole epochs, as near to `recipe.updates` as they come),
    and those of a seed begin with the same parameters. What is compared is the loss of all samples,
    in eval mode, after the last update. `stop_below`, `patience` and accumulation are left out. A
    shape of `Recipe.schedule` is as long as each run, and a warm-up as many samples long.

    Args:
        problem: a `Problem` whose data are tensors, or the name of a built-in one.
        recipe: the settings; `batch_size` is the small batch. None takes the problem's own.
        factor: how many times larger the batch becomes.
        seeds: so many runs of each kind, with the seeds that follow `recipe.seed`.
        lrs: learning rates to try: the small batch takes the one with the lowest mean loss, and
            the rules go on from it; they are tried at the large batch, too. Without any, the small
            batch takes `recipe.lr`.

    Raises:
        ValueError: the data are no tensors, `batch_size` times `factor` is more than there are, or
            the loss sums over the samples, so that its gradient grows with the batch by itself; or
            the recipe counts updates or gives learning rates that no rule would change.
        TrainingError: the model or the loss failed.

    >>> found = lr_rules("moons", Recipe(batch_size=16, updates=26), seeds=2)
    >>> [round(trial.lr, 3) for trial in (found.small, *found.rules)]
    [0.1, 0.1, 0.2, 0.4]
    """
    *_, found = in_slices(problem, recipe, factor, seeds, lrs, math.inf)
    assert isinstance(found, LrRules)
    return found


def in_slices(
    problem: Problem | str,
    recipe: Recipe | None,
    factor: int,
    seeds: int,
    lrs: Sequence[float],
    seconds: float,
) -> Iterator[str | LrRules]:
    """Do the work of `lr_rules` in slices of `seconds`; after each says what is trained.

    The comparison comes last.
    """
    problem = problems.get(problem)
    recipe = recipe or problem.recipe
    validate.Count(2)("factor", factor)
    validate.Count()("seeds", seeds)
    for lr in lrs:
        validate.Number(0, above=True)("lrs", lr)
    needs_loss(problem, "lr_rules")
    _refuse_fixed(recipe)
    data = problem.batches()
    if not is_pair(data):
        raise not_allowed("Problem.data", data, "(x, y) tensors, of which batches can be drawn")
    if reduction(problem.loss) == "sum":
        raise not_allowed("Problem.loss", problem.loss, "a mean over the samples")
    _, y = data
    count = len(y)
    batch = recipe.batch_size
    if batch is None or batch * factor > count:
        wish = f"a batch of which {factor} fit into the {count} samples"
        raise not_allowed("batch_size", batch, wish)
    epochs = max(1, round(recipe.updates / math.ceil(count / batch)))
    measured = dataclasses.replace(problem, held_out=problem.data, metric="loss")
    start = recipe.replace(stop_below=None, patience=None, accumulation_steps=1, average=True)
    optimizer = name_of(recipe.optimizer)

    def trained(size: int, chosen: Sequence[float]) -> Generator[str, None, list[Trial]]:
        updates = epochs * math.ceil(count / size)
        warmup = math.ceil(recipe.warmup_steps * batch / size)
        sized = start.replace(batch_size=size, updates=updates, warmup_steps=warmup)
        recipes = [
            sized.replace(lr=lr, seed=recipe.seed + seed) for lr in chosen for seed in range(seeds)
        ]
        sweep = Sweep(measured, recipes, snapshots=False)
        while not sweep.done:
            sweep.advance(seconds=seconds)
            yield f"{optimizer}: training {len(recipes)} runs with batches of {size}"
        losses = [_end(history) for history in sweep.histories()]
        parts = (losses[i : i + seeds] for i in range(0, len(losses), seeds))
        return [
            Trial(size, "", lr, updates, tuple(part))
            for lr, part in zip(chosen, parts, strict=True)
        ]

    small = min((yield from trained(batch, lrs or [recipe.lr])), key=lambda trial: trial.loss)
    scaled = [small.lr * times(factor) for times in RULES.values()]
    found = yield from trained(batch * factor, [*scaled, *lrs])
    rules = [
        dataclasses.replace(each, rule=rule) for rule, each in zip(RULES, found[:3], strict=True)
    ]
    best = min(found, key=lambda trial: trial.loss) if lrs else None
    yield LrRules(
        problem=problem.name,
        optimizer=optimizer,
        epochs=epochs,
        samples=count,
        small=small,
        rules=tuple(rules),
        best=best and dataclasses.replace(best, rule=BEST),
        lrs=tuple(lrs),
    )


def _refuse_fixed(recipe: Recipe) -> None:
    """Refuse what would not fit runs of another length, or a learning rate that a rule changes."""
    if recipe.schedule not in SHAPES or recipe.schedule_options:
        wish = f"one of {', '.join(map(repr, SHAPES))}, without schedule_options: options count "
        wish += "updates, of which a large batch makes fewer, or give learning rates of their own"
        raise not_allowed("schedule", recipe.schedule, wish)
    if recipe.groups:
        wish = "none: they count updates, and give learning rates of their own"
        raise not_allowed("groups", recipe.groups, wish)


def _end(history: History) -> float:
    """The loss of all samples at the end of a run; infinite if it diverged."""
    if history.stopped or not len(history.held_out):
        return math.inf
    loss = float(history.held_out[-1, 1])
    return loss if math.isfinite(loss) else math.inf


def rules_page(comparisons: Sequence[LrRules]) -> dict[str, Any]:
    """Comparisons of one problem with several optimizers, as a table."""
    first = comparisons[0]
    trials = {each.optimizer: _trials(each) for each in comparisons}
    losses = [trial.loss for group in trials.values() for trial in group]
    top = max((loss for loss in losses if math.isfinite(loss)), default=1.0)
    rows = [_row(optimizer, trial, top) for optimizer, group in trials.items() for trial in group]
    return {
        "caption": f"{first.problem}: lr when the batch grows from {first.small.batch} to "
        f"{first.rules[0].batch}",
        "columns": [
            {"name": "lr"},
            {"name": "updates"},
            {"name": "loss, mean", "help": "of all samples at the end, over the seeds"},
            {"name": "lowest to highest", "help": "over the seeds"},
        ],
        "rows": rows,
        "sentence": " ".join(map(_sentence, comparisons)),
        "notes": [*_notes(comparisons)],
    }


def _trials(found: LrRules) -> list[Trial]:
    return [found.small, *found.rules, *([found.best] if found.best else [])]


def _row(optimizer: str, trial: Trial, top: float) -> dict[str, Any]:
    finite = math.isfinite(trial.loss)
    share = trial.loss / top if finite and top > 0 else 1.0
    cells = [
        cell(f"{trial.lr:.3g}"),
        cell(str(trial.updates)),
        cell(f"{trial.loss:.3g}" if finite else "diverged", share, "" if finite else "bad"),
        cell(f"{min(trial.losses):.3g} to {max(trial.losses):.3g}"),
    ]
    name = f"{optimizer}, batch {trial.batch}{': ' * bool(trial.rule)}{trial.rule}"
    return {"name": name, "detail": "", "cells": cells}


def _sentence(found: LrRules) -> str:
    seeds = len(found.small.losses)
    least = min(found.rules, key=lambda trial: trial.loss)
    if not math.isfinite(least.loss):
        return f"{found.optimizer}: with each rule a run diverged."
    return (
        f"{found.optimizer}: of the three rules, `{least.rule}` ended with the lowest mean loss "
        f"({least.loss:.3g}; the batch of {found.small.batch} ended at {found.small.loss:.3g}), "
        f"and was lowest in {found.wins[least.rule]} of {seeds} seeds."
    )


def _notes(comparisons: Sequence[LrRules]) -> Iterator[str]:
    first = comparisons[0]
    yield (
        f"Every run makes {first.epochs} passes over the {first.samples} samples. The runs of a "
        "seed begin with the same parameters. This is measured on this problem, with these "
        "settings, and need not hold elsewhere."
    )
    for found in comparisons:
        if not found.lrs or found.best is None:
            continue
        yield (
            f"{found.optimizer}: lr {found.small.lr:.3g} is the best of {len(found.lrs)} for the "
            f"batch of {found.small.batch}, of those from {min(found.lrs):.3g} to "
            f"{max(found.lrs):.3g}; the best found for {found.best.batch} is "
            f"{found.best.lr / found.small.lr:.3g} times as large."
        )
        if found.small.lr in (min(found.lrs), max(found.lrs)):
            yield f"{found.optimizer}: that is an end of what was tried; a better lr may be beyond."
