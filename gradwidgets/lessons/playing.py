"""A change of recipe as a short animation: real runs at what lies between."""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from typing import Any

from gradwidgets.components import LoopScheduler
from gradwidgets.core import Control, Recipe, settings
from gradwidgets.lab import GradLab

FRAMES = 6
"""Recipes of an animation, the last one included."""
FRAME = 0.12
"""Seconds that each of them stays at least."""
PATIENCE = 0.4
"""Seconds that its run may take; then the next one takes its place."""
LOOK = 0.03
"""Seconds between two looks whether the run is done."""
LONGEST = 1.5
"""Seconds after which what is left of an animation is skipped."""


class Player:
    """Moves a lab to another recipe; whatever is newer, a slider too, takes the place of it."""

    def __init__(self, lab: GradLab) -> None:
        self._lab = lab
        self._scheduler = LoopScheduler()
        self._turn = 0
        self._began = 0.0
        self._sent = lab.recipe
        lab.followers.append(self._followed)

    def play(self, recipe: Recipe, animate: bool) -> None:
        """Move the lab to `recipe`; without an event loop at once."""
        self._turn += 1
        animate = animate and self._scheduler.deferred
        self._scheduler.soon(partial(self._begin, self._turn, recipe, animate))

    def stop(self) -> None:
        """Leave the lab where it is."""
        self._turn += 1
        if self._followed in self._lab.followers:
            self._lab.followers.remove(self._followed)

    def _begin(self, turn: int, recipe: Recipe, animate: bool) -> None:
        self._began = time.monotonic()
        self._show(turn, between(self._lab.recipe, recipe) if animate else [recipe], PATIENCE)

    def _show(self, turn: int, frames: list[Recipe], waited: float) -> None:
        """Show the first frame once the one before it is there, then the others."""
        if turn != self._turn:
            return
        if not self._lab.settled and waited < PATIENCE:
            self._scheduler.later(LOOK, partial(self._show, turn, frames, waited + LOOK))
            return
        late = time.monotonic() - self._began > LONGEST
        self._sent, *rest = frames[-1:] if late else frames
        self._lab.recipe = self._sent
        if rest:
            self._scheduler.later(FRAME, partial(self._show, turn, rest, FRAME))

    def _followed(self) -> None:
        if self._lab.recipe != self._sent:
            self._turn += 1


def between(start: Recipe, end: Recipe) -> list[Recipe]:
    """Up to `FRAMES` recipes from one to another, `end` last.

    What has a slider moves over its stops; everything else, and how long a run is, changes at once.
    """
    ways = {
        name: _way(control, settings.get(start, name), settings.get(end, name))
        for name, control in settings.controls().items()
        if _moves(control) and (name in settings.FIELDS or _given(start, end, name))
    }
    moving = [{name: way[index] for name, way in ways.items()} for index in range(FRAMES - 1)]
    frames = [*(settings.with_(end, **values) for values in moving), end]
    different = zip([start, *frames[:-1]], frames, strict=True)
    return [frame for before, frame in different if frame != before] or [end]


def _moves(control: Control) -> bool:
    return control.slider and control.group != "Run" and control.stops != (False, True)


def _given(start: Recipe, end: Recipe, option: str) -> bool:
    """Whether an option moves: one of the two recipes gives it, and both have one optimizer."""
    return start.optimizer == end.optimizer and option in {**start.options, **end.options}


def _way(control: Control, start: Any, end: Any) -> list[Any]:
    """`FRAMES` values from one stop of a slider to another, `end` last."""
    control = dataclasses.replace(control, stops=control.including(start))
    stops = control.including(end)
    first, last = stops.index(start), stops.index(end)
    return [stops[first + round((last - first) * n / FRAMES)] for n in range(1, FRAMES + 1)]
