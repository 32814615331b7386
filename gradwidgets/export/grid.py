"""The settings of a saved page, and every run that they can lead to."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwidgets.core import Control, History, Problem, Recipe, not_allowed, settings
from gradwidgets.sweep import SWEPT_TOGETHER, Sweep

MOST_RUNS = 400
"""Combinations of the settings that are trained, about: more take minutes, and a larger file."""
CHUNK = 243
"""Runs that are trained together at most."""
HELD = 60_000_000
"""Parameters of all updates of the histories that are held at a time: about 1.5 GB, if runs are
trained one by one; together they hold less."""

Place = tuple[int, ...]
"""Where each dial stands: a number among its values."""


@dataclass(frozen=True)
class Dial:
    """One setting that the page's reader can change.

    Args:
        name: of the setting.
        control: its label, its help, and whether it is a slider or a list.
        values: what it visits, in order.
        at: the number among them where it stands at first.
        shared: the numbers of those that it can stand at wherever the other dials stand; at the
            rest it can stand only while all others stand where they stood at first.
    """

    name: str
    control: Control
    values: tuple[Any, ...]
    at: int
    shared: tuple[int, ...]

    @property
    def texts(self) -> list[str]:
        """The values as they are shown."""
        return [self.control.text(value) for value in self.values]


def dials_of(
    recipe: Recipe, names: Sequence[str], values: Sequence[Any] | None = None, most: int = MOST_RUNS
) -> list[Dial]:
    """A dial for each setting, that stands as in the recipe.

    Args:
        recipe: where they stand at first.
        names: the settings.
        values: what the first visits; None takes the stops of its control.
        most: about so many combinations are shared by all dials; of a list all values are.

    Raises:
        ValueError: a setting is unknown or named twice, or there is no value.

    >>> lr, scale = dials_of(Recipe(lr=0.5), ["lr", "scale"], most=25)
    >>> len(lr.values), [lr.values[number] for number in lr.shared]
    (51, [0.0001, 0.0016, 0.032, 0.5, 10.0])
    """
    controls = settings.controls(recipe)
    for name in names:
        if name not in controls:
            raise not_allowed("field", name, f"a setting with a control: {', '.join(controls)}")
        if [*names].count(name) > 1:
            raise not_allowed("fields", list(names), f"another setting beside {name!r}")
    if not names or (values is not None and not len(values)):
        raise not_allowed("values", list(values or ()), "at least one value")
    dials = []
    for name in names:
        control, value = controls[name], settings.get(recipe, name)
        if control.stops == (False, True):  # a switch becomes a list of two
            control = dataclasses.replace(control, slider=False)
        stops = control.including(value)
        if values is not None and name == names[0]:
            stops = tuple(values)
        at = stops.index(value) if value in stops else 0
        dials.append(Dial(name, control, stops, at, tuple(range(len(stops)))))
    return _thinned(dials, most)


def _thinned(dials: Sequence[Dial], most: int) -> list[Dial]:
    """The dials with as many shared values as give `most` combinations, of each slider as many.

    Beside a slider whose values are trained together, one whose values are not shares two at most:
    each of them takes as long as all values of the other.
    """
    count = max(len(dial.values) for dial in dials)
    together = {d.name for d in dials if d.control.slider and d.name in SWEPT_TOGETHER}

    def thinned(dial: Dial) -> Dial:
        if not dial.control.slider:
            return dial
        few = min(count, 2) if together and dial.name not in together else count
        return dataclasses.replace(dial, shared=_spread(len(dial.values), few, dial.at))

    while count > 1:
        found = [thinned(dial) for dial in dials]
        if np.prod([len(dial.shared) for dial in found]) <= most:
            return found
        count -= 1
    return [thinned(dial) for dial in dials]


def _spread(size: int, count: int, at: int) -> tuple[int, ...]:
    """So many of the numbers below `size`, `at` among them, evenly from the first to the last.

    Of two, the other is halfway to the farther end.
    """
    if size <= count:
        return tuple(range(size))
    if count == 1:
        return (at,)
    if count == 2:
        end = 0 if at > (size - 1) / 2 else size - 1
        return tuple(sorted({at, (at + end) // 2}))
    even = np.linspace(0, size - 1, count).round().astype(int).tolist()
    if at not in even:
        nearest = min(range(1, count - 1), key=lambda n: abs(even[n] - at))
        even[nearest] = at
    return tuple(sorted(even))


def places(dials: Sequence[Dial]) -> Iterator[Place]:
    """Every place where the dials can stand: all shared values, then the rest of each dial.

    >>> a = Dial("a", settings.controls()["lr"], (1, 2, 3), 0, (0, 2))
    >>> list(places([a, a]))
    [(0, 0), (0, 2), (2, 0), (2, 2), (1, 0), (0, 1)]
    """
    yield from itertools.product(*(dial.shared for dial in dials))
    start = tuple(dial.at for dial in dials)
    for number, dial in enumerate(dials):
        for stop in range(len(dial.values)):
            if stop not in dial.shared:
                yield (*start[:number], stop, *start[number + 1 :])


def recipe_at(recipe: Recipe, dials: Sequence[Dial], place: Place) -> Recipe:
    """The recipe where the dials stand; a setting that its optimizer does not take is left out.

    Raises:
        ValueError: the settings do not go together.
    """
    chosen = {d.name: d.values[number] for d, number in zip(dials, place, strict=True)}
    base = settings.with_(recipe, optimizer=chosen.get("optimizer", recipe.optimizer))
    applied = {name: value for name, value in chosen.items() if settings.applies(base, name)}
    return settings.with_(base, **applied)


def train_all(
    problem: Problem, recipes: Sequence[Recipe], snapshots: bool
) -> Iterator[tuple[int, History]]:
    """(number, history) of every recipe, in any order; of few at a time, for they need memory.

    Raises:
        TrainingError: the model or the loss failed.
    """
    size = sum(p.numel() for p in problem.build().parameters())
    alike: dict[object, list[int]] = {}
    for number, recipe in enumerate(recipes):
        alike.setdefault(_trained_with(recipe), []).append(number)
    for numbers in alike.values():
        longest = max(recipes[number].updates for number in numbers)
        most = min(CHUNK, max(1, HELD // (size * longest + 1)))
        for begin in range(0, len(numbers), most):
            chunk = numbers[begin : begin + most]
            swept = Sweep(problem, [recipes[number] for number in chunk], snapshots=snapshots)
            swept.advance()
            yield from zip(chunk, swept.histories(), strict=True)


def _trained_with(recipe: Recipe) -> object:
    """Equal for recipes that may be trained together."""
    together = {name for name in SWEPT_TOGETHER if name in settings.FIELDS}
    fields = [name for name in settings.FIELDS if name not in together and name != "options"]
    other = {name for name in recipe.options if name not in SWEPT_TOGETHER}
    return repr([(name, getattr(recipe, name)) for name in fields]), repr(sorted(other))
