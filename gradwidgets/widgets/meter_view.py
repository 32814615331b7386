"""`Meter`: how far the accumulated gradient is from that of the full batch, by each rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ipywidgets

from gradwidgets.core import meter_problems
from gradwidgets.core.control import Control, linear
from gradwidgets.core.meter import DTYPES, RULES, chunk_sizes, meter
from gradwidgets.core.meter import Meter as Reading
from gradwidgets.core.problem import Problem
from gradwidgets.core.rules import OneOf, refuse
from gradwidgets.widgets.bar_table import BarTable, as_text, cell
from gradwidgets.widgets.closing import close
from gradwidgets.widgets.slider import Slider
from gradwidgets.widgets.soon import Soon

LOWEST, HIGHEST = -17, 1
"""Powers of ten at the ends of the bars."""
DATA = {"samples": meter_problems.SAMPLES, "tokens": meter_problems.SEQUENCES}
"""What is accumulated, and how many of it there are."""
GROUP = "Accumulation"
STEPS = Control(
    "micro-batches", GROUP, "In how many parts the full batch is cut.", tuple(range(1, 9))
)
DROPOUT = Control("dropout", GROUP, "Share of the units dropped.", linear(0.0, 0.9, 0.1))
PADDING = Control("padding", GROUP, "How uneven the sequences' lengths are.", linear(0.0, 1.0, 0.1))


class Meter:
    """The relative difference of accumulated gradients, live under its controls.

    Args:
        data: "samples" of equal weight, or padded sequences of "tokens".
        accumulation_steps: number of micro-batches at first, from 1 to 8.
        ragged: whether the last micro-batch has another size than the rest.
        batch_norm: whether the model for samples has BatchNorm.
        dropout: share of its units that are dropped.
        padding: unevenness of the tokens' lengths, from 0 to 1.
        dtype: "float32" or "float64".

    Raises:
        ValueError: a value is not allowed.
    """

    def __init__(
        self,
        data: str = "samples",
        accumulation_steps: int = 4,
        ragged: bool = False,
        batch_norm: bool = False,
        dropout: float = 0.0,
        padding: float = 1.0,
        dtype: str = "float64",
    ) -> None:
        OneOf(tuple(DATA))("data", data)
        OneOf(tuple(DTYPES))("dtype", dtype)
        if accumulation_steps not in STEPS.stops:
            raise refuse("accumulation_steps", accumulation_steps, f"one of {STEPS.stops}")
        self.controls: dict[str, Any] = {
            "accumulation_steps": Slider(STEPS, accumulation_steps),
            "ragged": _checkbox("ragged: the last one differs", ragged),
            "data": _dropdown("data", tuple(DATA), data),
            "padding": Slider(PADDING, padding),
            "batch_norm": _checkbox("BatchNorm", batch_norm),
            "dropout": Slider(DROPOUT, dropout),
            "dtype": _dropdown("precision", tuple(DTYPES), dtype),
        }
        self._soon = Soon()
        self._asked = 0
        self._table = BarTable()
        self.widget = ipywidgets.VBox([_grid(list(self.controls.values())), self._table])
        for control in self.controls.values():
            control.observe(lambda _: self._request(), "value")
        self._show()

    @property
    def reading(self) -> Reading:
        """What `gradwidgets.core.meter.meter` says of the settings in hand."""
        value = {name: control.value for name, control in self.controls.items()}
        return meter(self.problem, self.sizes, dtype=value["dtype"])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Samples, or sequences, in each micro-batch."""
        value = {name: control.value for name, control in self.controls.items()}
        cut: Callable[[int, int], tuple[int, ...]]
        cut = ragged_sizes if value["ragged"] else chunk_sizes
        return cut(DATA[value["data"]], value["accumulation_steps"])

    @property
    def problem(self) -> Problem:
        """The problem that the settings in hand make."""
        value = {name: control.value for name, control in self.controls.items()}
        if value["data"] == "tokens":
            return meter_problems.tokens(meter_problems.padded_lengths(value["padding"]))
        return meter_problems.samples(
            "batch" if value["batch_norm"] else "none",
            value["dropout"],
            layers=2 if value["dropout"] else 1,  # draws of one layer are those of the full batch
        )

    def close(self) -> None:
        """Remove every widget."""
        close(self.widget)

    def _request(self) -> None:
        """Measure soon; of several requests only the newest is answered."""
        self._asked += 1
        turn = self._asked
        self._soon(lambda: self._show() if turn == self._asked else None)

    def _show(self) -> None:
        tokens = self.controls["data"].value == "tokens"
        self.controls["padding"].disabled = not tokens
        self.controls["dropout"].disabled = self.controls["batch_norm"].disabled = tokens
        self._table.page = page(self.reading)

    def __repr__(self) -> str:
        """The table in hand as text."""
        return as_text(self._table.page)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The live meter; where no widgets can live, its text."""
        bundle: dict[str, Any] = dict(self.widget._repr_mimebundle_(**kwargs) or {})
        return {**bundle, "text/plain": repr(self)}


def ragged_sizes(samples: int, steps: int) -> tuple[int, ...]:
    """Equal sizes but for the last, which takes what is left: 32 in 4 are 10, 10, 10, 2."""
    if steps == 1:
        return (samples,)
    size = (samples - 1) // (steps - 1)
    return (*[size] * (steps - 1), samples - size * (steps - 1))


def page(reading: Reading) -> dict[str, Any]:
    """What the table shows of a reading."""
    powers = [-16, -12, -8, -4, 0]
    ticks = [[_place(10.0**power), f"1e{power}" if power else "1"] for power in powers]
    return {
        "caption": f"Accumulated over micro-batches of {_listed(reading.sizes)}",
        "columns": [
            {"name": "relative difference from the full batch's gradient", "ticks": ticks},
            {"name": "verdict"},
            {"name": "norm, full batch = 1"},
        ],
        "rows": [_row(reading, rule) for rule in RULES],
        "sentence": _sentence(reading),
        "notes": _notes(reading),
    }


def _row(reading: Reading, rule: str) -> dict[str, Any]:
    apart, right = reading.differences[rule], rule in reading.right
    verdict = "✓ equal but for rounding" if right else "✗ another gradient"
    mark = "good" if right else "bad"
    cells = [cell(f"{apart:.2g}", _place(apart), mark), cell(verdict, mark=mark)]
    cells.append(cell(f"{reading.ratios[rule]:.3g}"))
    return {"name": rule, "detail": f"`{RULES[rule]}`", "cells": cells}


def _place(apart: float) -> float:
    """Where a difference stands on the bars' logarithmic scale, from 0 to 1."""
    if apart <= 10.0**LOWEST:
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


def _notes(reading: Reading) -> list[str]:
    notes = []
    if reading.tokens != reading.sizes:
        notes.append(f"Tokens that count in each micro-batch: {_listed(reading.tokens)}.")
    if reading.buffers:
        notes.append(
            f"BatchNorm's running statistics differ by up to {reading.buffers:.2g}: each "
            "micro-batch is normalised by its own mean and variance, which no weight repairs."
        )
    return notes


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _grid(controls: list[Any]) -> ipywidgets.GridBox:
    columns = "repeat(auto-fit, minmax(185px, 1fr))"
    layout = {"grid_template_columns": columns, "grid_gap": "4px 12px", "width": "100%"}
    return ipywidgets.GridBox(controls, layout=layout)


def _checkbox(description: str, value: bool) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(value, description=description, indent=False)


def _dropdown(description: str, options: tuple[str, ...], value: str) -> ipywidgets.Dropdown:
    style, layout = {"description_width": "initial"}, {"width": "auto"}
    return ipywidgets.Dropdown(
        options=options, value=value, description=description, style=style, layout=layout
    )
