"""A recipe refuses what makes no sense, and goes through text unchanged."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwidgets.core import Clip, Control, Recipe, train
from gradwidgets.core.control import GROUPS
from gradwidgets.core.optimizers import OPTIMIZERS
from gradwidgets.core.recipe import DTYPES, ROUNDINGS

NAN, INF = float("nan"), float("inf")
NOT_NUMBERS = ["1", None, True, [1], 1j, NAN, INF, -INF, 10**400]
NOT_COUNTS = [0, -1, 1.0, 2.5, "3", True, [1], 2**64, NAN]
WRONG: dict[str, tuple[list[Any], str]] = {
    "optimizer": (["sgd", "", None, ["SGD"], 1], "'SGD', "),
    "lr": ([*NOT_NUMBERS, -0.1], "a finite number from 0"),
    "schedule": (["Cosine", "", None, 1, ["cosine"], "LRScheduler"], "one of 'constant', 'linear'"),
    "schedule_options": ([None, 3, "eta_min", [("gamma", 1)]], "a dict of keyword arguments"),
    "warmup_steps": ([-1, 1.0, None, "3", True, 2**63], "a whole number from 0"),
    "schedule_per": (["step", None, "", 1], "'update', 'micro-batch'"),
    "scale": (NOT_NUMBERS, "a finite number"),
    "mask": ([*NOT_NUMBERS, -0.1, 1.1], "a finite number from 0 to 1"),
    "mask_kind": (["", None, 3, ["first"]], '"first", "random", "unit" or a pattern'),
    "l1": ([*NOT_NUMBERS, -1e-9], "a finite number from 0"),
    "l2": ([*NOT_NUMBERS, -1e-9], "a finite number from 0"),
    "max_norm": ([v for v in NOT_NUMBERS if v is not None] + [0, -1], "above 0 or None"),
    "accumulation_steps": ([*NOT_COUNTS, None, 2**31], "a whole number from 1 to 2147483647"),
    "average": ([1, 0, None, "yes"], "True or False"),
    "clear": (["None", None, "", True], "'none', 'zero', 'never'"),
    "batch_size": (NOT_COUNTS, "a whole number from 1 or None"),
    "updates": ([*NOT_COUNTS, None], "a whole number from 1"),
    "dtype": (["half", "float8", 16, True, ""], "'float64', 'float32', "),
    "rounding": (["up", None, True, "master"], "'nearest', 'stochastic', 'master copy'"),
    "stop_below": ([v for v in NOT_NUMBERS if v is not None], "a finite number or None"),
    "patience": (NOT_COUNTS, "a whole number from 1 or None"),
    "seed": ([-1, 1.0, None, "0", True, 2**63], "a whole number from 0"),
    "edits": ([3, "clip", None, print], "a tuple of functions"),
    "groups": ([None, 3, "*bias", [("*bias", {"lr": 1.0})]], "a dict such as"),
    "options": ([None, 3, [("momentum", 0.9)], "momentum"], "a dict of keyword arguments of SGD"),
}


@pytest.mark.parametrize(
    ("field", "value"), [(name, value) for name, (values, _) in WRONG.items() for value in values]
)
def test_a_wrong_value_is_named_with_what_is_allowed(field: str, value: Any) -> None:
    words = f"{field}={repr(value)[:70]}", WRONG[field][1]
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        Recipe(**{field: value})


@pytest.mark.parametrize("edit", [1, None, Clip, "clip"])
def test_a_wrong_edit_is_named_by_its_place(edit: Any) -> None:
    words = ["edits[1]=", repr(edit), "a function that takes the list of parameters"]
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        Recipe(edits=(print, edit))


def test_every_field_has_wrong_values_in_the_table() -> None:
    assert WRONG.keys() == {spec.name for spec in dataclasses.fields(Recipe)}


@pytest.mark.parametrize(
    ("optimizer", "options", "words"),
    [
        ("SGD", {"betas": (0.9, 0.99)}, ["options['betas']", "SGD only: momentum"]),
        ("Adam", {"momentum": 0.9}, ["options['momentum']=0.9", "Adam only: betas"]),
        ("SGD", {"lr": 0.1}, ["options['lr']=0.1", "SGD only"]),
        ("SGD", {"momentum": -1}, ["options=", "-1", "momentum"]),
        ("SGD", {"momentum": "big"}, ["options=", "'big'"]),
        ("SGD", {"momentum": NAN}, ["options['momentum']=nan", "finite"]),
        ("SGD", {"nesterov": True}, ["options=", "Nesterov"]),
        ("Adam", {"betas": (0.9, 1.5)}, ["options=", "1.5"]),
        ("Adam", {"betas": 0.9}, ["options=", "0.9"]),
        ("Adam", {"betas": (NAN, 0.9)}, ["options['betas']", "finite"]),
        ("ASGD", {"lambd": print}, ["options['lambd']=<built-in", "a number, a flag, a text"]),
        ("LBFGS", {1: 2}, ["options[1]=2", "LBFGS only"]),
    ],
)
def test_a_wrong_option_is_named(optimizer: str, options: Any, words: list[str]) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        Recipe(optimizer=optimizer, options=options)


recipes = st.builds(
    Recipe,
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    lr=st.floats(0, 1e3),
    options=st.just({}),
    scale=st.floats(-1e3, 1e3),
    mask=st.floats(0, 1),
    mask_kind=st.sampled_from(["first", "random", "unit"]) | st.text(min_size=1),
    l1=st.floats(0, 10),
    l2=st.floats(0, 10),
    max_norm=st.none() | st.floats(1e-9, 1e9),
    accumulation_steps=st.integers(1, 1000),
    average=st.booleans(),
    clear=st.sampled_from(["none", "zero", "never"]),
    batch_size=st.none() | st.integers(1, 1000),
    updates=st.integers(1, 10**6),
    stop_below=st.none() | st.floats(-1e6, 1e6),
    patience=st.none() | st.integers(1, 1000),
    dtype=st.none() | st.sampled_from(DTYPES),
    rounding=st.sampled_from(ROUNDINGS),
    seed=st.integers(0, 2**63 - 1),
    schedule=st.sampled_from(["constant", "linear", "cosine", "one-cycle", "step"]),
    warmup_steps=st.integers(0, 1000),
    schedule_per=st.sampled_from(["update", "micro-batch"]),
) | st.builds(
    Recipe,
    optimizer=st.just("SGD"),
    options=st.fixed_dictionaries(
        {"momentum": st.floats(0.01, 1)},
        optional={"nesterov": st.booleans(), "weight_decay": st.floats(0, 1)},
    ),
)


@given(recipes)
def test_json_brings_an_equal_recipe_back(recipe: Recipe) -> None:
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert again.to_json() == recipe.to_json()


@given(recipes)
def test_repr_evaluates_to_an_equal_recipe(recipe: Recipe) -> None:
    assert eval(repr(recipe), {"Recipe": Recipe}) == recipe


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
field_names = st.sampled_from([spec.name for spec in dataclasses.fields(Recipe)])


@given(
    st.text()
    | json_values.map(json.dumps)
    | st.dictionaries(field_names, json_values, max_size=4).map(json.dumps)
)
def test_any_text_gives_a_recipe_or_a_value_error(text: str) -> None:
    try:
        recipe = Recipe.from_json(text)
    except ValueError:
        return
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("text", ["[" * 10**5, '{"bogus": 1}', "3", '{"edits": []}', "null", ""])
def test_text_that_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|no field|to_json"):
        Recipe.from_json(text)


def test_missing_fields_take_their_defaults() -> None:
    assert Recipe.from_json("{}") == Recipe()
    assert Recipe.from_json('{"lr": 1}') == Recipe(lr=1.0)


def test_json_cannot_hold_edits_and_says_so() -> None:
    with pytest.raises(ValueError, match=r"edits=.*JSON cannot hold callables"):
        Recipe(edits=(print,)).to_json()


def test_equal_settings_are_equal_and_hash_alike() -> None:
    one = Recipe(optimizer="Adam", lr=1, options={"betas": [0.9, 0.99]})
    other = Recipe(optimizer="Adam", lr=1.0, options={"betas": (0.9, 0.99)})
    assert one == other
    assert {one: "x"}[other] == "x"
    assert one != other.replace(seed=1)
    assert Recipe(options={"momentum": 0.5}) != Recipe(options={"momentum": 0.6})


def test_a_recipe_cannot_be_changed_from_outside() -> None:
    options = {"momentum": 0.5}
    recipe = Recipe(options=options)
    options["momentum"] = 0.9
    assert recipe.options["momentum"] == 0.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.lr = 1.0


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int64(3), np.int8(1)])
def test_numbers_of_numpy_become_plain_numbers(number: Any) -> None:
    recipe = Recipe(scale=number, options={"momentum": number})
    assert type(recipe.scale) is float
    assert type(recipe.options["momentum"]) in (float, int)
    assert eval(repr(recipe), {"Recipe": Recipe}) == recipe
    assert Recipe.from_json(recipe.to_json()) == recipe
    if isinstance(number, np.integer):
        assert type(Recipe(updates=number).updates) is int


def test_replace_checks_names_and_values() -> None:
    assert Recipe().replace(lr=0.5, scale=2).changes() == {"lr": 0.5, "scale": 2.0}
    with pytest.raises(ValueError, match=r"'learning_rate' is no field of Recipe.*'lr'"):
        Recipe().replace(learning_rate=1.0)
    with pytest.raises(ValueError, match="mask=2"):
        Recipe().replace(mask=2)


def test_repr_shows_only_what_differs_from_the_defaults() -> None:
    assert repr(Recipe()) == "Recipe()"
    assert repr(Recipe(mask=0.5, lr=0.1)) == "Recipe(mask=0.5)"


@pytest.mark.parametrize(
    "spec",
    [spec for spec in dataclasses.fields(Recipe) if spec.metadata.get("control")],
    ids=lambda s: s.name,
)
def test_every_stop_of_a_control_is_allowed_and_the_default_is_one(spec: Any) -> None:
    control: Control = spec.metadata["control"]
    for stop in control.stops:
        assert getattr(Recipe(**{spec.name: stop}), spec.name) == stop
    assert spec.default in control.stops
    assert control.group in GROUPS
    assert control.help.endswith(".")
    shown = [control.text(stop) for stop in control.stops]
    assert len(set(shown)) == len(shown)
    if control.slider and control.stops != (False, True):
        numbers = [stop for stop in control.stops if stop is not None]
        assert numbers == sorted(numbers)


def test_only_options_groups_and_edits_have_no_control() -> None:
    bare = [s.name for s in dataclasses.fields(Recipe) if not s.metadata.get("control")]
    assert sorted(bare) == ["edits", "groups", "options", "schedule_options"]


def test_equal_recipes_give_equal_runs() -> None:
    recipe = Recipe(updates=5, batch_size=7, mask=0.5, mask_kind="random")
    again = Recipe.from_json(recipe.to_json())
    assert train("tokens", recipe).loss.tolist() == train("tokens", again).loss.tolist()
