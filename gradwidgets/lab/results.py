"""Outcomes of a lab's runs: histories that need not be trained again, and failures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from gradwidgets.core import History, Recipe

CAPACITY = 8_000_000
"""Bytes of histories kept of each kind; the least recently used go first."""

Kept = OrderedDict[Recipe, History]
"""Histories by recipe, the least recently used first."""


class Results:
    """Outcomes of a problem's runs by recipe.

    It keeps histories of finished runs, and previews: histories of a sweep, with the same
    numbers. Each kind takes at most `capacity` bytes, but always holds at least two runs.
    Failures and cancelled runs are kept until `forget`, so that they are not retried forever.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._exact: Kept = OrderedDict()
        self._previews: Kept = OrderedDict()
        self._cancelled: dict[Recipe, History] = {}
        self._errors: dict[Recipe, Exception] = {}

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays of all histories kept."""
        return _nbytes(self._exact) + _nbytes(self._previews)

    def history(self, recipe: Recipe) -> History | None:
        """The history of the recipe's own run, as far as it went; None if there was no run."""
        found = _used(self._exact, recipe) or self._cancelled.get(recipe)
        return found or getattr(self.error(recipe), "history", None)

    def preview(self, recipe: Recipe) -> History | None:
        """The recipe's history; None if neither is known."""
        return _used(self._exact, recipe) or _used(self._previews, recipe)

    def error(self, recipe: Recipe) -> Exception | None:
        """The exception that ended the recipe's run, or None."""
        return self._errors.get(recipe)

    def knows(self, recipe: Recipe) -> bool:
        """True if the recipe's outcome is known or its failure."""
        return bool(self.history(recipe) or self.preview(recipe) or self.error(recipe))

    def missing(self, wanted: Sequence[Recipe]) -> Recipe | None:
        """The first recipe that needs a run of its own, or None."""
        for recipe in wanted:
            if self.error(recipe) is None and self.history(recipe) is None:
                return recipe
        return None

    def keep(self, history: History) -> None:
        """Keep the history of a run that is done."""
        if history.stopped and history.stopped[1] == "cancelled":
            self._cancelled[history.recipe] = history
        else:
            self._keep(self._exact, [history])

    def keep_previews(self, histories: Sequence[History]) -> None:
        """Keep the histories of a sweep."""
        self._keep(self._previews, histories)

    def _keep(self, kept: Kept, histories: Sequence[History]) -> None:
        kept |= {history.recipe: history for history in histories}
        excess = _nbytes(kept) - self.capacity
        while excess > 0 and len(kept) > 2:
            excess -= kept.popitem(last=False)[1].nbytes

    def fail(self, recipe: Recipe, error: Exception) -> None:
        """Note the exception that ended a recipe's run."""
        self._errors[recipe] = error

    def forget(self) -> None:
        """Let failed and cancelled runs be tried again."""
        self._errors.clear()
        self._cancelled.clear()


def _nbytes(kept: Kept) -> int:
    return sum(history.nbytes for history in kept.values())


def _used(kept: Kept, recipe: Recipe) -> History | None:
    """The history kept of a recipe, marked as the most recently used."""
    if recipe in kept:
        kept.move_to_end(recipe)
    return kept.get(recipe)
