"""A lab's work: train a changed recipe, draw it, and prepare likely next moves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import IntEnum

from gradwidgets.components import STEP, LatestTask, LoopScheduler, Slider, Steps
from gradwidgets.core import History, Problem, Recipe, Run, TrainingError
from gradwidgets.lab.controls import Controls
from gradwidgets.lab.picture import Picture, Seeds
from gradwidgets.lab.prefetch import Prefetcher, trained
from gradwidgets.lab.results import Results
from gradwidgets.lab.screen import Move

IDLE = 0.3
"""Seconds without an event after which the learner is taken to look, and not to drag."""
LONG_RUN = 0.5
"""A run that takes more seconds than this shows its progress."""
FRAME = 0.12
"""Seconds between two pictures of a run that is under way; more would only delay its end."""
SEEDS = 10
"""Runs behind a band."""


class Stage(IntEnum):
    """The parts of a lab's work, in their order."""

    RUNS = 0
    """The runs that are asked for are trained, and drawn."""
    BANDS = 1
    """The same under several seeds, if that is asked for."""
    PREFETCH = 2
    """Recipes that may be asked for next are trained and drawn."""
    DONE = 3


class LabWork:
    """Trains a recipe beside the start, draws both, and prepares what may come next.

    Its methods are called within actions of the scheduler, but for `finish` and `answer`.

    Args:
        problem: what is trained.
        start: what the recipe is compared with.
        compare: whether it is.
        picture: where runs are drawn.
        controls: what the learner may move next; None prepares nothing.
        scheduler: of the lab.
        on_answer: called when the runs that are asked for are drawn.

    Attributes:
        recipe: what is asked for.
        results: what has been trained.
        stage: the work under way; what comes before it is done.
    """

    def __init__(
        self,
        problem: Problem,
        start: Recipe,
        compare: bool,
        picture: Picture,
        controls: Controls | None,
        scheduler: LoopScheduler,
        on_answer: Callable[[], object],
    ) -> None:
        self.start = self.recipe = start
        self.results = Results()
        self.stage = Stage.RUNS
        self._problem = problem
        self._compare = compare
        self._picture = picture
        self._scheduler = scheduler
        self._task = LatestTask(scheduler)
        self._on_answer = on_answer
        needed = picture.needs_parameters
        self._prefetcher: Prefetcher | None = None
        if controls and scheduler.deferred:
            self._prefetcher = Prefetcher(
                problem, controls, self.results, needed, self._draw_for_later
            )
        self._run: Run | None = None
        self._seeded: dict[Recipe, Seeds] = {}
        self._banded = False
        self._views: int | None = None
        self._declined = False
        self._latest_move = 0.0
        self._asked_at = 0.0
        self._drawn_at = 0.0

    @property
    def baseline(self) -> History | None:
        """The start's history, on the same seed and number of updates."""
        return self._baseline(self.recipe)[0]

    @property
    def settled(self) -> bool:
        """True if all that is asked for is known, or has failed."""
        return all(map(self.results.knows, self._wanted(self.recipe)))

    def toggle_bands(self) -> None:
        """Train and draw each recipe under several seeds, too, or do so no more."""
        self._banded = not self._banded
        self.redraw()

    def has_taken_up(self, recipe: Recipe, slider: Slider | None) -> bool:
        """True if a change has been taken up before: a slider tells of one move twice."""
        newest = not slider or slider.moved_at <= self._latest_move
        return recipe == self.recipe and newest and not self._declined

    def decline(self, why: str, slider: Slider | None) -> None:
        """Say why what the learner asks for cannot be trained."""
        self._declined = True
        self._note(slider)
        with self._picture.screen.hold_sync():
            self._picture.screen.sentence = why
            self._picture.screen.answered = self._latest_move

    def request(self, recipe: Recipe, slider: Slider | None = None) -> None:
        """Train a recipe and draw it; at once, if a sweep has been there already.

        Args:
            recipe: the settings.
            slider: the one that was moved, if nothing else was.
        """
        self.recipe = recipe
        self._declined = False
        self._note(slider)
        fitting = slider and self._prefetcher and self._prefetcher.fits(slider)
        self._picture.screen.forget(slider.name if slider and fitting else "")
        self.results.forget()
        self.stage = Stage.RUNS
        self._asked_at = self._drawn_at = time.monotonic()
        self._task.begin(self._answer())

    def cancel(self) -> None:
        """End the run under way where it stands."""
        if self._run:
            self._run.cancel()

    def activate(self, name: str) -> None:
        """Prepare what may come next for the slider of that name."""
        if self._prefetcher:
            self._prefetcher.activate(name)
            self._prepare()

    def redraw(self) -> None:
        """Draw, and prepare again what may come next: it will look different, too."""
        self.draw()
        self._prepare()

    def finish(self, stage: Stage = Stage.BANDS, seconds: float = math.inf) -> bool:
        """Work here and now until `stage` is reached, or for so long; returns whether it is.

        May be called on any thread. The event loop continues with what is left.
        """
        with self._scheduler.now():
            if self.stage < stage and not self._task.busy:  # it was interrupted
                self._task.begin(self._answer())
        limit = seconds if self._scheduler.deferred else math.inf
        self._task.finish(lambda: self.stage >= stage, limit)
        return self.stage >= stage

    def show_progress(self) -> None:
        """Draw as much as there is of a run under way that takes long."""
        if self.stage == Stage.RUNS and self._run:
            self._asked_at = 0.0
            self._draw_part(self._run)

    def answer(self) -> History:
        """Train what is asked for, if need be, and return its history.

        Raises:
            TrainingError: the model, the loss or the optimizer failed.
        """
        while True:
            self.finish()
            with self._scheduler.now():
                if error := self.results.error(self.recipe):
                    raise error
                if history := self.results.history(self.recipe):
                    return history

    def stop(self) -> None:
        """Leave everything as it is."""
        self._task.stop()

    def view_came(self) -> None:
        """Prepare for a new view, where no picture waits yet."""
        self._views = (self._views or 0) + 1
        self._picture.screen.forget()
        self._prepare()

    def view_went(self) -> None:
        """When the last view closes, stop preparing and keep only what was requested."""
        self._views = max((self._views or 0) - 1, 0)  # a page that is closed says nothing
        if self._unseen:
            self._prepare()
            self._picture.screen.forget()
            self._picture.release()

    @property
    def _unseen(self) -> bool:
        return self._views == 0

    def draw(self, live: History | None = None) -> None:
        """Draw a history, or as much of the recipe's as there is, beside the start."""
        live = live or self.results.history(self.recipe)
        with self._picture.screen.hold_sync():
            error = self.results.error(self.recipe)
            self._picture.draw(live, *self._baseline(self.recipe), error)
            self._picture.screen.answered = self._latest_move
        self._drawn_at = time.monotonic()

    def _note(self, slider: Slider | None) -> None:
        if slider:
            self._latest_move = max(self._latest_move, slider.moved_at)

    def _baseline(self, recipe: Recipe) -> tuple[History | None, tuple[Seeds, Seeds]]:
        """The run with which a recipe's is compared, and the bands of both."""
        start = self._wanted(recipe)[-1]
        bands = self._seeded.get(recipe, ()), self._seeded.get(start, ())
        baseline = self.results.history(start) if self._compare else None
        return baseline, bands if self._banded else ((), ())

    def _wanted(self, recipe: Recipe) -> list[Recipe]:
        """A recipe, then the start on the same seed and number of updates."""
        start = self.start.replace(seed=recipe.seed, updates=recipe.updates)
        return [recipe, *([start] if self._compare else [])]

    def _answer(self) -> Steps:
        """All the work for a recipe, most urgent first."""
        wanted = self._wanted(self.recipe)
        known = self.results.preview(self.recipe) if self._scheduler.deferred else None
        if known and self.results.missing(wanted):
            self.draw(known)
            yield IDLE
        while recipe := self.results.missing(wanted):
            yield from self._train(recipe)
        self._picture.screen.progress = -1.0
        self.draw()
        if self._unseen:
            self._picture.release()
        self._on_answer()
        self.stage = Stage.BANDS
        yield from self._further()

    def _train(self, recipe: Recipe) -> Steps:
        try:
            self._run = run = Run(self._problem, recipe)
            while not run.done:
                run.advance(seconds=STEP)
                if not self._task.hurried and time.monotonic() - self._drawn_at > FRAME:
                    self._draw_part(run)
                yield None
            self.results.keep(run.history())
        except Exception as error:  # the learner's own model may raise anything
            self.results.fail(recipe, error)
        self._run = None

    def _draw_part(self, run: Run) -> None:
        if time.monotonic() - self._asked_at > LONG_RUN:
            self._picture.screen.progress = len(run.losses) / run.recipe.updates
        if run.recipe == self.recipe and not self.results.preview(run.recipe):
            self.draw(run.history())

    def _prepare(self) -> None:
        """Begin again with what comes after the runs that are asked for."""
        if self.stage > Stage.RUNS:
            self.stage = Stage.BANDS
            self._task.begin(self._further())

    def _further(self) -> Steps:
        error = self.results.error(self.recipe)
        usable = error is None or isinstance(error, TrainingError)
        if usable and not self._unseen:
            if self._banded:
                yield from self._train_bands()
            self.stage = Stage.PREFETCH
            if self._prefetcher:
                yield IDLE
                yield from self._prefetcher.steps()
        self.stage = Stage.DONE

    def _train_bands(self) -> Steps:
        """Train and draw the missing runs of the recipe's and the start's bands."""
        wanted = self._wanted(self.recipe)
        for recipe in wanted:
            if recipe in self._seeded:
                continue
            seeds = [(recipe.seed + number) % 2**63 for number in range(SEEDS)]
            recipes = [recipe.replace(seed=seed) for seed in seeds]
            seeded = {**self._seeded, recipe: tuple((yield from trained(self._problem, recipes)))}
            self._seeded = {one: seeded[one] for one in wanted if one in seeded}
            self.draw()

    def _draw_for_later(self, move: Move, recipe: Recipe) -> Steps:
        if history := self.results.preview(recipe):
            yield from self._picture.prepare(move, history, *self._baseline(recipe))
