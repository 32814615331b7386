"""What a lab does between a change of its recipe and the picture, and while nothing happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from gradwidgets.components import Move, Slider
from gradwidgets.core import History, Problem, Recipe, Run
from gradwidgets.lab.background import IDLE, Background, trained
from gradwidgets.lab.controls import Controls
from gradwidgets.lab.picture import Picture, Seeds
from gradwidgets.lab.prefetch import Ahead
from gradwidgets.lab.rerun import Rerun
from gradwidgets.lab.results import Results

PATIENCE = 10.0
"""Seconds after which a new lab is shown although its first run has not ended."""
LONG_RUN = 0.5
"""A run that takes more seconds than this shows its progress."""
FRAME = 0.12
"""Seconds between two pictures of a run that is under way; more would only delay its end."""
SEEDS = 10
"""Runs behind a band."""


class LabWork:
    """Trains the recipe in hand beside the start, and draws both.

    Args:
        problem: what is trained.
        start: what the recipe in hand is compared with.
        compare: whether it is.
        picture: where runs are drawn.
        controls: what the learner may move next; None trains nothing ahead.
        settled: called when all that is asked for is there.
    """

    def __init__(
        self,
        problem: Problem,
        start: Recipe,
        compare: bool,
        picture: Picture,
        controls: Controls | None,
        settled: Callable[[], object],
    ) -> None:
        self.start = self.recipe = start
        self._problem = problem
        self._compare = compare
        self._picture = picture
        self._told = settled
        self._drawn_at = self._asked_at = self._turn = 0.0
        self.results = Results(problem)
        self.rerun = Rerun(self._next_run, self.results, self._progressed, self._settled)
        self.soon = self.rerun.soon
        needed = picture.needs_parameters
        self._ahead = controls and Ahead(problem, controls, self.results, needed, self._draw_ahead)
        self._seeds = Background()
        picture.screen.on_shown = lambda: self.soon(self._shown_anew)
        picture.screen.on_gone = lambda: self.soon(self._gone)
        self._seeded: dict[Recipe, tuple[History, ...]] = {}
        self._banded = self._unseen = False

    @property
    def baseline(self) -> History | None:
        """What the start leads to, on the same seed, batches and number of updates."""
        return self._beside(self.recipe)[0]

    @property
    def settled(self) -> bool:
        """Whether all that is asked for is trained, or has failed."""
        return all(map(self.results.knows, self._wanted(self.recipe)))

    @property
    def bands(self) -> bool:
        """Whether each recipe is trained under several seeds, too. Setting it draws."""
        return self._banded

    @bands.setter
    def bands(self, banded: bool) -> None:
        self._banded = banded
        self._begin_seeds()
        self.redraw()

    def answers(self, recipe: Recipe, slider: Slider | None) -> bool:
        """Whether a slider's move to a recipe has been taken up: a move changes two traits."""
        return slider is not None and (recipe, slider.turn) == (self.recipe, self._turn)

    def refuse(self, why: str, slider: Slider | None) -> None:
        """Say why what the learner asks for cannot be trained."""
        self._take_up(slider)
        with self._picture.screen.hold_sync():
            self._picture.screen.sentence = why
            self._picture.screen.turn = self._turn

    def _take_up(self, slider: Slider | None) -> None:
        if slider:
            self._turn = max(self._turn, slider.turn)

    def request(self, recipe: Recipe, slider: Slider | None = None) -> None:
        """Train a recipe and draw it; at once, if a sweep has been there already.

        Args:
            recipe: the settings.
            slider: the one that was moved, if nothing else was.
        """
        self.recipe = recipe
        self._take_up(slider)
        self._stop_background()
        kept = slider.label if slider else ""
        self.soon(lambda: self._picture.screen.forget(kept))  # after what is being drawn ahead
        self.results.forget()
        self._asked_at = self._drawn_at = time.monotonic()
        preview = self.results.preview(recipe) if self.soon.deferred else None
        if preview is None:
            self.rerun.request()
            return
        self.rerun.stop()
        self.soon(self.rerun.unless_newer(lambda: self.draw(preview)))
        self.soon.later(IDLE, self.rerun.unless_newer(self.rerun.request))

    def look_ahead(self, in_hand: str = "") -> None:
        """Soon, if the learner does nothing else, train what may come next; see `Ahead`."""
        if self._ahead and not self._unseen:
            self._ahead.take(in_hand)
            if self.settled:  # what is asked for comes first
                self._ahead.begin()

    def redraw(self) -> None:
        """Draw, and prepare anew what may come next: it will look different, too."""
        self.draw()
        self.look_ahead()

    def stop(self) -> None:
        """Leave everything as it is."""
        self.rerun.stop()
        self._stop_background()

    def draw(self, live: History | None = None) -> None:
        """Draw the run in hand, or as much of it as there is, beside the start."""
        turn = self._turn  # before the recipe, which another thread may change
        recipe = self.recipe
        live = live or self.results.history(recipe)
        with self._picture.screen.hold_sync():
            self._picture.draw(live, *self._beside(recipe), self.results.error(recipe))
            self._picture.screen.turn = turn
        self._drawn_at = time.monotonic()

    def _draw_ahead(self, move: Move, recipe: Recipe) -> Iterator[None]:
        if history := self.results.preview(recipe):
            yield from self._picture.prepare(move, history, *self._beside(recipe))

    def _beside(self, recipe: Recipe) -> tuple[History | None, tuple[Seeds, Seeds]]:
        """What a recipe's run is drawn beside: the start, and the bands of both."""
        start = self._wanted(recipe)[-1]
        bands = self._seeded.get(recipe, ()), self._seeded.get(start, ())
        baseline = self.results.history(start) if self._compare else None
        return baseline, bands if self._banded else ((), ())

    def _wanted(self, recipe: Recipe) -> list[Recipe]:
        """A recipe, then the start on what must be equal for a fair comparison."""
        fair = {name: getattr(recipe, name) for name in ("seed", "batch_size", "updates")}
        return [recipe, *([self.start.replace(**fair)] if self._compare else [])]

    def _next_run(self) -> Run | None:
        return self.results.next_run(self._wanted(self.recipe))

    def _progressed(self, run: Run) -> None:
        now = time.monotonic()
        if now - self._asked_at > LONG_RUN:
            self._picture.screen.progress = len(run.losses) / run.recipe.updates
        shown = run.recipe != self.recipe or self.results.preview(run.recipe)
        if now - self._drawn_at > FRAME and not shown:
            self.draw(run.history())

    def _settled(self) -> None:
        self._picture.screen.progress = -1.0
        self.draw()
        self._told()
        self._begin_seeds()
        self.look_ahead()
        if self._unseen:
            self._picture.release()

    def _shown_anew(self) -> None:
        """There is a new view, where no picture waits yet."""
        self._unseen = False
        self._picture.screen.forget()
        self._begin_seeds()
        self.look_ahead()

    def _gone(self) -> None:
        """Nobody looks any more: prepare nothing, and hold no more than the runs in hand."""
        self._unseen = True
        self._stop_background()
        self._picture.screen.forget()
        self._picture.release()

    def _stop_background(self) -> None:
        self._seeds.stop()
        if self._ahead:
            self._ahead.stop()

    def _begin_seeds(self) -> None:
        if self._banded and not self._unseen:
            self._seeds.begin(self._train_seeds())

    def _train_seeds(self) -> Iterator[None]:
        """Train and draw what is missing of the bands of the run in hand and of the start."""
        wanted = self._wanted(self.recipe)
        for recipe in wanted:
            if recipe in self._seeded:
                continue
            turns = [recipe.replace(seed=(recipe.seed + n) % 2**63) for n in range(SEEDS)]
            seeded = {**self._seeded, recipe: tuple((yield from trained(self._problem, turns)))}
            self._seeded = {r: seeded[r] for r in wanted if r in seeded}  # no more is drawn
            self.redraw()
