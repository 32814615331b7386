"""What the meter's view shows: a reading as a page of plain data."""

from __future__ import annotations

import math
from typing import Any

from gradwidgets.components import cell
from gradwidgets.meter.measure import RULES
from gradwidgets.meter.measure import Meter as Reading

LOWEST, HIGHEST = -17, 1
"""Powers of ten at the ends of the bars."""
ROUNDING = "rounding only"
"""What plain text says of a difference by rounding, whose digits vary from machine to machine."""
LONG = 10
"""More sizes than this are summed up."""


def page(reading: Reading, title: str = "", used: str = "") -> dict[str, Any]:
    """What the table shows of a reading.

    Args:
        reading: what was measured.
        title: what it was measured on, before the sizes.
        used: the rule that a lab accumulates by at the moment, if one is followed.
    """
    powers = [-16, -12, -8, -4, 0]
    ticks = [[_place(10.0**power), f"1e{power}" if power else "1"] for power in powers]
    return {
        "caption": f"{title}Accumulated over micro-batches of {_listed(reading.sizes)}",
        "columns": [
            {"name": "relative difference from the full batch's gradient", "ticks": ticks},
            {"name": "verdict"},
            {"name": "norm, full batch = 1"},
        ],
        "rows": [_row(reading, rule, used) for rule in RULES],
        "sentence": _on_lab(reading, used) if used else _sentence(reading),
        "notes": _notes(reading),
    }


def _row(reading: Reading, rule: str, used: str) -> dict[str, Any]:
    apart, right = reading.differences[rule], rule in reading.right
    verdict = "✓ equal but for rounding" if right else "✗ another gradient"
    mark = "good" if right else "bad"
    plain = ROUNDING if right else ""
    cells = [cell(f"{apart:.2g}", _place(apart), mark, plain=plain), cell(verdict, mark=mark)]
    cells.append(cell(f"{reading.ratios[rule]:.3g}"))
    name = f"{rule} ◀ the lab" if rule == used else rule
    return {"name": name, "detail": f"`{RULES[rule]}`", "cells": cells}


def _place(apart: float) -> float:
    """Where a difference stands on the bars' logarithmic scale, from 0 to 1."""
    if not apart > 10.0**LOWEST:
        return 0.0
    return min(1.0, (math.log10(apart) - LOWEST) / (HIGHEST - LOWEST))


def _sentence(reading: Reading) -> str:
    if not reading.right:
        return "No rule gives the full batch's gradient here."
    wrong = [
        f"`{rule}` is off by {apart:.0%}"
        for rule, apart in reading.differences.items()
        if rule not in reading.right
    ]
    right = ", ".join(f"`{rule}`" for rule in reading.right)
    return "; ".join([f"Right, to rounding: {right}", *wrong]) + "."


def _on_lab(reading: Reading, used: str) -> str:
    if len(reading.sizes) == 1:
        return "The lab takes its batch whole: nothing is accumulated."
    if used in reading.right:
        return f"The lab's `{used}` gives the full batch's gradient, but for rounding."
    apart = f"{reading.differences[used]:.2g}"
    return f"The lab's `{used}` is off by {apart} of the full batch's gradient. " + _sentence(
        reading
    )


def _notes(reading: Reading) -> list[str]:
    notes = []
    if len({tokens / size for tokens, size in zip(reading.tokens, reading.sizes, strict=True)}) > 1:
        notes.append(f"Tokens that count in each micro-batch: {_listed(reading.tokens)}.")
    if reading.buffers:
        notes.append(
            f"BatchNorm's running statistics differ by up to {reading.buffers:.2g}: each "
            "micro-batch is normalised by its own mean and variance, which no weight repairs."
        )
    return notes


def _listed(numbers: tuple[int, ...]) -> str:
    if len(numbers) > LONG:
        return f"{min(numbers)} to {max(numbers)}, {len(numbers)} of them"
    return ", ".join(map(str, numbers))
