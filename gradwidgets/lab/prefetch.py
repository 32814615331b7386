"""Prepare what the learner may ask for next: train the runs, and draw their pictures."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from gradwidgets.components import Slider, Steps
from gradwidgets.core import History, Problem, Recipe, TrainingError
from gradwidgets.lab.controls import Controls
from gradwidgets.lab.outcome_bars import outcome_bars
from gradwidgets.lab.results import Results
from gradwidgets.lab.screen import Move
from gradwidgets.sweep import Sweep

SHORT = 0.01
"""Seconds of a step: a newer event waits no longer than this and one update."""
NEIGHBOURS = 6
"""Stops of the active slider that are trained where each needs a run of its own."""
FIRST = 7
"""Stops of the active slider that are drawn before one move of every other slider."""


def trained(
    problem: Problem, recipes: Sequence[Recipe], slow: int | None = None, snapshots: bool = False
) -> Generator[float | None, None, list[History]]:
    """Train several recipes together, a short slice at each step; returns their histories.

    There are none where the model or the loss fails: a lab reports that when the run is asked for.

    Args:
        problem: what is trained.
        recipes: the settings.
        slow: train only so many, the first ones, where they must be trained one by one; None
            trains them all.
        snapshots: whether the histories need `parameters`.
    """
    try:
        if not recipes:
            return []
        sweep = Sweep(problem, recipes, snapshots)
        if sweep.obstacle and slow is not None:
            if not slow:
                return []
            sweep = Sweep(problem, recipes[:slow], snapshots)
        while not sweep.done:
            yield None
            sweep.advance(seconds=SHORT)
    except (TrainingError, ValueError):
        return []
    return sweep.histories()


class Prefetcher:
    """Trains the range of the active slider, then one move of every other, and draws them.

    Args:
        problem: what is trained.
        controls: the lab's.
        results: where histories are kept.
        snapshots: whether pictures need `History.parameters`.
        draw: draws the picture that a move leads to, for later: given the move and the recipe,
            whose outcome is known.
    """

    def __init__(
        self,
        problem: Problem,
        controls: Controls,
        results: Results,
        snapshots: bool,
        draw: Callable[[Move, Recipe], Steps],
    ) -> None:
        self._problem, self._controls, self._results = problem, controls, results
        self._snapshots = snapshots
        self._draw = draw
        self._active = ""
        self._stops: dict[str, tuple[Any, ...]] = {}

    def activate(self, name: str) -> None:
        """Let the slider of that name, if there is one, be the one whose range is prepared."""
        if self._controls.slider(name) and name != self._active:
            if slider := self._controls.slider(self._active):
                slider.clear_bars()  # they were for another recipe
            self._active = name

    def fits(self, slider: Slider) -> bool:
        """True if a slider has the stops for which pictures were drawn: it may get another."""
        return self._stops.get(slider.name) == slider.stops

    def steps(self) -> Steps:
        """The active slider's runs and bars, the others' runs, then all pictures."""
        self._stops = {name: slider.stops for name, slider in self._controls.sliders.items()}
        moves: dict[Move, Recipe] = {}
        if slider := self._controls.slider(self._active):
            self._mark(slider)
            nearest = sorted(range(len(slider.stops)), key=lambda stop: abs(stop - slider.index))
            moves = self._controls.moves(slider.name, nearest)
            yield from self._train(moves, NEIGHBOURS)
            self._mark(slider)
        others = self._controls.one_move_away()
        yield from self._train(others, 0)
        first = dict(list(moves.items())[:FIRST])
        for move, recipe in {**first, **others, **moves}.items():
            yield None
            yield from self._draw(move, recipe)

    def _train(self, moves: Mapping[Move, Recipe], slow: int) -> Steps:
        unknown = [recipe for recipe in moves.values() if self._results.preview(recipe) is None]
        histories = yield from trained(self._problem, unknown, slow, self._snapshots)
        self._results.keep_previews(histories)

    def _mark(self, slider: Slider) -> None:
        """Draw under the slider what is known of its range."""
        recipes = [self._controls.recipe_at(slider.name, stop) for stop in slider.stops]
        known = [self._results.preview(recipe) if recipe else None for recipe in recipes]
        with slider.hold_sync():
            slider.bars, slider.bars_text = outcome_bars(slider.texts, known)
