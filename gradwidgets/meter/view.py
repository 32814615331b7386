"""`Meter`: what accumulation costs, how large a batch pays, and which lr a larger one takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import ipywidgets

from gradwidgets.components import (
    STEP,
    BarTable,
    LatestTask,
    StaticFallback,
    Steps,
    as_text,
    close,
    empty_page,
)
from gradwidgets.core import Problem, Recipe, is_pair, not_allowed, problems, settings
from gradwidgets.meter import setups
from gradwidgets.meter.controls import (
    AS_IT_IS,
    GRADIENT,
    LR,
    NOISE,
    SETUPS,
    grid,
    mode_controls,
    setup_controls,
    sizes_in,
    split_controls,
    table_controls,
)
from gradwidgets.meter.lr_rules import LRS, SEEDS, LrRules, in_slices, rules_page
from gradwidgets.meter.measure import (
    Counting,
    Measurement,
    count_tokens,
    measure,
    ragged_sizes,
    recipe_sizes,
)
from gradwidgets.meter.noise_scale import NoiseScale, noise_scale
from gradwidgets.meter.page import page

SPLITTING = ("accumulation_steps", "ragged", "data")
"""Controls that, when they move, write the sizes of the micro-batches."""
USED = {
    GRADIENT: {"accumulation_steps", "ragged", "sizes", "mode", "dtype"},
    NOISE: {"accumulation_steps", "ragged", "sizes", "mode", "dtype", "after"},
    LR: {"factor"},
}
"""By table, the controls that change it, beside those of the data and `show` itself."""


@runtime_checkable
class Followed(Protocol):
    """`GradLab`, or anything else with a problem, a recipe and followers: a meter follows it."""

    problem: Problem
    followers: list[Callable[[], object]]

    @property
    def recipe(self) -> Recipe:
        """The present settings."""


class Meter(StaticFallback):
    """Tables about batches, live under their controls.

    "accumulated gradient" has its relative difference from the full batch's gradient, by each rule;
    "how large a batch" the noise scale (see `gradwidgets.meter.noise_scale`); "lr for a larger
    batch" trains SGD and Adam with several seeds (see `gradwidgets.meter.lr_rules`), which takes
    some seconds and longer with a large model.

    Args:
        data: "samples" of equal weight or padded sequences of "tokens", which come with controls
            of their own; a `Problem`, or the name of another built-in one; or a `GradLab`, whose
            recipe is followed as its sliders move: the first update is measured.
        accumulation_steps: number of micro-batches at first, from 1 to 8.
        ragged: whether the last micro-batch has another size than the rest.
        batch_norm: whether the model of "samples" has BatchNorm.
        dropout: share of its units that are dropped.
        padding: unevenness of the lengths of "tokens", from 0 to 1.
        dtype: "float32" or "float64"; None is float64 for "samples" and "tokens", and leaves any
            other problem as it is.
        sizes: samples in each micro-batch at first, instead of `accumulation_steps`.
        mode: "train", "eval", "BatchNorm in eval" or "dropout in eval".
        count: how many targets of a micro-batch count, for the rule "tokens".
        show: the table that is shown at first.

    Attributes:
        controls: by the name of the argument, the widget that sets it.

    Raises:
        ValueError: a value is not allowed.

    >>> meter = Meter(ragged=True)
    >>> meter.sizes
    (10, 10, 10, 2)
    >>> meter.measurement.correct
    ('samples', 'tokens')
    >>> meter.controls["data"].value = "tokens"
    >>> meter.measurement.correct
    ('tokens',)
    """

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
        show: str = GRADIENT,
    ) -> None:
        self._lab = data if isinstance(data, Followed) else None
        self._own = _own(data)
        self._count = count
        self.controls: dict[str, Any] = table_controls(show)
        if not self._lab:
            self.controls |= split_controls(accumulation_steps, ragged)
        if not self._own:
            self.controls |= setup_controls(str(data), padding, batch_norm, dropout)
        self.controls |= mode_controls(mode, dtype, own=self._own is not None)
        if not self._lab:
            self.controls["sizes"].value = _listed(sizes or self._usual_sizes())
        self._measured = self._values
        self._table = BarTable(page=self._first_page())
        self.widget = ipywidgets.VBox([grid(list(self.controls.values())), self._table])
        self._task = LatestTask()
        for control in self.controls.values():
            control.observe(self._moved, "value")
        if self._lab:
            self._lab.followers.append(self._begin)
        if show == LR:
            self._begin()

    @property
    def measurement(self) -> Measurement:
        """The figures for the present settings, as `gradwidgets.meter.measure` gives them."""
        return measure(*self._arguments)

    @property
    def noise_scale(self) -> NoiseScale:
        """The noise scale for the present settings, as `gradwidgets.meter.noise_scale` gives it."""
        after = min(self.controls["after"].value, self._recipe.updates)
        return noise_scale(*self._arguments, after=after)

    @property
    def _arguments(self) -> tuple[Problem, Sequence[int] | Recipe, str, str | None, Counting]:
        values = self._values
        dtype = None if values["dtype"] == AS_IT_IS else values["dtype"]
        split = self._lab.recipe if self._lab else self.sizes
        return self.problem, split, values["mode"], dtype, self._count

    @property
    def _recipe(self) -> Recipe:
        return self._lab.recipe if self._lab else self.problem.recipe

    @property
    def sizes(self) -> tuple[int, ...]:
        """Samples, or sequences, in each micro-batch.

        Raises:
            ValueError: what the learner has typed are no sizes.
        """
        if self._lab:
            return recipe_sizes(self.problem, self._lab.recipe)
        return sizes_in(self._settings["sizes"])

    @property
    def problem(self) -> Problem:
        """The problem that is measured; for "samples" and "tokens" as their controls make it."""
        if self._own:
            return self._own
        values = self._values
        if values["data"] == "tokens":
            return setups.tokens(setups.padded_lengths(values["padding"]))
        return setups.samples(values["batch_norm"], values["dropout"])

    def close(self) -> None:
        """Stop following, and remove every widget."""
        if self._lab and self._begin in self._lab.followers:
            self._lab.followers.remove(self._begin)
        self._task.stop()
        close(self.widget)

    @property
    def _values(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.controls.items()}

    @property
    def _settings(self) -> dict[str, Any]:
        """The controls' values, with the sizes that one of the others is to write if it moved.

        Compared with the settings that were measured last: sizes that were typed since then win.
        """
        now, then = self._values, self._measured
        moved = any(now[name] != then[name] for name in SPLITTING if name in now)
        if moved and now["sizes"] == then["sizes"]:
            now["sizes"] = _listed(self._usual_sizes())
        return now

    def _usual_sizes(self) -> tuple[int, ...]:
        """The sizes of the problem's batch in the micro-batches that the controls ask for."""
        steps, recipe = self._values["accumulation_steps"], self.problem.recipe
        sizes = recipe_sizes(self.problem, recipe.replace(accumulation_steps=steps))
        return ragged_sizes(sum(sizes), steps) if self._values["ragged"] else sizes

    def _moved(self, _: object) -> None:
        """Measure soon, unless the meter itself has just written the sizes."""
        if self._values != self._measured:
            self._begin()

    def _begin(self) -> None:
        self._task.begin(self._steps())

    def _steps(self) -> Steps:
        """Write the sizes if they follow from another control, then measure."""
        try:
            self._measured = self._settings
            if not self._lab:
                self.controls["sizes"].value = self._measured["sizes"]
            for shown in self._pages():
                self._table.page = shown
                yield None
        except Exception as error:  # the learner's own model may raise anything
            self._table.page = empty_page(f"No table: {self.controls['show'].value}", error)
        yield None

    def _first_page(self) -> dict[str, Any]:
        return next(self._pages())

    def _pages(self) -> Iterator[dict[str, Any]]:
        """The table that is shown; before it, those that say what is being done."""
        self._disable()
        name = f"{self._own.name}: " if self._own else ""
        show = self.controls["show"].value
        if show == LR:
            yield from self._lr_pages()
        elif show == NOISE:
            yield self.noise_scale.page()
        else:
            used = ("mean" if self._lab.recipe.average else "sum") if self._lab else ""
            yield page(self.measurement, name, used)

    def _lr_pages(self) -> Iterator[dict[str, Any]]:
        factor, problem = self.controls["factor"].value, self.problem
        recipe = self._recipe.replace(batch_size=_batch(problem, self._recipe, factor))
        found = []
        for optimizer, lrs in LRS.items():
            recipe = settings.with_(recipe, optimizer=optimizer)
            for state in in_slices(problem, recipe, factor, SEEDS, lrs, STEP):
                if isinstance(state, LrRules):
                    found.append(state)
                else:
                    said = f"{state}; the table comes when all are done."
                    yield empty_page(f"{problem.name}: {LR}", said)
        yield rules_page(found)

    def _disable(self) -> None:
        """Disable the controls that change nothing in the table that is shown."""
        used = USED[self.controls["show"].value]
        for name in set().union(*USED.values()) & set(self.controls):
            self.controls[name].disabled = name not in used
        if not self._own:
            tokens = self.controls["data"].value == "tokens"
            self.controls["padding"].disabled = not tokens
            self.controls["dropout"].disabled = self.controls["batch_norm"].disabled = tokens

    def __repr__(self) -> str:
        """The table that is shown, as text."""
        return as_text(self._table.page)


def _batch(problem: Problem, recipe: Recipe, factor: int) -> int:
    """The recipe's batch; where it is too large to grow, a power of two of which some fit."""
    data, count = problem.batches(), 1
    if is_pair(data):  # other data is refused where it is trained on
        _, y = data
        count = len(y)
    if recipe.batch_size and recipe.batch_size * factor <= count:
        return recipe.batch_size
    return 1 << max(0, int(math.log2(count / (2 * factor))))


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))


def _own(data: str | Problem | Followed) -> Problem | None:
    """The problem that is given, by itself, by its name or with a lab; None for a set-up."""
    if isinstance(data, Followed):
        return data.problem
    if isinstance(data, str) and data in SETUPS:
        return None
    if isinstance(data, Problem) or data in problems.names():
        return problems.get(data)
    allowed = f"one of {[*SETUPS, *problems.names()]}, a Problem or a GradLab"
    raise not_allowed("data", data, allowed)
