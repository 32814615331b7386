"""A change of recipe as a short animation: real runs at what lies between."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from gradwidgets.components import LatestTask, Steps
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
"""Seconds after which the frames that are left of an animation are skipped."""


class Player:
    """Moves a lab to another recipe; any newer change, a slider's too, ends the animation."""

    def __init__(self, lab: GradLab) -> None:
        self._lab = lab
        self._task = LatestTask()
        self._frame = lab.recipe
        lab.followers.append(self._stop_if_moved)

    def play(self, recipe: Recipe, animate: bool) -> None:
        """Move the lab to `recipe`; without an event loop at once."""
        self._task.begin(self._frames(recipe, animate and self._task.scheduler.deferred))

    def close(self) -> None:
        """Leave the lab where it is, and follow it no more."""
        self._task.stop()
        if self._stop_if_moved in self._lab.followers:
            self._lab.followers.remove(self._stop_if_moved)

    def _frames(self, recipe: Recipe, animate: bool) -> Steps:
        """Show one recipe after the other, with pauses in between."""
        began = time.monotonic()
        for frame in between(self._lab.recipe, recipe)[:-1] if animate else ():
            if time.monotonic() - began > LONGEST:
                break
            self._show(frame)
            yield FRAME
            due = time.monotonic() + PATIENCE - FRAME
            while not self._lab.settled and time.monotonic() < due:
                yield LOOK
        self._show(recipe)

    def _show(self, frame: Recipe) -> None:
        self._frame = frame
        self._lab.recipe = frame

    def _stop_if_moved(self) -> None:
        if self._lab.recipe != self._frame:
            self._task.stop()


def between(start: Recipe, end: Recipe) -> list[Recipe]:
    """Up to `FRAMES` recipes from one to another, `end` last.

    Settings with a slider move over its stops; all others, and the length of a run, change at once.
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
    """True if an option moves: one of the recipes gives it, and both have the same optimizer."""
    return start.optimizer == end.optimizer and option in {**start.options, **end.options}


def _way(control: Control, start: Any, end: Any) -> list[Any]:
    """`FRAMES` values from one stop of a slider to another, `end` last."""
    control = dataclasses.replace(control, stops=control.including(start))
    stops = control.including(end)
    first, last = stops.index(start), stops.index(end)
    return [stops[first + round((last - first) * n / FRAMES)] for n in range(1, FRAMES + 1)]
