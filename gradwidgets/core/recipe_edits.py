"""The edits that a recipe asks for, on a given model."""

from __future__ import annotations

from fnmatch import fnmatchcase

from torch import nn

from gradwidgets.core.edits import MASK_KINDS, Clip, Edit, Mask, Penalty, Scale
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.validate import not_allowed


def edits_of(recipe: Recipe, model: nn.Module) -> list[Edit]:
    """The recipe's edits that have an effect, in their order: scale, mask, penalty, clip, own.

    Raises:
        ValueError: `mask_kind` is a pattern that matches no parameter of `model`.
    """
    edits: list[Edit] = []
    if recipe.scale != 1:
        edits.append(Scale(recipe.scale))
    if recipe.mask:
        if recipe.mask_kind in MASK_KINDS:
            edits.append(Mask(recipe.mask, recipe.mask_kind, recipe.seed))
        else:
            edits.append(Mask(recipe.mask, only=matching(recipe.mask_kind, model).values()))
    if recipe.l1 or recipe.l2:
        edits.append(Penalty(recipe.l1, recipe.l2))
    if recipe.max_norm is not None:
        edits.append(Clip(recipe.max_norm))
    return [*edits, *recipe.edits]


def matching(pattern: str, model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters whose name matches `pattern` (as `fnmatch` reads it).

    Raises:
        ValueError: there is none.
    """
    everyone = dict(model.named_parameters())
    found = {name: p for name, p in everyone.items() if fnmatchcase(name, pattern)}
    if not found:
        raise not_allowed("mask_kind", pattern, f"a pattern that matches one of {list(everyone)}")
    return found
