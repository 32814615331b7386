"""`Ledger`: what became of every gradient on its way to the parameter, update by update."""

from __future__ import annotations

import time

import ipywidgets

from gradwidgets.components import BarTable, LatestTask, Slider, StaticFallback, as_text, close
from gradwidgets.core import Control, Problem, Recipe, not_allowed, problems
from gradwidgets.ledger.page import pages


class Ledger(StaticFallback):
    """The ledger of a run: a slider picks the update.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.

    Raises:
        ValueError: the problem or its data is not usable.
        TrainingError: the model or the loss failed in the first update.
    """

    def __init__(self, problem: Problem | str = "moons", recipe: Recipe | None = None) -> None:
        problem = problems.get(problem)
        recipe = recipe or problem.recipe
        self._coming = pages(problem, recipe)
        self._pages = [next(self._coming)]
        self._open = True
        self._ahead = LatestTask(self._write_ahead)
        stops = tuple(range(recipe.updates))
        control = Control("update", "Run", "Which update of the run to look into.", stops)
        self.slider = Slider(control, 0)
        self._table = BarTable(page=self._pages[0])
        self.widget = ipywidgets.VBox([self.slider, self._table])
        self.slider.observe(lambda _: self._ahead.soon(self._show), "value")
        if self._ahead.soon.deferred:
            self._ahead.request()

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
        self._open = False
        close(self.widget)

    def _write(self) -> None:
        """One more page, if the run goes on."""
        try:
            page = next(self._coming, None)
        except Exception as error:  # the learner's own model may raise anything
            last = self._pages[-1]
            page = {**last, "sentence": str(error) or repr(error), "notes": []}
            self._open = False
        if page is None:
            self._open = False
        else:
            self._pages.append(page)

    def _show(self) -> None:
        while self._open and len(self._pages) <= self.slider.value:
            self._write()
        self._table.page = self._pages[self.update]

    def _write_ahead(self, seconds: float) -> bool:
        """Write pages before they are asked for; returns whether the run goes on."""
        end = time.monotonic() + seconds
        while self._open and time.monotonic() < end:
            self._write()
        return self._open

    def __repr__(self) -> str:
        """The page in hand as text."""
        return as_text(self._table.page)
