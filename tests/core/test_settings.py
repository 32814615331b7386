"""Settings are read and changed by name, whether they are fields or options of an optimizer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwidgets.core import Recipe, settings

CONTROLS = settings.controls()
TAKEN = {
    "SGD": {"momentum", "weight_decay"},
    "Adam": {"weight_decay"},
    "AdamW": {"weight_decay"},
    "RMSprop": {"momentum", "weight_decay"},
    "Adagrad": {"weight_decay"},
    "LBFGS": set(),
}
"""The options with a control that each optimizer takes, from PyTorch's documentation."""


def stops_of(name: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(CONTROLS[name].stops)


FIELDS = sorted(name for name in CONTROLS if name not in ("momentum", "weight_decay"))


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Fields and options at any of their stops."""
    fields = {name: draw(stops_of(name)) for name in FIELDS}
    taken = sorted(TAKEN[fields["optimizer"]])
    options = {name: draw(stops_of(name)) for name in taken if draw(st.booleans())}
    return Recipe(**fields, options=options)


changes = st.sampled_from(sorted(CONTROLS)).flatmap(
    lambda name: st.tuples(st.just(name), stops_of(name))
)


def test_the_table_has_the_optimizers_that_a_control_offers() -> None:
    assert TAKEN.keys() == set(CONTROLS["optimizer"].stops)


@given(recipes(), changes)
def test_a_setting_is_what_it_was_set_to_and_the_others_stay(
    recipe: Recipe, change: tuple[str, Any]
) -> None:
    name, value = change
    if not settings.applies(recipe, name):
        with pytest.raises(ValueError, match=re.escape(f"{name}={value!r} is not allowed")):
            settings.with_(recipe, **{name: value})
        return
    changed = settings.with_(recipe, **{name: value})
    assert settings.get(changed, name) == value
    for other in CONTROLS.keys() - {name}:
        if other in FIELDS or name != "optimizer":
            assert settings.get(changed, other) == settings.get(recipe, other)


@given(recipes(), stops_of("optimizer"))
def test_another_optimizer_keeps_the_options_that_it_takes(recipe: Recipe, optimizer: str) -> None:
    changed = settings.with_(recipe, optimizer=optimizer)
    kept = {name: value for name, value in recipe.options.items() if name in TAKEN[optimizer]}
    assert changed == recipe.replace(optimizer=optimizer, options=kept)


@given(recipes(), changes)
def test_there_and_back_again_is_where_it_began(recipe: Recipe, change: tuple[str, Any]) -> None:
    name, value = change
    if name == "optimizer" or not settings.applies(recipe, name):
        return
    before = settings.get(recipe, name)
    assert settings.with_(recipe, **{name: before}) == recipe
    again = settings.with_(settings.with_(recipe, **{name: value}), **{name: before})
    without = {n: v for n, v in recipe.options.items() if n != name}
    assert again in (recipe, recipe.replace(options=without))


@pytest.mark.parametrize("optimizer", sorted(TAKEN))
def test_a_setting_applies_where_the_optimizer_takes_it(optimizer: str) -> None:
    recipe = Recipe(optimizer=optimizer)
    applying = {name for name in CONTROLS if settings.applies(recipe, name)}
    assert applying == {*FIELDS, *TAKEN[optimizer]}


def test_an_option_that_is_not_taken_rests_at_zero() -> None:
    assert settings.get(Recipe(optimizer="LBFGS"), "momentum") == 0.0
    assert settings.get(Recipe(optimizer="AdamW"), "weight_decay") == 0.01


def test_options_given_by_name_are_those_of_the_new_optimizer() -> None:
    changed = settings.with_(Recipe(), optimizer="Adam", betas=(0.8, 0.9))
    assert changed == Recipe(optimizer="Adam", options={"betas": (0.8, 0.9)})
    with pytest.raises(ValueError, match=r"options\['momentum'\]=0.9.*Adam only: betas"):
        settings.with_(Recipe(), optimizer="Adam", options={"momentum": 0.9})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nope": 1}, ["nope=1", "a field of Recipe (optimizer, lr", "option of SGD (momentum"]),
        ({"optimizer": "Adam", "momentum": 0.9}, ["momentum=0.9", "option of Adam (betas"]),
        ({"optimizer": "sgd"}, ["optimizer='sgd'", "'SGD', "]),
        ({"optimizer": ["SGD"]}, ["optimizer=['SGD']", "'SGD', "]),
        ({"options": None}, ["options=None", "a dict"]),
        ({"momentum": -1}, ["options=", "-1", "SGD takes"]),
        ({"lr": -1}, ["lr=-1", "a finite number from 0"]),
    ],
)
def test_a_wrong_name_or_value_is_named(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        settings.with_(Recipe(), **change)


def test_a_wrong_name_is_named_when_it_is_read() -> None:
    with pytest.raises(ValueError, match=r"'nope' is not a setting; give a field of Recipe"):
        settings.get(Recipe(), "nope")


@given(recipes(), recipes())
def test_differences_name_each_setting_that_differs_and_no_other(one: Recipe, two: Recipe) -> None:
    said = settings.differences(one, two)
    differing = [name for name in FIELDS if settings.get(one, name) != settings.get(two, name)]
    taken = TAKEN[one.optimizer]
    differing += [n for n in taken if one.options.get(n, 0) != two.options.get(n, 0)]
    if one.optimizer == "AdamW":  # whose own default is another
        differing = [n for n in differing if n != "weight_decay"]
        said = [text for text in said if not text.startswith("weight decay")]
    assert len(said) == len(differing)
    assert settings.differences(one, one) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": 6.3}, ["scale 6.3"]),
        ({"optimizer": "Adam", "lr": 0.05}, ["Adam", "lr 0.05"]),
        ({"clear": "none"}, ["clear to None"]),
        ({"clear": "zero"}, ["clear to zeros"]),
        ({"average": False}, ["divide the loss off"]),
        ({"batch_size": None, "max_norm": 1.0}, ["clip 1", "batch all"]),
        ({"options": {"momentum": 0.9, "nesterov": True}}, ["momentum 0.9", "nesterov True"]),
        ({"edits": (print,)}, ["other edits"]),
    ],
)
def test_differences_are_named_as_on_the_controls(changes: Any, said: list[str]) -> None:
    start = Recipe(clear="never", batch_size=8)
    recipe = start.replace(**changes)
    assert settings.differences(recipe, start) == said
