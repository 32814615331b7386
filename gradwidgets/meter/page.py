"""The meter's page: a measurement as plain data for a `BarTable`."""

from __future__ import annotations

import math
from typing import Any

from gradwidgets.components import cell
from gradwidgets.meter.measure import RULES, Measurement

LOWEST, HIGHEST = -17, 1
"""Powers of ten at the ends of the bars."""
ROUNDING = "rounding only"
"""Plain text says this of a difference by rounding, whose digits vary between machines."""
LONG = 10
"""More sizes than this are summed up."""


def page(measured: Measurement, title: str = "", used: str = "") -> dict[str, Any]:
    """A measurement as a table.

    Args:
        measured: the measurement.
        title: the name of the problem, before the sizes.
        used: the rule by which a lab accumulates, if one is followed.

    >>> from gradwidgets.meter.measure import measure
    >>> page(measure("line", [16, 16, 8]))["caption"]
    'Accumulated over micro-batches of 16, 16, 8'
    """
    powers = [-16, -12, -8, -4, 0]
    ticks = [[_place(10.0**power), f"1e{power}" if power else "1"] for power in powers]
    return {
        "caption": f"{title}Accumulated over micro-batches of {_listed(measured.sizes)}",
        "columns": [
            {"name": "relative difference from the full batch's gradient", "ticks": ticks},
            {"name": "verdict"},
            {"name": "norm, full batch = 1"},
        ],
        "rows": [_row(measured, rule, used) for rule in RULES],
        "sentence": _on_lab(measured, used) if used else _sentence(measured),
        "notes": _notes(measured),
    }


def _row(measured: Measurement, rule: str, used: str) -> dict[str, Any]:
    apart, correct = measured.differences[rule], rule in measured.correct
    verdict = "✓ equal but for rounding" if correct else "✗ another gradient"
    mark = "good" if correct else "bad"
    plain = ROUNDING if correct else ""
    cells = [cell(f"{apart:.2g}", _place(apart), mark, plain=plain), cell(verdict, mark=mark)]
    cells.append(cell(f"{measured.ratios[rule]:.3g}"))
    name = f"{rule} ◀ the lab" if rule == used else rule
    return {"name": name, "detail": f"`{RULES[rule]}`", "cells": cells}


def _place(apart: float) -> float:
    """Where a difference stands on the bars' logarithmic scale, from 0 to 1."""
    if not apart > 10.0**LOWEST:
        return 0.0
    return min(1.0, (math.log10(apart) - LOWEST) / (HIGHEST - LOWEST))


def _sentence(measured: Measurement) -> str:
    if not measured.correct:
        return "No rule gives the full batch's gradient here."
    wrong = [
        f"`{rule}` is off by {apart:.0%}"
        for rule, apart in measured.differences.items()
        if rule not in measured.correct
    ]
    correct = ", ".join(f"`{rule}`" for rule in measured.correct)
    return "; ".join([f"Right, to rounding: {correct}", *wrong]) + "."


def _on_lab(measured: Measurement, used: str) -> str:
    if len(measured.sizes) == 1:
        return "The lab takes its batch whole: nothing is accumulated."
    if used in measured.correct:
        return f"The lab's `{used}` gives the full batch's gradient, but for rounding."
    apart = f"The lab's `{used}` is off by {measured.differences[used]:.2g} of the full batch's"
    return f"{apart} gradient. {_sentence(measured)}"


def _notes(measured: Measurement) -> list[str]:
    notes = []
    if (
        len({tokens / size for tokens, size in zip(measured.tokens, measured.sizes, strict=True)})
        > 1
    ):
        notes.append(f"Tokens that count in each micro-batch: {_listed(measured.tokens)}.")
    if measured.buffers:
        notes.append(
            f"BatchNorm's running statistics differ by up to {measured.buffers:.2g}: each "
            "micro-batch is normalised by its own mean and variance, which no weight repairs."
        )
    return notes


def _listed(numbers: tuple[int, ...]) -> str:
    if len(numbers) > LONG:
        return f"{min(numbers)} to {max(numbers)}, {len(numbers)} of them"
    return ", ".join(map(str, numbers))
