"""The controls of a meter: how the batch is split, what is measured, and in what mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets

from gradwidgets.components import Check, Choice, Slider, TextField
from gradwidgets.core import Control, linear, not_allowed, validate
from gradwidgets.meter.measure import DTYPES, MODES

SETUPS = ("samples", "tokens")
"""Data that comes with the meter."""
GRADIENT, NOISE, LR = "accumulated gradient", "how large a batch", "lr for a larger batch"
SHOWN = (GRADIENT, NOISE, LR)
"""The tables of a meter."""
AS_IT_IS = "as it is"
GROUP = "Accumulation"
STEPS = Control(
    "micro-batches", GROUP, "In how many parts the full batch is cut.", tuple(range(1, 9))
)
DROPOUT = Control("dropout", GROUP, "Share of the units dropped.", linear(0.0, 0.9, 0.1))
PADDING = Control("padding", GROUP, "How uneven the sequences' lengths are.", linear(0.0, 1.0, 0.1))
AFTER = Control(
    "updates before",
    GROUP,
    "Train so many updates before the noise scale is measured.",
    (0, 10, 20, 50, 100, 200, 500, 1000),
)
FACTOR = Control("batch grows by", GROUP, "How many times larger the batch becomes.", (2, 4, 8))


def table_controls(show: str) -> dict[str, Any]:
    """Controls for which table is shown, and for the two that look beyond the gradient.

    Raises:
        ValueError: `show` is not allowed.
    """
    validate.OneOf(SHOWN)("show", show)
    return {
        "show": _choice("show", SHOWN, show),
        "after": Slider(AFTER, 0),
        "factor": Slider(FACTOR, 4),
    }


def split_controls(accumulation_steps: int, ragged: bool) -> dict[str, Any]:
    """Controls for the micro-batches: how many, how even, and their sizes as they may be typed.

    Raises:
        ValueError: `accumulation_steps` is no stop of its slider.
    """
    if accumulation_steps not in STEPS.stops:
        raise not_allowed("accumulation_steps", accumulation_steps, f"one of {STEPS.stops}")
    rest = "The last micro-batch takes what is left."
    sizes = "Samples in each micro-batch; type your own, such as 10, 10, 10, 2."
    return {
        "accumulation_steps": Slider(STEPS, accumulation_steps),
        "ragged": Check("make the last one differ", rest, ragged),
        "sizes": TextField("sizes", sizes),
    }


def setup_controls(data: str, padding: float, batch_norm: bool, dropout: float) -> dict[str, Any]:
    """Controls for the data that comes with the meter."""
    return {
        "data": _choice("data", SETUPS, data),
        "padding": Slider(PADDING, padding),
        "batch_norm": Check("BatchNorm", "The model has a BatchNorm layer.", batch_norm),
        "dropout": Slider(DROPOUT, dropout),
    }


def mode_controls(mode: str, dtype: str | None, own: bool) -> dict[str, Any]:
    """Controls for how the model is prepared; the learner's own may stay `AS_IT_IS`.

    Raises:
        ValueError: `mode` or `dtype` is not allowed.
    """
    validate.OneOf(tuple(MODES))("mode", mode)
    if dtype is not None:
        validate.OneOf(tuple(DTYPES))("dtype", dtype)
    dtypes = (AS_IT_IS, *DTYPES) if own else tuple(DTYPES)
    usual = AS_IT_IS if own else "float64"
    return {
        "mode": _choice("mode", tuple(MODES), mode),
        "dtype": _choice("precision", dtypes, dtype or usual),
    }


def sizes_in(text: str) -> tuple[int, ...]:
    """Read sizes as they are typed, separated by commas or blanks.

    Raises:
        ValueError: there is none, or one is no whole number.

    >>> sizes_in("10, 10 2")
    (10, 10, 2)
    """
    words = text.replace(",", " ").split()
    if not words or not all(word.isdecimal() for word in words):
        raise not_allowed("sizes", text, "whole numbers such as 10, 10, 10, 2")
    return tuple(map(int, words))


def grid(controls: Sequence[Any]) -> ipywidgets.GridBox:
    """The controls side by side where there is room."""
    columns = "repeat(auto-fit, minmax(185px, 1fr))"
    layout = {"grid_template_columns": columns, "grid_gap": "4px 12px", "width": "100%"}
    return ipywidgets.GridBox(list(controls), layout=layout)


def _choice(label: str, options: tuple[str, ...], value: str) -> Choice:
    return Choice(Control(label, "Run", "", options, slider=False), value)
