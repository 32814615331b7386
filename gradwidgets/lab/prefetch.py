"""What a lab prepares while the learner looks: the runs that may come next, and their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gradwidgets.components import Move, Slider
from gradwidgets.core import Problem, Recipe
from gradwidgets.lab.background import IDLE, Background, trained
from gradwidgets.lab.controls import Controls
from gradwidgets.lab.outcome_bars import strip
from gradwidgets.lab.results import Results

NEIGHBOURS = 6
"""Stops of the slider in hand that are trained ahead where each needs a run of its own."""
FIRST = 7
"""Stops of the slider in hand that are drawn before one move of every other slider."""


class Ahead:
    """Trains the range of the slider in hand, then one move of every other, and draws them.

    Args:
        problem: what is trained.
        controls: the lab's.
        results: where histories are kept.
        snapshots: whether pictures need `History.parameters`.
        draw: draws the picture that a move leads to, for later: given the slider's label with the
            stop's text, and the recipe, whose outcome is known.
    """

    def __init__(
        self,
        problem: Problem,
        controls: Controls,
        results: Results,
        snapshots: bool,
        draw: Callable[[Move, Recipe], Iterator[None]],
    ) -> None:
        self._problem, self._controls, self._results = problem, controls, results
        self._snapshots = snapshots
        self._draw = draw
        self._background = Background()
        self._in_hand = ""

    def take(self, in_hand: str) -> None:
        """The learner has taken the slider of that name, if it is not "", in hand."""
        if in_hand and in_hand != self._in_hand:
            if slider := self._controls.slider(self._in_hand):
                slider.clear_bars()  # they were for another recipe
            self._in_hand = in_hand

    def begin(self) -> None:
        """Soon, if the learner does nothing else, prepare what may come next."""
        if self._background.soon.deferred:
            self._background.begin(self._steps(), IDLE)

    def stop(self) -> None:
        """Leave everything as it is."""
        self._background.stop()

    def _steps(self) -> Iterator[None]:
        """The runs of the slider in hand and its bars, the others' runs, then all pictures."""
        moves: dict[Move, Recipe] = {}
        name = self._in_hand  # another thread may change it
        if slider := self._controls.slider(name):
            self._mark(name, slider)
            nearest = sorted(range(len(slider.stops)), key=lambda stop: abs(stop - slider.index))
            moves = self._controls.moves(name, nearest)
            yield from self._train(moves, NEIGHBOURS)
            self._mark(name, slider)
        others = self._controls.one_move_away()
        yield from self._train(others, 0)
        first = dict(list(moves.items())[:FIRST])
        for move, recipe in {**first, **others, **moves}.items():
            yield
            yield from self._draw(move, recipe)

    def _train(self, moves: Mapping[Move, Recipe], slow: int) -> Iterator[None]:
        unknown = [recipe for recipe in moves.values() if self._results.preview(recipe) is None]
        histories = yield from trained(self._problem, unknown, slow, self._snapshots)
        self._results.keep_previews(histories)

    def _mark(self, name: str, slider: Slider) -> None:
        """Draw under the slider what is known of its range."""
        recipes = [self._controls.recipe_at(name, stop) for stop in slider.stops]
        known = [self._results.preview(recipe) if recipe else None for recipe in recipes]
        shown = strip(slider.texts, known)
        with slider.hold_sync():
            slider.bars, slider.bars_text = shown.bars, shown.text
