"""Any setting by its name: a field of `Recipe`, or an option of its optimizer such as "momentum".

Controls, saved pages, scenes and sweeps read and change recipes here and nowhere else.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gradwidgets.core.control import Control
from gradwidgets.core.optimizers import OPTIMIZERS, OPTION_CONTROLS, option_defaults
from gradwidgets.core.recipe import Recipe

FIELDS = tuple(spec.name for spec in dataclasses.fields(Recipe))


def controls() -> dict[str, Control]:
    """Every control by the name of its setting: fields of `Recipe`, then optimizer options.

    >>> controls()["momentum"].label
    'momentum'
    """
    fields = {spec.name: spec.metadata.get("control") for spec in dataclasses.fields(Recipe)}
    return {name: control for name, control in fields.items() if control} | OPTION_CONTROLS


def applies(recipe: Recipe, name: str) -> bool:
    """Whether a setting has a meaning in a recipe: its optimizer may not take an option.

    >>> applies(Recipe(optimizer="Adam"), "momentum")
    False
    """
    return name in FIELDS or name in option_defaults(recipe.optimizer)


def get(recipe: Recipe, name: str) -> Any:
    """The value of a setting; of an option that the recipe does not give, the optimizer's default.

    An option that the optimizer does not take is 0.0, where a slider may rest.

    >>> get(Recipe(options={"momentum": 0.9}), "momentum")
    0.9
    """
    if name in FIELDS:
        return getattr(recipe, name)
    return recipe.options.get(name, option_defaults(recipe.optimizer).get(name, 0.0))


def with_(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with some settings changed. Another optimizer keeps the options that it takes.

    Raises:
        ValueError: there is no such setting, or a value is not allowed.

    >>> with_(Recipe(), lr=0.5, momentum=0.9)
    Recipe(lr=0.5, options={'momentum': 0.9})
    """
    fields = {name: value for name, value in changes.items() if name in FIELDS}
    options = dict(fields.pop("options", recipe.options))
    optimizer = fields.get("optimizer", recipe.optimizer)
    if optimizer != recipe.optimizer and optimizer in OPTIMIZERS:
        known = option_defaults(optimizer)
        options = {name: value for name, value in options.items() if name in known}
    options.update({name: value for name, value in changes.items() if name not in FIELDS})
    return recipe.replace(**fields, options=options)
