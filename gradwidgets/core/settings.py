"""Any setting by its name: a field of `Recipe`, or an option of its optimizer such as "momentum".

Controls, saved pages, scenes and sweeps read and change recipes here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gradwidgets.core.control import STRENGTHS, Control, linear
from gradwidgets.core.optimizers import OneOptimizer, OptimizerKind, name_of, option_defaults
from gradwidgets.core.parameter_groups import FREEZE_BY, described_groups
from gradwidgets.core.parameter_groups import RULES as GROUP_SETTINGS
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.validate import not_allowed

FIELDS = tuple(spec.name for spec in dataclasses.fields(Recipe))
OPTION_CONTROLS = {
    "momentum": Control(
        "momentum",
        "Optimizer",
        "Share of the last step's direction that is kept.",
        (*linear(0.0, 0.9, 0.1), 0.95, 0.99, 1.0),
    ),
    "weight_decay": Control(
        "weight decay", "Optimizer", "The optimizer's own shrinking of the weights.", STRENGTHS
    ),
}
"""Controls for what stands in `Recipe.options`, if the optimizer takes it."""
UPDATES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200)
GROUP_CONTROLS = {
    "lr": dataclasses.replace(
        Recipe.__dataclass_fields__["lr"].metadata["control"], group="Parameter groups"
    ),
    "weight_decay": dataclasses.replace(OPTION_CONTROLS["weight_decay"], group="Parameter groups"),
    "frozen_until": Control(
        "frozen until",
        "Parameter groups",
        "frozen_until: the update before which the group is frozen.",
        (0, *UPDATES),
        names={0: "not at all"},
    ),
    "frozen_from": Control(
        "frozen from",
        "Parameter groups",
        "frozen_from: the update from which on the group is frozen.",
        (*UPDATES, None),
        names={None: "never"},
    ),
    "freeze_by": Control(
        "frozen by",
        "Parameter groups",
        "freeze_by: how the group is frozen.",
        FREEZE_BY,
        slider=False,
    ),
}
"""Controls for what stands in a group of `Recipe.groups`."""
ALWAYS = ("optimizer", "lr", "updates", "seed")
"""Settings that are named even where they are the defaults."""


def controls(recipe: Recipe | None = None) -> dict[str, Control]:
    """Every control by the name of its setting: fields of `Recipe`, then optimizer options.

    Those of the groups of a recipe come last.

    >>> controls()["momentum"].label
    'momentum'
    >>> controls(Recipe(groups={"*bias": {}}))["groups[*bias].lr"].label
    '*bias: learning rate'
    """
    fields = {spec.name: spec.metadata.get("control") for spec in dataclasses.fields(Recipe)}
    own = {name: control for name, control in fields.items() if control} | OPTION_CONTROLS
    for pattern in recipe.groups if recipe else ():
        for key, control in GROUP_CONTROLS.items():
            label, short = f"{pattern}: {control.label}", f"{pattern}: {control.short}"
            words = {"label": label, "short": short * bool(control.short)}
            own[f"groups[{pattern}].{key}"] = dataclasses.replace(control, **words)
    return own


def applies(recipe: Recipe, name: str) -> bool:
    """Tell whether a setting applies to a recipe: its optimizer may not take the option.

    >>> applies(Recipe(optimizer="Adam"), "momentum")
    False
    """
    options = option_defaults(recipe.optimizer)
    if place := _in_group(recipe, name):
        return place[1] != "weight_decay" or "weight_decay" in options
    return name in FIELDS or name in options


def get(recipe: Recipe, name: str) -> Any:
    """The value of a setting; of an option that the recipe does not give, the optimizer's default.

    A group's setting is named `groups[PATTERN].lr`, and is that of all where the group has none.
    A group that is not frozen before any update is so until update 0.

    An option with a control is 0.0 where the optimizer does not take it: there its slider rests.

    Raises:
        ValueError: there is no such setting.

    >>> get(Recipe(options={"momentum": 0.9}), "momentum")
    0.9
    """
    if name in FIELDS:
        return getattr(recipe, name)
    if place := _in_group(recipe, name):
        return _of_group(recipe, *place)
    defaults = option_defaults(recipe.optimizer)
    if name not in defaults and name not in OPTION_CONTROLS:
        raise ValueError(f"{name!r} is not a setting; give {_known(recipe.optimizer)}")
    return recipe.options.get(name, defaults.get(name, 0.0))


def with_(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with some settings changed.

    Another optimizer keeps the options that it takes, another schedule none. An option that is
    changed to its optimizer's default is left out, so that undoing a change gives an equal recipe,
    and so is what a group is given that it has anyway.

    Raises:
        ValueError: there is no such setting, or a value is not allowed.

    >>> with_(Recipe(), lr=0.5, momentum=0.9)
    Recipe(lr=0.5, options={'momentum': 0.9})
    >>> with_(Recipe(options={"momentum": 0.9}), optimizer="Adam")
    Recipe(optimizer='Adam')
    >>> with_(Recipe(groups={"*bias": {"lr": 1.0}}), **{"groups[*bias].lr": 2.0})
    Recipe(groups={'*bias': {'lr': 2.0}})
    """
    fields = {name: value for name, value in changes.items() if name in FIELDS}
    named = {name: value for name, value in changes.items() if name not in FIELDS}
    if fields.get("schedule", recipe.schedule) != recipe.schedule:
        fields = {"schedule_options": {}, **fields}
    changed = recipe.replace(**{"options": _kept(recipe, fields), **fields})
    changed = _with_groups(changed, named)
    named = {name: value for name, value in named.items() if _in_group(changed, name) is None}
    defaults = option_defaults(changed.optimizer)
    options = dict(changed.options)
    for name, value in named.items():
        if name not in defaults:
            raise not_allowed(name, value, _known(changed.optimizer))
        if value != get(changed, name):
            options[name] = value
            if value == defaults[name]:
                del options[name]
    return changed.replace(options=options) if named else changed


def _in_group(recipe: Recipe, name: str) -> tuple[str, str] | None:
    """The pattern and the key of `groups[PATTERN].KEY`, if the recipe has that group."""
    found = re.fullmatch(r"groups\[(.*)\]\.(\w+)", name, re.DOTALL)
    if found is None or found[1] not in recipe.groups or found[2] not in GROUP_SETTINGS:
        return None
    return found[1], found[2]


def _with_groups(recipe: Recipe, named: Mapping[str, Any]) -> Recipe:
    """The recipe with those of the named settings changed that are of its groups."""
    groups = {pattern: dict(given) for pattern, given in recipe.groups.items()}
    for name, value in named.items():
        place = _in_group(recipe, name)
        if place and (place[1] == "frozen_until" or value != get(recipe, name)):
            groups[place[0]][place[1]] = value  # 0 stays beside `freeze_by`, which needs an update
    return recipe.replace(groups=groups) if groups != recipe.groups else recipe


def _of_group(recipe: Recipe, pattern: str, key: str) -> Any:
    usual = {"lr": recipe.lr, "freeze_by": FREEZE_BY[0], "frozen_until": 0}
    if key == "weight_decay":
        usual[key] = get(recipe, key)
    return recipe.groups[pattern].get(key, usual.get(key))


def _kept(recipe: Recipe, fields: dict[str, Any]) -> dict[str, Any]:
    """The recipe's options that stay with these fields."""
    try:
        optimizer = OneOptimizer()("optimizer", fields.get("optimizer", recipe.optimizer))
    except ValueError:
        return {}  # Recipe says what is allowed
    known = option_defaults(optimizer)
    return {name: value for name, value in recipe.options.items() if name in known}


def _known(optimizer: OptimizerKind) -> str:
    options = ", ".join(option_defaults(optimizer)) or "it has none"
    return (
        f"a field of Recipe ({', '.join(FIELDS)}) or an option of {name_of(optimizer)} ({options})"
    )


def differences(recipe: Recipe, start: Recipe) -> list[str]:
    """The settings in which a recipe differs from another, each in a few characters.

    >>> differences(Recipe(optimizer="Adam", lr=0.05, options={"eps": 0.1}), Recipe())
    ['Adam', 'lr 0.05', 'eps 0.1']
    """
    plain = ("options", "groups", "schedule_options", "edits")
    fields = [name for name in FIELDS if name not in plain]
    kept = _kept(start, {"optimizer": recipe.optimizer})  # those of its options that it takes
    other = {**option_defaults(recipe.optimizer), **kept}
    options = sorted({*recipe.options, *kept})
    parts = [_brief(recipe, name) for name in fields if get(recipe, name) != get(start, name)]
    parts += [_brief(recipe, name) for name in options if get(recipe, name) != other[name]]
    if recipe.groups != start.groups:
        parts += described_groups(recipe.groups) or ["no groups"]
    ours, theirs = recipe.schedule_options, start.schedule_options
    parts += [f"{name} {value}" for name, value in ours.items() if theirs.get(name) != value]
    return parts + ["other edits"] * (recipe.edits != start.edits)


def _brief(recipe: Recipe, name: str) -> str:
    """A setting and its value; an optimizer goes by its own name."""
    control, value = controls().get(name), get(recipe, name)
    if control is None:
        return f"{name} {value}"
    text = control.text(value)
    return text if name == "optimizer" else f"{control.short or control.label} {text}"


def _shared(options: Sequence[Mapping[str, Any]]) -> list[str]:
    """The options that all have in common, each in a few words."""
    first = options[0].items()
    return [
        f"{name} {value}" for name, value in first if all(o.get(name) == value for o in options)
    ]


def in_words(recipes: Sequence[Recipe]) -> str:
    """The settings that all recipes have in common and that say most, in a line.

    >>> in_words([Recipe(scale=2.0), Recipe(scale=2.0, mask=0.5)])
    'optimizer SGD, learning rate 0.1, scale 2, updates 200, seed 0'
    """
    first, usual = recipes[0], Recipe()
    parts = []
    for spec in dataclasses.fields(Recipe):
        control, value = spec.metadata.get("control"), getattr(first, spec.name)
        same = all(getattr(recipe, spec.name) == value for recipe in recipes)
        if control and same and (value != getattr(usual, spec.name) or spec.name in ALWAYS):
            parts.append(f"{control.label} {control.text(value)}")
    parts += _shared([recipe.options for recipe in recipes])
    if all(recipe.groups == first.groups for recipe in recipes):
        parts += described_groups(first.groups)
    parts += _shared([recipe.schedule_options for recipe in recipes])
    if count := len(first.edits):
        parts.append(f"{count} edit{'s' * (count > 1)} of your own")
    return ", ".join(parts)
