"""What a saved page says of a run: its table, its picture in words, the settings it shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from gradwidgets.core import Array, History, Recipe

ROWS = 11
"""Updates in the table of a run, about; its lowest and highest loss are among them."""
NOTHING = "\N{EN DASH}"
"""Stands where a table has no number."""
ALWAYS = ("optimizer", "lr", "updates", "seed")
"""Settings to name even where they are the defaults."""


def figure(value: float) -> str:
    """A number as every table and sentence shows it."""
    return f"{value:.4g}"


def description(titles: Sequence[str], history: History, baseline: History | None) -> str:
    """The picture in words: what each curve does, in numbers."""
    parts = [f"Curves of {', '.join(titles)} over the updates.", f"Now: {history.summary()}"]
    if history.updates:
        lowest = int(np.argmin(history.loss))
        parts.append(f"Lowest loss {figure(history.loss[lowest])} at update {lowest}.")
        parts.append(f"Gradient norm {_span(history.grad_norm)}{_after_edits(history)}.")
    if len(history.accuracy):
        parts.append(f"Accuracy on held-out data ends at {history.accuracy[-1, 1]:.1%}.")
    if baseline is not None:
        parts.append(f"Start, dashed: {baseline.summary()}")
    return " ".join(parts)


def _span(values: Array) -> str:
    return f"from {figure(values[0])} to {figure(values[-1])}"


def _after_edits(history: History) -> str:
    same = np.array_equal(history.grad_norm, history.edited_norm)
    return "" if same else f" as accumulated, {_span(history.edited_norm)} after the edits"


def table(history: History, baseline: History | None) -> str:
    """The rows of the table: numbers at some updates, as HTML."""
    accuracy = {int(done): share for done, share in history.accuracy}
    start = baseline.loss if baseline is not None else None
    rows = []
    for update in _chosen(history):
        inside = update < history.updates
        cells = [history.loss, start, history.grad_norm, history.edited_norm]
        texts = [
            figure(column[update]) if inside and update < len(column) else NOTHING
            for column in cells
            if column is not None
        ]
        if accuracy:
            texts.append(f"{accuracy[update]:.1%}" if update in accuracy else NOTHING)
        values = "".join(f"<td>{text}</td>" for text in texts)
        rows.append(f'<tr><th scope="row">{update}</th>{values}</tr>')
    return "".join(rows)


def columns(history: History, baseline: History | None) -> list[str]:
    """What stands above the columns of the table."""
    start = ["loss of the start"] if baseline is not None else []
    right = ["held-out accuracy"] if len(history.accuracy) else []
    return ["update", "loss", *start, "gradient norm", "after the edits", *right]


def _chosen(history: History) -> list[int]:
    """Updates from first to last, evenly, with those where accuracy was measured."""
    if not history.updates:
        return []
    spread = np.linspace(0, history.updates - 1, ROWS).round().astype(int)
    measured = history.accuracy[::-2, 0].astype(int)  # the last is among them
    extremes = [int(np.argmin(history.loss)), int(np.argmax(history.loss))]
    some = measured if len(measured) else spread
    return sorted({0, history.updates - 1, *extremes, *map(int, some)})


def extremes(histories: Sequence[History], places: Sequence[str]) -> str:
    """Where the last loss is lowest among all runs, and how many diverged."""
    diverged = [
        history.stopped is not None and history.stopped[1] == "diverged" for history in histories
    ]
    ended = [
        (float(history.loss[-1]), place)
        for history, place, bad in zip(histories, places, diverged, strict=True)
        if history.updates and not bad
    ]
    parts = []
    if ended:
        lowest, place = min(ended, key=lambda end: end[0])
        parts.append(f"The lowest last loss, {figure(lowest)}, is at {place}.")
    count = f"{sum(diverged)} of {len(diverged)} runs diverged." if any(diverged) else ""
    return " ".join([*parts, count or "No run diverged."])


def shared(recipes: Sequence[Recipe]) -> str:
    """The settings that all runs have in common and that say most, in a line."""
    usual = Recipe()
    parts = []
    for spec in dataclasses.fields(Recipe):
        control, value = spec.metadata.get("control"), getattr(recipes[0], spec.name)
        same = all(getattr(recipe, spec.name) == value for recipe in recipes)
        if control and same and (value != getattr(usual, spec.name) or spec.name in ALWAYS):
            parts.append(f"{control.label} {control.text(value)}")
    return ", ".join([*parts, *_options(recipes)])


def _options(recipes: Sequence[Recipe]) -> list[str]:
    known = [
        f"{name} {value}"
        for name, value in recipes[0].options.items()
        if all(recipe.options.get(name) == value for recipe in recipes)
    ]
    count = len(recipes[0].edits)
    own = [f"{count} edit{'s' * (count > 1)} of your own"] if count else []
    return [*known, *own]
