"""Recipes drawn at random, small enough to run hundreds of them."""

from __future__ import annotations

import random
from typing import Any

from gradwidgets.core import Recipe, problems
from gradwidgets.core.optimizers import OPTIMIZERS
from gradwidgets.core.parameter_groups import FREEZE_BY
from gradwidgets.core.recipe import DTYPES, ROUNDINGS
from tests.own_optimizers import Lion, Twice

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.8, "nesterov": True}, {"weight_decay": 0.01}],
    "Adam": [{}, {"betas": (0.8, 0.99)}, {"amsgrad": True}],
    "LBFGS": [{"max_iter": 3}, {"max_iter": 2, "line_search_fn": "strong_wolfe"}],
}
SCHEDULES: list[dict[str, Any]] = [
    {"schedule": "linear"},
    {"schedule": "cosine", "schedule_per": "micro-batch"},
    {"schedule": "cosine", "schedule_options": {"eta_min": 1e-3}},
    {"schedule": "one-cycle"},
    {"schedule": "one-cycle", "schedule_options": {"div_factor": 3.0}},
    {"schedule": "step", "schedule_per": "micro-batch"},
    {"schedule": "constant"},
    {"schedule": "ExponentialLR", "schedule_options": {"gamma": 0.7}},
    {"schedule": "MultiStepLR", "schedule_options": {"milestones": (1, 3), "gamma": 0.5}},
]
WITHOUT_WARMUP: list[dict[str, Any]] = [
    {
        "schedule": "CyclicLR",
        "schedule_options": {
            "base_lr": 1e-3,
            "max_lr": 0.2,
            "step_size_up": 2,
            "cycle_momentum": False,
        },
    },
    {"schedule": "ReduceLROnPlateau", "schedule_options": {"patience": 0, "threshold": 0.5}},
]
TRAINABLE = sorted(OPTIMIZERS.keys() - {"SparseAdam", "Muon"})  # those two refuse dense biases
OWN: dict[int, dict[str, Any]] = {
    3: {"optimizer": Lion, "options": {"weight_decay": 0.1}},
    8: {"optimizer": Twice, "options": {"ahead": 0.01}},
}
"""Optimizers of one's own that some recipes have instead, by the last digit of their number."""
UNGROUPED = ("LBFGS", "Adagrad")
"""Optimizers that refuse some groups."""
PATTERNS = {
    "line": "weight",
    "bowl": "w*",
    "digits_cnn": "*.weight",
    "tokens": "recurrent.*",
    "chars": "norm*",
}


def random_recipe(number: int) -> tuple[str, Recipe]:
    """A built-in problem's name and a recipe for it; every problem has its turn."""
    draw = random.Random(number)
    name = problems.names()[number % len(problems.names())]
    optimizer = draw.choice([*TRAINABLE, "SGD", "SGD", "Adam", "LBFGS"])
    pattern = PATTERNS.get(name, "0.*")

    def schedule(held_out: bool) -> dict[str, Any]:
        kind = draw.random()
        if kind < 0.5:
            return {}
        if kind < 0.6:
            return draw.choice(WITHOUT_WARMUP if held_out else WITHOUT_WARMUP[:1])
        return {**draw.choice(SCHEDULES), "warmup_steps": draw.choice([0, 0, 1, 3, 9])}

    def often(usual: Any, *other: Any) -> Any:
        return draw.choice([usual, usual, *other])

    recipe = Recipe(
        optimizer=optimizer,
        lr=10 ** draw.uniform(-3, 0),
        options=draw.choice(OPTIONS.get(optimizer, [{}])),
        scale=often(1.0, draw.uniform(-1, 3), 100.0, 0.0),
        mask=often(0.0, draw.uniform(0, 1), 1.0),
        mask_kind=draw.choice(["first", "random", "unit", pattern]),
        l1=often(0.0, draw.uniform(0, 0.1)),
        l2=often(0.0, draw.uniform(0, 0.1)),
        max_norm=often(None, draw.uniform(0.01, 1)),
        accumulation_steps=often(1, draw.randint(2, 7)),
        average=draw.random() < 0.6,
        clear=often("none", "zero", "never"),
        batch_size=draw.choice([16, 33, 64, None if name != "digits_cnn" else 50]),
        updates=draw.randint(2, 6),
        stop_below=often(None, draw.uniform(0.1, 2)),
        seed=draw.randint(0, 2**40),
        patience=often(None, 1, 2) if problems.get(name).held_out else None,
        **schedule(problems.get(name).held_out is not None),
    )
    recipe = with_precision(recipe.replace(**OWN.get(number % 10, {})), draw)
    if number % 5 == 2 and optimizer not in UNGROUPED and name != "bowl":
        recipe = recipe.replace(dtype=None, rounding="nearest")  # groups go with no other
        part = {"lr": 0.01, "frozen_until": 2, "freeze_by": FREEZE_BY[number // 5 % 4]}
        if part["freeze_by"] in ("lr", "left out"):  # no schedule goes with these
            recipe = recipe.replace(schedule="constant", schedule_options={}, warmup_steps=0)
        recipe = recipe.replace(groups={pattern: part})
    return name, recipe


def with_precision(recipe: Recipe, draw: random.Random) -> Recipe:
    """In one of four cases another precision, of those that go with the recipe."""
    closure = recipe.optimizer in ("LBFGS", Twice)
    dtypes = [each for each in DTYPES if each != "float16 autocast"]
    if not closure and recipe.clear != "never":
        dtypes.append("float16 autocast")
    dtype = draw.choice([*[None] * 3 * len(dtypes), *dtypes])
    rounding = draw.choice(ROUNDINGS[:1] if closure else ROUNDINGS)
    return recipe.replace(dtype=dtype, rounding=rounding)
