"""`Ledger`: the path of every gradient on its way to the parameter, update by update."""

from __future__ import annotations

import ipywidgets

from gradwidgets.components import (
    BarTable,
    LatestTask,
    Slider,
    StaticFallback,
    Steps,
    as_text,
    close,
    empty_page,
)
from gradwidgets.core import Control, Problem, Recipe, not_allowed, problems
from gradwidgets.ledger.page import pages


class Ledger(StaticFallback):
    """Every gradient of an update, before and after each edit; a slider picks the update.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.

    Attributes:
        problem: what is trained.

    Raises:
        ValueError: the problem or its data is not usable.
        TrainingError: the model or the loss failed in the first update.

    >>> ledger = Ledger("line", Recipe(lr=0.5, mask=0.5, updates=10))
    >>> ledger.update = 3
    >>> print(ledger)
    2-norms of every gradient in update 3
    ...
    """

    def __init__(self, problem: Problem | str = "moons", recipe: Recipe | None = None) -> None:
        self.problem = problems.get(problem)
        recipe = recipe or self.problem.recipe
        self._coming = pages(self.problem, recipe)
        self._pages = [next(self._coming)]
        self._task = LatestTask()
        stops = tuple(range(recipe.updates))
        control = Control("update", "Run", "Which update of the run to look into.", stops)
        self.slider = Slider(control, 0)
        self._table = BarTable(page=self._pages[0])
        self.widget = ipywidgets.VBox([self.slider, self._table])
        self.slider.observe(lambda _: self._task.begin(self._work()), "value")
        self._task.begin(self._work())

    @property
    def update(self) -> int:
        """The update that is shown, from 0; after the run's end its last. It can be set."""
        return min(int(self.slider.value), len(self._pages) - 1)

    @update.setter
    def update(self, update: int) -> None:
        if not 0 <= update < len(self.slider.texts):
            raise not_allowed("update", update, f"0 to {len(self.slider.texts) - 1}")
        self.slider.value = update

    def close(self) -> None:
        """Stop training and remove every widget."""
        self._task.stop()
        close(self.widget)

    def _work(self) -> Steps:
        """Write the pages up to the slider's and show that one; on an event loop go on ahead."""
        while len(self._pages) <= self.slider.value and self._write():
            yield None
        self._table.page = self._pages[self.update]
        while self._task.scheduler.deferred and self._write():
            yield None

    def _write(self) -> bool:
        """Add a page; returns False once the run has ended."""
        try:
            page = next(self._coming, None)
        except Exception as error:  # the learner's own model may raise anything
            page = empty_page(f"No table: update {len(self._pages)} failed", error)
        if page is not None:
            self._pages.append(page)
        return page is not None

    def __repr__(self) -> str:
        """The page that is shown, as text."""
        return as_text(self._table.page)
