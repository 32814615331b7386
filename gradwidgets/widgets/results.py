"""What a lab has trained: histories that need not be trained again, and runs that failed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from gradwidgets.core.history import History
from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.training import Run

CAPACITY = 64_000_000
"""Bytes of histories kept; the least recently used go first."""


class Results:
    """Outcomes of a problem's runs by recipe.

    Finished histories are kept, at most `capacity` bytes of them but never fewer than two.
    Previews (histories of a sweep, which equal finished ones up to rounding) take what room is
    left. Failures and cancelled runs are kept until `forget`, so that they are not tried in a
    circle.
    """

    def __init__(self, problem: Problem, capacity: int = CAPACITY) -> None:
        self.problem = problem
        self.capacity = capacity
        self._finished: OrderedDict[Recipe, History] = OrderedDict()
        self._previews: OrderedDict[Recipe, History] = OrderedDict()
        self._cancelled: dict[Recipe, History] = {}
        self._errors: dict[Recipe, Exception] = {}
        self._started: Recipe | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays of finished histories and of previews."""
        kept = (*self._finished.values(), *self._previews.values())
        return sum(history.nbytes for history in kept)

    def history(self, recipe: Recipe) -> History | None:
        """What the recipe led to, as far as it went; None if that is not known."""
        if recipe in self._finished:
            self._finished.move_to_end(recipe)
            return self._finished[recipe]
        return self._cancelled.get(recipe) or getattr(self.error(recipe), "history", None)

    def error(self, recipe: Recipe) -> Exception | None:
        """The exception that ended the recipe's run, or None."""
        return self._errors.get(recipe)

    def next_run(self, wanted: Sequence[Recipe]) -> Run | None:
        """A run of the first recipe whose outcome is not known, or None."""
        for recipe in wanted:
            if recipe not in self._errors and self.history(recipe) is None:
                self._started = recipe
                return Run(self.problem, recipe)
        return None

    def finish(self, run: Run) -> None:
        """Keep the history of a run that is done."""
        history = run.history()
        if history.stopped and history.stopped[1] == "cancelled":
            self._cancelled[run.recipe] = history
            return
        self._finished[run.recipe] = history
        self._make_room()

    def preview(self, recipe: Recipe) -> History | None:
        """What the recipe leads to, exactly or up to rounding; None if that is not known."""
        if recipe in self._finished or recipe not in self._previews:
            return self._finished.get(recipe)
        self._previews.move_to_end(recipe)
        return self._previews[recipe]

    def keep_previews(self, histories: Sequence[History]) -> None:
        """Keep the histories of a sweep."""
        self._previews |= {history.recipe: history for history in histories}
        self._make_room()

    def _make_room(self) -> None:
        """Let the least recently used go, previews first."""
        excess = self.nbytes - self.capacity
        while excess > 0 and (self._previews or len(self._finished) > 2):
            oldest = self._previews or self._finished
            excess -= oldest.popitem(last=False)[1].nbytes

    def fail(self, error: Exception) -> None:
        """Note what ended the latest run."""
        if self._started is not None:
            self._errors[self._started] = error

    def forget(self) -> None:
        """Let failed and cancelled runs be tried again."""
        self._errors.clear()
        self._cancelled.clear()
