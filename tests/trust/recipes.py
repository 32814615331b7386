"""Recipes that nobody would write, drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from gradwidgets.core import Clip, Mask, Penalty, Recipe, Scale, problems
from gradwidgets.core.optimizers import OPTIMIZERS, OptimizerKind, option_defaults
from gradwidgets.core.parameter_groups import FREEZE_BY
from gradwidgets.core.recipe import DTYPES, ROUNDINGS
from gradwidgets.core.schedules import SCHEDULERS, SHAPES, schedule_option_names
from tests.own_optimizers import Lion, Replacing, Twice, head_only, lion_and_sgd

HUGE = 2**63 - 1
OWN: tuple[OptimizerKind, ...] = (Lion, Replacing, Twice, head_only, lion_and_sgd)
EXTREMES = (0.0, 5e-324, 1e-310, 1e-45, 1e-38, 1e-8, 0.5, 1.0, 1e4, 3e38, 1e39, 1.7e308)

numbers = st.sampled_from(EXTREMES) | st.floats(0, 10) | st.floats(0, allow_infinity=False)
signed = numbers | numbers.map(lambda number: -number)
shares = st.sampled_from((0.0, 5e-324, 1e-9, 0.5, 1 - 1e-9, 1.0)) | st.floats(0, 1)
counts = st.integers(1, 9) | st.sampled_from((50, 257, 1000, 10**6, 2**31 - 1, HUGE))
PLAUSIBLE: dict[str, Any] = {
    "alpha": shares,
    "betas": st.tuples(shares, shares),
    "dampening": shares,
    "eps": numbers,
    "line_search_fn": st.sampled_from((None, "strong_wolfe")),
    "max_iter": st.integers(1, 4),
    "momentum": shares,
    "weight_decay": numbers,
}
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.floats() | st.integers(-2, 2) | st.text(max_size=2), max_size=3),
    st.builds(object),
)


def options(optimizer: OptimizerKind) -> st.SearchStrategy[dict[str, Any]]:
    """Any of an optimizer's options: mostly of the right kind, at times of any kind."""
    known = option_defaults(optimizer)
    usual = {name: PLAUSIBLE.get(name, st.booleans() | numbers) for name in known}
    right = st.fixed_dictionaries({}, optional=usual)
    wrong = st.dictionaries(st.sampled_from([*known, "bogus"]), anything, max_size=2)
    return st.one_of(st.just({}), right, right, right, wrong)


@st.composite
def schedules(draw: st.DrawFn) -> dict[str, Any]:
    """Any schedule, with options mostly of the right kind."""
    name = draw(st.sampled_from((*SHAPES, *SCHEDULERS)))
    usual: dict[str, Any] = {
        "milestones": st.lists(st.integers(0, 9), max_size=3),
        "anneal_strategy": st.sampled_from(("cos", "linear")),
        "mode": st.sampled_from(("min", "max", "triangular", "exp_range")),
    }
    known = schedule_option_names(name)
    right = {option: usual.get(option, st.integers(0, 5) | numbers) for option in known}
    wrong = st.dictionaries(st.sampled_from([*known, "bogus"]), anything, max_size=2)
    return {
        "schedule": name,
        "schedule_options": draw(st.fixed_dictionaries({}, optional=right) | wrong),
        "warmup_steps": draw(st.just(0) | st.integers(0, 9) | st.just(HUGE)),
        "schedule_per": draw(st.sampled_from(("update", "update", "micro-batch"))),
    }


def drops(parameters: Sequence[Tensor]) -> None:
    """An edit that takes gradients away."""
    for parameter in parameters[1:]:
        parameter.grad = None


def poisons(parameters: Sequence[Tensor]) -> None:
    """An edit that leaves what is no number."""
    parameters[0].grad = torch.full_like(parameters[0], torch.nan)


def raises(_: Sequence[Tensor]) -> None:
    """An edit that fails."""
    raise ArithmeticError("this edit fails")


parts = st.fixed_dictionaries(
    {},
    optional={
        "lr": numbers,
        "weight_decay": numbers,
        "frozen_until": st.none() | st.integers(0, 4),
        "frozen_from": st.none() | st.integers(0, 4),
        "freeze_by": st.sampled_from(FREEZE_BY),
    },
)
EDITS = (drops, poisons, raises, Scale(1e30), Mask(1.0), Penalty(1e30, 1e30), Clip(1e-300))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "lr": numbers,
    "scale": signed,
    "mask": shares,
    "mask_kind": st.sampled_from(("first", "random", "unit", "*", "*bias", "0.*", "[", "nobody")),
    "l1": numbers,
    "l2": numbers,
    "max_norm": st.none() | numbers.filter(bool),
    "accumulation_steps": counts,
    "average": st.booleans(),
    "clear": st.sampled_from(("none", "zero", "never")),
    "batch_size": st.none() | counts,
    "updates": st.integers(1, 5) | st.sampled_from((1, 10**6, HUGE)),
    "stop_below": st.none() | signed,
    "patience": st.none() | counts,
    "dtype": st.none() | st.sampled_from(DTYPES),
    "rounding": st.sampled_from(ROUNDINGS),
    "seed": st.integers(0, 3) | st.sampled_from((2**31, 2**32, HUGE)),
    "groups": st.dictionaries(
        st.sampled_from(("*", "*bias", "0.*", "w*", "[", "nobody")), parts, max_size=2
    ),
    "edits": st.lists(st.sampled_from(EDITS), max_size=2).map(tuple),
}


@st.composite
def settings_of_recipes(draw: st.DrawFn) -> dict[str, Any]:
    """Keyword arguments of `Recipe`: a few fields far from their defaults; options of any kind."""
    optimizer = draw(st.sampled_from([*sorted(OPTIMIZERS), *OWN]))
    fields = {"optimizer": optimizer, "options": draw(options(optimizer))}
    for name in draw(st.sets(st.sampled_from(sorted(FIELDS)), max_size=8)):
        fields[name] = draw(FIELDS[name])
    return fields | (draw(schedules()) if draw(st.integers(0, 3)) == 0 else {})


names = st.sampled_from(problems.names())


def small(recipe: Recipe) -> Recipe:
    """The recipe with no more than five updates."""
    return recipe.replace(updates=min(recipe.updates, 5))
