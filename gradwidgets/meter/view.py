"""`Meter`: how far the accumulated gradient is from that of the full batch, by each rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import ipywidgets

from gradwidgets.components import BarTable, LatestTask, StaticFallback, Steps, as_text, close
from gradwidgets.core import Problem, Recipe, not_allowed, problems
from gradwidgets.meter import setups
from gradwidgets.meter.controls import MODES, SET_UPS, cutting, grid, knobs, listed, modes, parsed
from gradwidgets.meter.measure import (
    Counting,
    count_tokens,
    meter,
    ragged_sizes,
    recipe_meter,
    recipe_sizes,
    rule_of,
)
from gradwidgets.meter.measure import Meter as Reading
from gradwidgets.meter.page import page
from gradwidgets.meter.start import DTYPES, Mode

CUTTING = ("accumulation_steps", "ragged", "data")
"""Controls that write the sizes of micro-batches anew."""


@runtime_checkable
class Followed(Protocol):
    """What a meter follows: `GradLab`, or anything with a problem, a recipe and followers."""

    problem: Problem
    followers: list[Callable[[], object]]

    @property
    def recipe(self) -> Recipe:
        """The present settings."""


class Meter(StaticFallback):
    """The relative difference of accumulated gradients, live under its controls.

    Args:
        data: "samples" of equal weight or padded sequences of "tokens", two set-ups with knobs of
            their own; a `Problem`, or the name of another built-in one; or a `GradLab`, whose
            recipe is followed as its sliders move: the first update is measured.
        accumulation_steps: number of micro-batches at first, from 1 to 8.
        ragged: whether the last micro-batch has another size than the rest.
        batch_norm: whether the model of "samples" has BatchNorm.
        dropout: share of its units that are dropped.
        padding: unevenness of the lengths of "tokens", from 0 to 1.
        dtype: "float32" or "float64"; None is float64 for the two set-ups, and leaves any other
            problem as it is.
        sizes: samples in each micro-batch at first, instead of `accumulation_steps`.
        mode: "train", "eval", "BatchNorm in eval" or "dropout in eval".
        count: how many targets of a micro-batch count, for the rule "tokens".

    Raises:
        ValueError: a value is not allowed.
    """

    _uncut = False  # whether a control has moved that writes the sizes anew
    _cut_to = ""  # what was written last

    def __init__(
        self,
        data: str | Problem | Followed = "samples",
        accumulation_steps: int = 4,
        ragged: bool = False,
        batch_norm: bool = False,
        dropout: float = 0.0,
        padding: float = 1.0,
        dtype: str | None = None,
        *,
        sizes: Sequence[int] | None = None,
        mode: str = "train",
        count: Counting = count_tokens,
    ) -> None:
        self._lab = data if isinstance(data, Followed) else None
        self._own = _own(data)
        self._count = count
        self.controls: dict[str, Any] = {}
        if not self._lab:
            self.controls |= cutting(accumulation_steps, ragged)
        if not self._own:
            self.controls |= knobs(str(data), padding, batch_norm, dropout)
        self.controls |= modes(mode, dtype, own=self._own is not None)
        self._table = BarTable()
        self.widget = ipywidgets.VBox([grid(list(self.controls.values())), self._table])
        self._task = LatestTask()
        if not self._lab:
            self._cut(sizes)
        self._table.page = self._page()
        self._listen()

    @property
    def reading(self) -> Reading:
        """What `gradwidgets.meter.measure` says of the settings in hand."""
        value, mode = self._values, MODES[self._values["mode"]]
        dtype = value["dtype"] if value["dtype"] in DTYPES else None
        if self._lab:
            prepared = Mode(dtype, **mode)
            return recipe_meter(self.problem, self._lab.recipe, prepared, self._count)
        return meter(self.problem, self.sizes, dtype=dtype, count=self._count, **mode)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Samples, or sequences, in each micro-batch.

        Raises:
            ValueError: what the learner has typed are no sizes.
        """
        if self._lab:
            return recipe_sizes(self.problem, self._lab.recipe)
        if self._uncut:
            self._uncut = False
            self._cut()
        return parsed(self._values["sizes"])

    @property
    def problem(self) -> Problem:
        """The problem that is measured; of the two set-ups, that which their knobs make."""
        if self._own:
            return self._own
        value = self._values
        if value["data"] == "tokens":
            return setups.tokens(setups.padded_lengths(value["padding"]))
        return setups.samples(
            "batch" if value["batch_norm"] else "none",
            value["dropout"],
            layers=2 if value["dropout"] else 1,  # draws of one layer are those of the full batch
        )

    def close(self) -> None:
        """Stop following, and remove every widget."""
        if self._lab and self._measure in self._lab.followers:
            self._lab.followers.remove(self._measure)
        self._task.stop()
        close(self.widget)

    @property
    def _values(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    def _listen(self) -> None:
        if self._lab:
            self._lab.followers.append(self._measure)
        for name, control in self.controls.items():
            control.observe(partial(self._moved, name), "value")

    def _moved(self, name: str, _: Any) -> None:
        """The learner moved a control; front ends say so on several threads at once."""
        if name in CUTTING:
            self._uncut = True
        elif name == "sizes" and self.controls["sizes"].value != self._cut_to:
            self._uncut = False  # they are the learner's own
        self._measure()

    def _cut(self, sizes: Sequence[int] | None = None) -> None:
        """Write the sizes: these, or what the problem's batch has in that many micro-batches."""
        self._cut_to = listed(sizes or self._usual_sizes())
        self.controls["sizes"].value = self._cut_to

    def _usual_sizes(self) -> tuple[int, ...]:
        steps, recipe = self._values["accumulation_steps"], self.problem.recipe
        sizes = recipe_sizes(self.problem, recipe.replace(accumulation_steps=steps))
        if self._values["ragged"]:
            return ragged_sizes(sum(sizes), steps)
        return sizes

    def _measure(self) -> None:
        """Measure soon; of many requests only the newest is carried out."""
        self._task.begin(self._show())

    def _show(self) -> Steps:
        """Measure, or say why that is not possible."""
        try:
            self._table.page = self._page()
        except Exception as error:  # the learner's own model may raise anything
            self._table.page = {**self._table.page, "sentence": str(error) or repr(error)}
        yield None

    def _page(self) -> dict[str, Any]:
        if not self._own:
            tokens = self._values["data"] == "tokens"
            self.controls["padding"].disabled = not tokens
            self.controls["dropout"].disabled = self.controls["batch_norm"].disabled = tokens
            return page(self.reading)
        used = rule_of(self._lab.recipe) if self._lab else ""
        return page(self.reading, f"{self._own.name}: ", used)

    def __repr__(self) -> str:
        """The table in hand as text."""
        return as_text(self._table.page)


def _own(data: str | Problem | Followed) -> Problem | None:
    """The problem that is handed in, by itself, by its name or with a lab; None for a set-up."""
    if isinstance(data, Followed):
        return data.problem
    if isinstance(data, str) and data in SET_UPS:
        return None
    if isinstance(data, Problem) or data in problems.names():
        return problems.get(data)
    allowed = f"one of {[*SET_UPS, *problems.names()]}, a Problem or a GradLab"
    raise not_allowed("data", data, allowed)
