"""What a lab has trained: histories that need not be trained again, and runs that failed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from gradwidgets.core import History, Problem, Recipe, Run

CAPACITY = 8_000_000
"""Bytes of histories kept of each kind; the least recently used go first."""

Kept = OrderedDict[Recipe, History]
"""Histories by recipe, the least recently used first."""


class Results:
    """Outcomes of a problem's runs by recipe.

    Kept are the histories of finished runs, and previews: those of a sweep, which equal them up
    to rounding. Of each kind there are at most `capacity` bytes, but never fewer than two runs.
    Failures and cancelled runs are kept until `forget`, so that they are not tried in a circle.
    """

    def __init__(self, problem: Problem, capacity: int = CAPACITY) -> None:
        self.problem = problem
        self.capacity = capacity
        self._exact: Kept = OrderedDict()
        self._previews: Kept = OrderedDict()
        self._cancelled: dict[Recipe, History] = {}
        self._errors: dict[Recipe, Exception] = {}
        self._started: Recipe | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays of all histories kept."""
        return _nbytes(self._exact) + _nbytes(self._previews)

    def history(self, recipe: Recipe) -> History | None:
        """What the recipe led to, as far as it went; None if that is not known."""
        found = _used(self._exact, recipe) or self._cancelled.get(recipe)
        return found or getattr(self.error(recipe), "history", None)

    def preview(self, recipe: Recipe) -> History | None:
        """What the recipe leads to, exactly or up to rounding; None if that is not known."""
        return _used(self._exact, recipe) or _used(self._previews, recipe)

    def error(self, recipe: Recipe) -> Exception | None:
        """The exception that ended the recipe's run, or None."""
        return self._errors.get(recipe)

    def knows(self, recipe: Recipe) -> bool:
        """Whether the recipe's outcome is known, if only up to rounding, or its failure."""
        return bool(self.history(recipe) or self.preview(recipe) or self.error(recipe))

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
        self._keep(self._exact, [history])

    def keep_previews(self, histories: Sequence[History]) -> None:
        """Keep the histories of a sweep."""
        self._keep(self._previews, histories)

    def _keep(self, kept: Kept, histories: Sequence[History]) -> None:
        kept |= {history.recipe: history for history in histories}
        excess = _nbytes(kept) - self.capacity
        while excess > 0 and len(kept) > 2:
            excess -= kept.popitem(last=False)[1].nbytes

    def fail(self, error: Exception) -> None:
        """Note what ended the latest run."""
        if self._started is not None:
            self._errors[self._started] = error

    def forget(self) -> None:
        """Let failed and cancelled runs be tried again."""
        self._errors.clear()
        self._cancelled.clear()


def _nbytes(kept: Kept) -> int:
    return sum(history.nbytes for history in list(kept.values()))  # threads may look


def _used(kept: Kept, recipe: Recipe) -> History | None:
    """What is kept of a recipe, which is now the last to go."""
    if recipe in kept:
        kept.move_to_end(recipe)
    return kept.get(recipe)
