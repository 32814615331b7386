"""Outcomes of a lab's runs: histories that need not be trained again, and failures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from gradwidgets.core import History, Recipe

CAPACITY = 8_000_000
"""Bytes of histories, with their models, that are kept; the least recently used go first."""


class Results:
    """Outcomes of a problem's runs by recipe.

    Histories take at most `capacity` bytes, but at least two are held. Failures and cancelled
    runs are kept until `forget`, so that they are not retried forever.

    Attributes:
        capacity: in bytes.
        model_bytes: what the model that belongs to a history takes.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.model_bytes = 0
        self._kept: OrderedDict[Recipe, History] = OrderedDict()
        self._swept: set[Recipe] = set()
        self._cancelled: dict[Recipe, History] = {}
        self._errors: dict[Recipe, Exception] = {}

    @property
    def nbytes(self) -> int:
        """Bytes held by all histories kept and their models."""
        return sum(map(self._size, self._kept.values()))

    def history(self, recipe: Recipe) -> History | None:
        """The recipe's history, as far as it went; None if there was no run."""
        if recipe in self._kept:
            self._kept.move_to_end(recipe)  # it is the most recently used
        found = self._kept.get(recipe) or self._cancelled.get(recipe)
        return found or getattr(self.error(recipe), "history", None)

    def error(self, recipe: Recipe) -> Exception | None:
        """The exception that ended the recipe's run, or None."""
        return self._errors.get(recipe)

    def lacks_parameters(self, recipe: Recipe) -> bool:
        """True if the history kept may lack `parameters` that a run alone has: of a sweep."""
        return recipe in self._swept

    def missing(self, wanted: Sequence[Recipe]) -> list[Recipe]:
        """The recipes that have not been trained, each once."""
        each = dict.fromkeys(wanted)
        return [r for r in each if self.error(r) is None and self.history(r) is None]

    def keep(self, histories: Sequence[History], swept: bool = False) -> None:
        """Keep the histories of runs that are done.

        Args:
            histories: of the runs.
            swept: whether they were prepared, and may lack their `parameters`.
        """
        for history in histories:
            recipe = history.recipe
            if history.stopped and history.stopped[1] == "cancelled":
                self._cancelled[recipe] = history
            else:
                self._kept[recipe] = history
                (self._swept.add if swept else self._swept.discard)(recipe)
        excess = self.nbytes - self.capacity
        while excess > 0 and len(self._kept) > 2:
            recipe, history = self._kept.popitem(last=False)
            self._swept.discard(recipe)
            excess -= self._size(history)

    def fail(self, recipe: Recipe, error: Exception) -> None:
        """Note the exception that ended a recipe's run."""
        self._errors[recipe] = error

    def forget(self) -> None:
        """Let failed and cancelled runs be tried again."""
        self._errors.clear()
        self._cancelled.clear()

    def _size(self, history: History) -> int:
        return history.nbytes + self.model_bytes
