"""What the ledger's view shows: a page of plain data for each update of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gradwidgets.components import cell
from gradwidgets.core import EDITS, Penalty, Problem, Recipe, problems
from gradwidgets.ledger.record import ledgers
from gradwidgets.ledger.rows import STAGES, Ledger, Row

SAME = 1e-3
"""A relative difference of changes that counts as none."""
UNSCALED, LATE_PENALTY = "without scale", "penalty last"
"""What the runs that are compared with are called."""
HELP = {
    "carried": "what .grad held after clearing",
    "raw": "what each micro-batch's backward() added",
    "accumulated": ".grad before any edit",
    **{entry.stage: entry.help for entry in EDITS},
    "edited": ".grad after your own edits",
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
    """
    problem = problems.get(problem)
    recipe = recipe or problem.recipe
    others = {name: ledgers(problem, other) for name, other in _alternatives(recipe).items()}
    for written in ledgers(problem, recipe):
        beside = {name: next(other, None) for name, other in others.items()}
        yield _page(recipe, written, {name: other for name, other in beside.items() if other})


def _alternatives(recipe: Recipe) -> dict[str, Recipe]:
    """The runs to compare with: what each would show is seen by its change beside this one's."""
    found = {}
    if recipe.scale != 1.0:
        found[UNSCALED] = recipe.replace(scale=1.0)
    if (recipe.l1 or recipe.l2) and recipe.max_norm is not None:
        late = (Penalty(recipe.l1, recipe.l2), *recipe.edits)
        found[LATE_PENALTY] = recipe.replace(l1=0.0, l2=0.0, edits=late)
    return found


def _page(recipe: Recipe, written: Ledger, others: Mapping[str, Ledger]) -> dict[str, Any]:
    stages = [name for name in STAGES if name != "edited" or name in written.active]
    columns = ["carried", "raw", *stages, "step", "change", "moved at zero", "angle"]
    return {
        "caption": f"2-norms of every gradient in update {written.update}",
        "columns": [{"name": name, "help": HELP[name]} for name in columns],
        "rows": [
            _row(written, written, stages, others),
            *(_row(written, row, stages, _of(row.name, others)) for row in written.rows),
        ],
        "sentence": _sentence(recipe, written),
        "notes": list(_notes(recipe, written, others)),
    }


def _of(parameter: str, others: Mapping[str, Ledger]) -> dict[str, Row]:
    return {name: other[parameter] for name, other in others.items()}


def _row(
    written: Ledger, row: Ledger | Row, stages: list[str], others: Mapping[str, Ledger | Row]
) -> dict[str, Any]:
    """One parameter, or the ledger itself for all of them together."""
    norms = row.norms
    raw = row.raw_norms if isinstance(row, Row) else ()
    finite = [norms[name] for name in ("carried", *stages)]
    top = max((norm for norm in finite if math.isfinite(norm)), default=0.0)
    whole = isinstance(row, Ledger)
    cells = [cell("0" if whole and not norms["carried"] else _norm(norms["carried"]))]
    if norms["carried"] > 0:
        cells = [_bar(norms["carried"], top, "notice")]
    cells.append(cell(_raw(raw)) if raw else cell(""))
    for stage in stages:
        active = stage == "accumulated" or stage in written.active
        cells.append(_bar(norms[stage], top) if active else cell("off"))
    cells += [cell(_step(norms)), _change(norms["change"], others)]
    moved = row.moved_without_gradient
    cells.append(cell(f"{moved:.0%}", mark="notice" if moved else ""))
    cells.append(cell("-" if math.isnan(row.angle) else f"{row.angle:.1f}°"))
    if isinstance(row, Ledger):
        return {"name": "all together", "detail": "", "cells": cells}
    shape = " x ".join(map(str, row.change.shape)) or "one number"
    return {"name": row.name, "detail": shape, "cells": cells}


def _change(norm: float, others: Mapping[str, Ledger | Row]) -> dict[str, Any]:
    """The change, and where there is something to compare with, a bar for each run."""
    if not others:
        return cell(_norm(norm))
    norms = {name: other.norms["change"] for name, other in others.items()}
    top = max([norm, *norms.values()])
    beside = [(f"{_norm(each)} {name}", _share(each, top)) for name, each in norms.items()]
    return cell(_norm(norm), _share(norm, top), beside=beside)


def _share(norm: float, top: float) -> float:
    return norm / top if top and math.isfinite(norm) else 0.0


def _bar(norm: float, top: float, mark: str = "") -> dict[str, Any]:
    return cell(_norm(norm), _share(norm, top), mark)


def _norm(norm: float) -> str:
    return "None" if math.isnan(norm) else f"{norm:.3g}"


def _step(norms: Mapping[str, float]) -> str:
    """The norm of the step, and how many times that of the gradient read it is."""
    read, step = norms["edited"], norms["step"]
    if not read > 0:
        return _norm(step)
    times = step / read
    return f"{_norm(step)} = {times:.3g} x" if times < 1000 else f"{_norm(step)} = {times:.0f} x"


def _raw(norms: tuple[float, ...]) -> str:
    """The norm of each micro-batch, or of many their range."""
    if len(norms) <= 3:
        return " + ".join("None" if math.isnan(norm) else f"{norm:.2g}" for norm in norms)
    return f"{len(norms)} of {min(norms):.2g} to {max(norms):.2g}"


def _sentence(recipe: Recipe, written: Ledger) -> str:
    norms = written.norms
    return (
        f"Update {written.update}, loss {written.loss:.4g}: a gradient of norm "
        f"{norms['accumulated']:.3g} became {norms['edited']:.3g} by the edits, and "
        f"{recipe.optimizer} made of it a change of {norms['change']:.3g}."
    )


def _notes(recipe: Recipe, written: Ledger, others: Mapping[str, Ledger]) -> Iterator[str]:
    norms, moved = written.norms, written.moved_without_gradient
    if norms["carried"] > 0:
        yield (
            f"`.grad` was not empty at the start: it held a norm of {norms['carried']:.3g}, and "
            "this update's gradients were added to that."
        )
    if UNSCALED in others:
        yield _on_scale(recipe, written.difference(others[UNSCALED]))
    if LATE_PENALTY in others:
        yield _on_order(written, others[LATE_PENALTY])
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
    before = written.norms["penalised"]
    if "clipped" in written.active and norms["clipped"] < before * (1 - 1e-6):
        yield f"Clipping cut the joint norm from {before:.3g} to {norms['clipped']:.3g}."
    if written.angle > 179.9:
        yield "The change points straight against the gradient that was read: steepest descent."


def _on_order(written: Ledger, late: Ledger) -> str:
    change, other = written.norms["change"], late.norms["change"]
    if (apart := written.difference(late)) < SAME:
        return f"With the penalty after clipping the change would be the same, to {apart:.1g}."
    return (
        "Here clipping cuts the penalty together with the gradient. With the penalty after "
        f"clipping the change would be {other:.3g}, not {change:.3g}: they differ by {apart:.1%} "
        "of it."
    )


def _on_scale(recipe: Recipe, apart: float) -> str:
    if apart < SAME:
        return (
            f"Without the scale of {recipe.scale:g} the change would be the same, to {apart:.1g}: "
            f"{recipe.optimizer} cancels a constant scale."
        )
    return (
        f"Without the scale of {recipe.scale:g} the change would be another: they differ by "
        f"{apart:.1%} of it."
    )
