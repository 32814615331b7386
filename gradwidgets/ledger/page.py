"""The ledger's page: the record of an update as plain data for a `BarTable`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradwidgets.components import cell
from gradwidgets.core import (
    EDITS,
    Array,
    Penalty,
    Problem,
    Recipe,
    frozen_in_words,
    groups_of,
    name_of,
    problems,
)
from gradwidgets.ledger.conflicts import cosine
from gradwidgets.ledger.record import STAGES, ParameterRecord, UpdateRecord, norm, record_updates

SAME = 1e-3
"""A relative difference of changes that counts as none."""
FELT = 1e-4
"""A penalty below this share of the gradient is lost in the rounding of their sum."""
UNSCALED, LATE_PENALTY = "without scale", "penalty last"
"""Names of the runs that are compared with."""
HELP = {
    "carried": "what .grad held after clearing",
    "raw": "what each micro-batch's backward() added",
    "accumulated": ".grad before any edit",
    **{entry.stage: entry.help for entry in EDITS},
    "edited": ".grad after your own edits, and after the zeros of a group that is frozen so",
    "step": "the change as a gradient: -change / lr, what plain SGD would have had to read; "
    "and how many times the gradient read it is",
    "change": "parameter after minus parameter before; below it that of other runs, to compare",
    "moved at zero": "share of elements that moved though the optimizer read a zero gradient",
    "angle": "degrees between gradient and change: 180 is straight downhill",
}


def pages(problem: Problem | str, recipe: Recipe | None = None) -> Iterator[dict[str, Any]]:
    """A page for each update, in their order.

    Raises:
        TrainingError: the model or the loss failed.

    >>> next(pages("line", Recipe(scale=0.5)))["caption"]
    '2-norms of every gradient in update 0'
    """
    problem = problems.get(problem)
    recipe = recipe or problem.recipe
    runs = {name: record_updates(problem, other) for name, other in _alternatives(recipe).items()}
    for record in record_updates(problem, recipe):
        others = {name: next(run, None) for name, run in runs.items()}
        yield _page(recipe, record, {name: other for name, other in others.items() if other})


def _alternatives(recipe: Recipe) -> dict[str, Recipe]:
    """The runs whose change stands beside this one's, to show what a setting does."""
    found = {}
    if recipe.scale != 1.0:
        found[UNSCALED] = recipe.replace(scale=1.0)
    if (recipe.l1 or recipe.l2) and recipe.max_norm is not None:
        late = (Penalty(recipe.l1, recipe.l2), *recipe.edits)
        found[LATE_PENALTY] = recipe.replace(l1=0.0, l2=0.0, edits=late)
    return found


def _page(
    recipe: Recipe, record: UpdateRecord, others: Mapping[str, UpdateRecord]
) -> dict[str, Any]:
    stages = [name for name in STAGES if name != "edited" or name in record.active]
    columns = ["carried", "raw", *stages, "step", "change", "moved at zero", "angle"]
    active = {stage: stage in ("accumulated", *record.active) for stage in stages}
    joint = {name: other.joint for name, other in others.items()}
    rows = [{"name": "all together", "detail": "", "cells": _cells(record.joint, active, joint)}]
    for parameter in record.parameters:
        name, shape = parameter.name, parameter.change.shape
        same = {run: other[name] for run, other in others.items()}
        detail = " x ".join(map(str, shape)) or "one number"
        rows.append({"name": name, "detail": detail, "cells": _cells(parameter, active, same)})
    return {
        "caption": f"2-norms of every gradient in update {record.update}",
        "columns": [{"name": name, "help": HELP[name]} for name in columns],
        "rows": rows,
        "sentence": _sentence(recipe, record),
        "notes": list(_notes(recipe, record, others)),
    }


def _cells(
    record: ParameterRecord, active: Mapping[str, bool], others: Mapping[str, ParameterRecord]
) -> list[dict[str, Any]]:
    """The cells of one parameter, or of all together; stages that are not active are off."""
    norms = record.norms
    shown = [norms["carried"], *(norms[stage] for stage in active)]
    top = max((each for each in shown if math.isfinite(each)), default=0.0)

    def gradient(values: Array | None, mark: str = "") -> dict[str, Any]:
        return cell(_norm(values), _share(norm(values), top), mark)

    carried = cell(_norm(record.carried))
    if norms["carried"] > 0:
        carried = gradient(record.carried, "notice")
    moved = record.moved_without_gradient
    return [
        carried,
        cell(_raw(record.raw)),
        *(gradient(record.gradient(name)) if on else cell("off") for name, on in active.items()),
        cell(_step(record)),
        _change(record, others),
        cell(f"{moved:.0%}", mark="notice" if moved else ""),
        cell("-" if math.isnan(record.angle) else f"{record.angle:.1f}°"),
    ]


def _change(record: ParameterRecord, others: Mapping[str, ParameterRecord]) -> dict[str, Any]:
    """The change, and where there is something to compare with, a bar for each run."""
    text, change = _norm(record.change), record.norms["change"]
    if not others:
        return cell(text)
    norms = {name: other.norms["change"] for name, other in others.items()}
    top = max([change, *norms.values()])
    beside = [(f"{each:.3g} {name}", _share(each, top)) for name, each in norms.items()]
    return cell(text, _share(change, top), beside=beside)


def _share(part: float, top: float) -> float:
    return part / top if top and math.isfinite(part) else 0.0


def _norm(values: Array | None) -> str:
    return "None" if values is None else f"{norm(values):.3g}"


def _step(record: ParameterRecord) -> str:
    """The norm of the step, and how many times that of the gradient read it is."""
    read, step = record.norms["edited"], record.norms["step"]
    if not np.nan_to_num(record.lr).all():
        return "-"
    if not read > 0:
        return f"{step:.3g}"
    times = step / read
    return f"{step:.3g} = {times:.3g} x" if times < 1000 else f"{step:.3g} = {times:.0f} x"


def _raw(raw: tuple[Array | None, ...]) -> str:
    """The norm of each micro-batch, or of many their range."""
    if len(raw) <= 3:
        return " + ".join("None" if each is None else f"{norm(each):.2g}" for each in raw)
    norms = [norm(each) for each in raw if each is not None]
    return f"{len(norms)} of {min(norms):.2g} to {max(norms):.2g}" if norms else "None"


def _sentence(recipe: Recipe, record: UpdateRecord) -> str:
    norms = record.joint.norms
    return (
        f"Update {record.update}, loss {record.loss:.4g}: a gradient of norm "
        f"{norms['accumulated']:.3g} became {norms['edited']:.3g} by the edits, and "
        f"{name_of(recipe.optimizer)} made of it a change of {norms['change']:.3g}."
    )


def _notes(
    recipe: Recipe, record: UpdateRecord, others: Mapping[str, UpdateRecord]
) -> Iterator[str]:
    norms, moved = record.joint.norms, record.joint.moved_without_gradient
    if norms["carried"] > 0:
        yield (
            f"`.grad` was not empty at the start: it held a norm of {norms['carried']:.3g}, and "
            "this update's gradients were added to that."
        )
    if UNSCALED in others:
        yield _note_on_scale(recipe, record.difference(others[UNSCALED]))
    if LATE_PENALTY in others:
        yield _note_on_order(record, others[LATE_PENALTY])
    yield from _note_on_penalty(record)
    if recipe.mask and (recipe.l1 or recipe.l2):
        yield (
            "The penalty comes after the mask: it gives masked elements a gradient again, and "
            "they move."
        )
    if moved:
        yield (
            f"{moved:.0%} of the elements moved though the optimizer read a gradient of zero: "
            "its momentum or its weight decay moves them."
        )
    yield from _notes_on_groups(recipe, record)
    before = norms["penalised"]
    if "clipped" in record.active and norms["clipped"] < before * (1 - 1e-6):
        yield f"Clipping cut the joint norm from {before:.3g} to {norms['clipped']:.3g}."
    if record.joint.angle > 179.9:
        yield "The change points straight against the gradient that was read: steepest descent."


def _note_on_penalty(record: UpdateRecord) -> Iterator[str]:
    """The conflict between the gradient so far and the penalty's own, if that is not tiny."""
    before, after = record.joint.gradient("masked"), record.joint.gradient("penalised")
    if before is None or after is None:
        return
    angle = cosine(before, after - before)
    if norm(after - before) > FELT * norm(before) and math.isfinite(angle):
        rounded = round(angle, 2) + 0.0  # without the sign of a zero
        yield (
            "The cosine between the penalty's gradient and the one that it is added to is "
            f"{rounded:.2f}: they {'conflict' if rounded < 0 else 'do not conflict'}."
        )


def _notes_on_groups(recipe: Recipe, record: UpdateRecord) -> Iterator[str]:
    """Say what became of each group that is frozen at this update, by its numbers."""
    names = [each.name for each in record.parameters]
    for group in groups_of(recipe.groups, recipe.lr, names, recipe.updates):
        if group.frozen(record.update):
            own = [record[name] for name in group.names]
            yield f"{group.pattern} is frozen by {group.by}: {_frozen(group.by, own)}."


def _frozen(by: str, records: Sequence[ParameterRecord]) -> str:
    read = [each.read.ravel() for each in records if each.read is not None]
    gradient = norm(np.concatenate(read)) if read else None
    change = norm(np.concatenate([each.change.ravel() for each in records]))
    return frozen_in_words(by, gradient, change)


def _note_on_order(record: UpdateRecord, late: UpdateRecord) -> str:
    change, other = record.joint.norms["change"], late.joint.norms["change"]
    if (apart := record.difference(late)) < SAME:
        return f"With the penalty after clipping the change would be the same, to {apart:.1g}."
    return (
        "Here clipping cuts the penalty together with the gradient. With the penalty after "
        f"clipping the change would be {other:.3g}, not {change:.3g}: they differ by {apart:.1%} "
        "of it."
    )


def _note_on_scale(recipe: Recipe, apart: float) -> str:
    without = f"Without the scale of {recipe.scale:g} the change would be"
    if apart < SAME:
        kind = name_of(recipe.optimizer)
        return f"{without} the same, to {apart:.1g}: {kind} cancels a constant scale."
    return f"{without} another: they differ by {apart:.1%} of it."
