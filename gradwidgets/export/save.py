"""A lab as an HTML file whose controls work without a kernel."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradwidgets.core import Control, History, Problem, Recipe, not_allowed, settings, train
from gradwidgets.export.html import Dial, page

GRID = 11
"""Stops of each of two settings: their product is trained, and must fit into one file."""


def save_page(
    problem: Problem,
    recipe: Recipe,
    baseline: History | None,
    path: str | Path,
    field: str,
    other: str | None = None,
    values: Sequence[Any] | None = None,
) -> Path:
    """Save a lab as one HTML file whose slider needs neither a kernel nor a network.

    Each value is trained as `train` does it, one by one, so that the page's numbers are those
    of the lab: in one run (see `sweep`) they would be so up to rounding only.

    Args:
        problem: what is trained.
        recipe: gives the other settings, and where the page's slider stands at first.
        baseline: a run to draw beside each, or None.
        path: the file to write.
        field: the setting that can be changed on the page, such as "lr" or "momentum".
        other: a second one; then evenly picked stops of both are trained.
        values: what `field` takes; None takes the stops of its control.

    Raises:
        ValueError: a setting has no control, or a value is not allowed; says what would be right.
        TrainingError: the model or the loss failed.
    """
    names = [field, *([other] if other is not None else [])]
    if len(set(names)) < len(names):
        raise not_allowed("other", other, f"another setting than field={field!r}")
    dials = [_dial(recipe, name, len(names) > 1) for name in names]
    if values is not None:
        dials[0] = _given(dials[0], values)
    recipes = [recipe]
    for name, dial in zip(names, dials, strict=True):
        recipes = [settings.with_(one, **{name: at}) for one in recipes for at in dial.values]
    histories = [train(problem, recipe) for recipe in recipes]
    text = page(problem, dials, histories, baseline)
    Path(path).write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def _dial(recipe: Recipe, name: str, few: bool) -> Dial:
    """All stops of a setting, or a few of them, and where the recipe stands among them."""
    controls = settings.controls()
    if name not in controls:
        raise not_allowed("field", name, f"a setting with a control: one of {', '.join(controls)}")
    control, value = controls[name], settings.get(recipe, name)
    stops = control.including(value)
    at = stops.index(value)
    if few and len(stops) > GRID:
        places = {*np.linspace(0, len(stops) - 1, GRID).round().astype(int).tolist(), at}
        stops = tuple(stops[place] for place in sorted(places))
    return Dial(_as_list(control), stops, stops.index(value))


def _as_list(control: Control) -> Control:
    """A switch becomes a list of two."""
    switch = control.stops == (False, True)
    return dataclasses.replace(control, slider=False) if switch else control


def _given(dial: Dial, values: Sequence[Any]) -> Dial:
    if not len(values):
        raise not_allowed("values", values, "at least one value")
    chosen = tuple(values)
    present = dial.values[dial.at]
    return Dial(dial.control, chosen, chosen.index(present) if present in chosen else 0)
