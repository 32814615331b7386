"""What a lab does between a change of its recipe and the picture, and while nothing happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from gradwidgets.core.history import History
from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.training import Run
from gradwidgets.widgets.background import IDLE, Background
from gradwidgets.widgets.picture import Picture
from gradwidgets.widgets.rerun import Rerun
from gradwidgets.widgets.results import Results
from gradwidgets.widgets.slider import Slider
from gradwidgets.widgets.strip import strip

LONG_RUN = 0.5
"""A run that takes more seconds than this shows its progress."""
FRAME = 0.12
"""Seconds between two pictures of a run that is under way; more would only delay its end."""
NEIGHBOURS = 6
"""Stops that are trained ahead where each needs a run of its own."""
SEEDS = 10
"""Runs behind a band."""


class LabWork:
    """Trains the recipe in hand beside the start, and draws both.

    Args:
        problem: what is trained.
        start: what the recipe in hand is compared with.
        compare: whether it is.
        picture: where runs are drawn.
        settled: called when all that is asked for is there.
    """

    def __init__(
        self,
        problem: Problem,
        start: Recipe,
        compare: bool,
        picture: Picture,
        settled: Callable[[], object],
    ) -> None:
        self.start = self.recipe = start
        self._compare = compare
        self._picture = picture
        self._told = settled
        self._drawn_at = self._asked_at = 0.0
        self._slider: tuple[Slider, Callable[[Any], Recipe | None]] | None = None
        self.results = Results(problem)
        self.rerun = Rerun(self._next_run, self.results, self._progressed, self._settled)
        self.soon = self.rerun.soon
        needed = picture.needs_parameters
        self._ahead = Background(problem, self._looked_ahead, NEIGHBOURS, needed)
        self._seeds = Background(problem, self._trained_seeds)
        self._seeded: dict[Recipe, tuple[History, ...]] = {}
        self._banded = False

    @property
    def baseline(self) -> History | None:
        """What the start leads to, on the same seed, batches and number of updates."""
        return self.results.history(self._wanted[-1]) if self._compare else None

    @property
    def settled(self) -> bool:
        """Whether all that is asked for is trained, or has failed."""
        return all(map(self.results.knows, self._wanted))

    @property
    def bands(self) -> bool:
        """Whether each recipe is trained under several seeds, too. Setting it draws."""
        return self._banded

    @bands.setter
    def bands(self, banded: bool) -> None:
        self._banded = banded
        self._begin_seeds()
        self.draw()

    def request(self, recipe: Recipe) -> None:
        """Train a recipe and draw it; at once, if a sweep has been there already."""
        self.recipe = recipe
        self.results.forget()
        self._ahead.stop()
        self._seeds.stop()
        self._asked_at = self._drawn_at = time.monotonic()
        preview = self.results.preview(recipe) if self.soon.deferred else None
        if preview is None:
            self.rerun.request()
            return
        self.rerun.stop()
        self.soon(self.rerun.unless_newer(lambda: self.draw(preview)))
        self.soon.later(IDLE, self.rerun.unless_newer(self.rerun.request))

    def look_ahead(self, slider: Slider, at: Callable[[Any], Recipe | None]) -> None:
        """Soon, if the learner does nothing else, train the whole range of a slider.

        Args:
            slider: the one in hand.
            at: the recipe at one of its stops, or None if that stop is not allowed.
        """
        if self._slider and self._slider[0] is not slider:
            self._slider[0].clear_bars()  # they were for another recipe
        self._slider = (slider, at)
        if self.soon.deferred:
            self._ahead.begin(self._unknown, IDLE)

    def stop(self) -> None:
        """Leave everything as it is."""
        for work in (self.rerun, self._ahead, self._seeds):
            work.stop()

    def draw(self, live: History | None = None) -> None:
        """Draw the run in hand, or as much of it as there is, beside the start."""
        live = live or self.results.history(self.recipe)
        start = self._wanted[-1]
        bands = (self._seeded.get(self.recipe, ()), self._seeded.get(start, ()))
        error = self.results.error(self.recipe)
        self._picture.draw(live, self.baseline, error, bands if self._banded else ((), ()))
        self._drawn_at = time.monotonic()

    @property
    def _wanted(self) -> list[Recipe]:
        """The recipe in hand, then the start on what must be equal for a fair comparison."""
        now = self.recipe
        fair = {"seed": now.seed, "batch_size": now.batch_size, "updates": now.updates}
        return [now, *([self.start.replace(**fair)] if self._compare else [])]

    def _next_run(self) -> Run | None:
        return self.results.next_run(self._wanted)

    def _progressed(self, run: Run) -> None:
        now = time.monotonic()
        if now - self._asked_at > LONG_RUN:
            self._picture.screen.progress = len(run.losses) / run.recipe.updates
        if now - self._drawn_at > FRAME and run.recipe == self.recipe:
            self.draw(run.history())

    def _settled(self) -> None:
        self._picture.screen.progress = -1.0
        self.draw()
        self._told()
        self._begin_seeds()
        if self._slider:
            self.look_ahead(*self._slider)

    def _stops(self) -> list[Recipe | None]:
        """The recipe at every stop of the slider in hand."""
        assert self._slider
        slider, at = self._slider
        return [at(stop) for stop in slider.stops]

    def _unknown(self) -> list[Recipe]:
        """What is not known of the slider's range, the nearest stops first; marks what is."""
        assert self._slider
        self._mark()
        here = self._slider[0].index
        nearest = sorted(enumerate(self._stops()), key=lambda stop: abs(stop[0] - here))
        return [r for _, r in nearest if r and self.results.preview(r) is None]

    def _looked_ahead(self, histories: Sequence[History]) -> None:
        self.results.keep_previews(histories)
        self._mark()

    def _mark(self) -> None:
        """Draw under the slider what is known of its range."""
        assert self._slider
        slider = self._slider[0]
        known = [self.results.preview(recipe) if recipe else None for recipe in self._stops()]
        shown = strip(slider.texts, known)
        with slider.hold_sync():
            slider.bars, slider.bars_text = shown.bars, shown.text

    def _begin_seeds(self) -> None:
        if self._banded:
            self._seeds.begin(self._missing_seeds)

    def _missing_seeds(self) -> list[Recipe]:
        missing = (recipe for recipe in self._wanted if recipe not in self._seeded)
        recipe = next(missing, None)
        if recipe is None:
            return []
        return [recipe.replace(seed=recipe.seed + turn) for turn in range(SEEDS)]

    def _trained_seeds(self, histories: Sequence[History]) -> None:
        seeded = {**self._seeded, histories[0].recipe: tuple(histories)}
        self._seeded = {r: seeded[r] for r in self._wanted if r in seeded}  # no more is drawn
        self.draw()
        self._begin_seeds()
