"""A lab's work: train a changed recipe, draw it, and prepare likely next moves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum

from gradwidgets.components import STEP, LatestTask, LoopScheduler, Slider, Steps
from gradwidgets.core import History, Problem, Recipe, Run, TrainingError, train
from gradwidgets.lab.controls import Controls
from gradwidgets.lab.picture import Picture, Seeds
from gradwidgets.lab.prefetch import Prefetcher, measured, size_of, trained
from gradwidgets.lab.results import Results
from gradwidgets.lab.screen import Move
from gradwidgets.sweep import FEW

IDLE = 0.3
"""Seconds without an event after which the learner is taken to look, and not to drag."""
LONG_RUN = 0.5
"""A run that takes more seconds than this shows its progress."""
FRAME = 0.12
"""Seconds between two pictures of a run that is under way; more would only delay its end."""
PATIENCE = 1.5
"""A first run that will take more seconds than this is shown as far as it is."""
JUDGED = 0.3
"""Seconds of training after which that is judged."""
SEEDS = 10
"""Runs behind a band."""


class Stage(IntEnum):
    """The points that a lab's work comes to, in order."""

    BEGUN = 0
    """Something has been asked for."""
    RUNS = 1
    """The runs that are asked for are trained, and drawn."""
    BANDS = 2
    """So are the same under several seeds, if that is asked for."""
    ALL = 3
    """So is what may be asked for next."""


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
        reached: how far the work has come.
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
        self.reached = Stage.BEGUN
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
        self._runs: list[Run] = []
        self._cancelled = False
        self._seeded: dict[Recipe, Seeds] = {}
        self._banded = False
        self._views: int | None = None
        self._declined = False
        self._latest_move = 0.0
        self._asked_at = 0.0
        self._drawn_at = self._drawing = 0.0

    @property
    def baseline(self) -> History | None:
        """The start's history, on the same seed and number of updates."""
        return self._whole(self._wanted(self.recipe)[-1]) if self._compare else None

    @property
    def settled(self) -> bool:
        """True if all that is asked for is known, or has failed, or was cancelled."""
        return self.reached >= Stage.RUNS or not self.results.missing(self._wanted(self.recipe))

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
        self.reached = Stage.BEGUN
        self._cancelled = False
        self._asked_at = self._drawn_at = time.monotonic()
        self._task.begin(self._answer())

    def cancel(self) -> None:
        """End all that stands between the learner and the answer where it is, or the bands."""
        self._cancelled = self.reached < Stage.RUNS
        if self._banded and self.reached == Stage.RUNS:
            self.toggle_bands()

    def activate(self, name: str) -> None:
        """Prepare what may come next for the slider of that name."""
        if self._prefetcher:
            self._prefetcher.activate(name)
            self._prepare()

    def redraw(self) -> None:
        """Draw, and prepare again what may come next: it will look different, too."""
        self.draw()
        self._prepare()

    def finish(self, stage: Stage = Stage.RUNS, seconds: float = math.inf) -> bool:
        """Work here and now until `stage` is reached, or for so long; returns whether it is.

        May be called on any thread. The event loop continues with what is left.
        """
        limit = seconds if self._scheduler.deferred else math.inf
        self._work_until(lambda: self.reached >= stage, limit)
        return self.reached >= stage

    def show(self) -> None:
        """Work here and now until the answer is drawn; of a run that takes long, what there is."""
        self._work_until(lambda: self.reached >= Stage.RUNS or self._takes_long)
        with self._scheduler.now():
            if self.reached < Stage.RUNS:
                self._asked_at = 0.0
                self._draw_part()

    def answer(self) -> History:
        """Train what is asked for, if need be, and return its history.

        Raises:
            TrainingError: the model, the loss or the optimizer failed.
        """
        while True:
            self.finish()
            with self._scheduler.now():
                recipe = self.recipe
                if error := self.results.error(recipe):
                    raise error
                history = self._whole(recipe)
            if history:
                return history

    def _whole(self, recipe: Recipe) -> History | None:
        """The recipe's history, with its `parameters`, which a sweep does without."""
        history = self.results.history(recipe)
        if history and self.results.lacks_parameters(recipe):
            history = train(self._problem, recipe)
            self.results.keep([history])
        return history

    @property
    def _takes_long(self) -> bool:
        """True if what code waits for will take long, by what it has done so far."""
        seconds = sum(run.seconds for run in self._runs)
        shares = [len(run.losses) / run.recipe.updates for run in self._runs]
        expected = seconds * len(shares) / max(sum(shares), 1e-9)
        return self._scheduler.deferred and seconds > JUDGED and expected > PATIENCE

    def _work_until(self, enough: Callable[[], bool], seconds: float = math.inf) -> None:
        with self._scheduler.now():
            if not enough() and not self._task.busy:  # it was interrupted
                self._task.begin(self._answer())
        self._task.finish(enough, seconds)

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

    def draw(self) -> None:
        """Draw the recipe's run beside the start's, as far as they are known."""
        begun = time.monotonic()
        with self._picture.screen.hold_sync():
            error, live = self.results.error(self.recipe), self._known(self.recipe)
            self._picture.draw(live, *self._baseline(self.recipe), error)
            self._picture.screen.answered = self._latest_move
        self._drawn_at = time.monotonic()
        self._drawing = self._drawn_at - begun

    def _known(self, recipe: Recipe) -> History | None:
        """The recipe's history, as far as it went, or has gone so far."""
        for run in self._runs:
            if run.recipe == recipe and run.losses:
                return run.history()
        return self.results.history(recipe)

    def _note(self, slider: Slider | None) -> None:
        if slider:
            self._latest_move = max(self._latest_move, slider.moved_at)

    def _baseline(self, recipe: Recipe) -> tuple[History | None, tuple[Seeds, Seeds]]:
        """The run with which a recipe's is compared, and the bands of both."""
        start = self._wanted(recipe)[-1]
        bands = self._seeded.get(recipe, ()), self._seeded.get(start, ())
        baseline = self._known(start) if self._compare else None
        return baseline, bands if self._banded else ((), ())

    def _wanted(self, recipe: Recipe) -> list[Recipe]:
        """A recipe, then the start on the same seed and number of updates."""
        start = self.start.replace(seed=recipe.seed, updates=recipe.updates)
        return [recipe, *([start] if self._compare else [])]

    def _answer(self) -> Steps:
        """All the work for a recipe, most urgent first."""
        yield from self._train(self.results.missing(self._wanted(self.recipe)))
        with self._picture.screen.hold_sync():
            self._picture.screen.progress = -1.0
            self.draw()
        if self._unseen:
            self._picture.release()
        self._on_answer()
        self.reached = Stage.RUNS
        yield from self._further()

    def _train(self, recipes: Sequence[Recipe]) -> Steps:
        """Train recipes in turns, so that all their curves grow, and draw them meanwhile."""
        self._runs = []
        for recipe in recipes:
            with self._noting_failure(recipe):
                self._runs.append(Run(self._problem, recipe))
                self.results.model_bytes = 2 * size_of(self._runs[-1].model)  # and its gradients
            yield None
        while going := [run for run in self._runs if not run.done]:
            for run in going:
                if self._cancelled:
                    run.cancel()
                    continue
                with self._noting_failure(run.recipe):
                    run.advance(seconds=STEP)
                self._draw_part_if_due()
                yield None
        trained = [run for run in self._runs if self.results.error(run.recipe) is None]
        self.results.keep([run.history() for run in trained])
        self._runs = []

    @contextmanager
    def _noting_failure(self, recipe: Recipe) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the learner's own model may raise anything
            self.results.fail(recipe, error)

    def _draw_part_if_due(self) -> None:
        """Draw now and then, so that drawing takes a small share of the time."""
        waited = time.monotonic() - self._drawn_at
        if not self._task.hurried and waited > max(FRAME, 4 * self._drawing):
            self._draw_part()

    def _draw_part(self) -> None:
        if time.monotonic() - self._asked_at > LONG_RUN:
            planned = sum(run.recipe.updates for run in self._runs)
            self._picture.screen.progress = sum(len(r.losses) for r in self._runs) / max(1, planned)
        if self._known(self.recipe):
            self.draw()

    def _prepare(self) -> None:
        """Begin again with what comes after the runs that are asked for."""
        if self.reached >= Stage.RUNS:
            self.reached = Stage.RUNS
            self._task.begin(self._further())

    def _further(self) -> Steps:
        error = self.results.error(self.recipe)
        usable = error is None or isinstance(error, TrainingError)
        if usable and not self._unseen:
            if self._banded:
                yield from self._train_bands()
            self.reached = Stage.BANDS
            if self._prefetcher:
                yield IDLE
                yield from self._prefetcher.steps(self.results.history(self.recipe))
        self.reached = Stage.ALL

    def _train_bands(self) -> Steps:
        """Train and draw the missing runs of the recipe's and the start's bands."""
        wanted = self._wanted(self.recipe)
        for recipe in wanted:
            if recipe in self._seeded:
                continue
            seeds = [(recipe.seed + number) % 2**63 for number in range(SEEDS)]
            recipes = [recipe.replace(seed=seed) for seed in seeds]
            try:
                fitting = (yield from measured(self._problem, recipe)).replicas
            except Exception:  # the learner's own model may raise anything
                fitting = 1
            replicas = fitting if fitting >= FEW else 1
            histories = yield from trained(self._problem, recipes, replicas)
            complete = len(histories) == SEEDS  # not where the model failed
            seeded = {**self._seeded, recipe: tuple(histories) if complete else ()}
            self._seeded = {one: seeded[one] for one in wanted if one in seeded}
            self.draw()

    def _draw_for_later(self, move: Move, recipe: Recipe) -> Steps:
        if history := self.results.history(recipe):
            yield from self._picture.prepare(move, history, *self._baseline(recipe))
