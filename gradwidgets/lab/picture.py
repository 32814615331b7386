"""The picture of a lab, its description and its sentence, shown on a screen."""

from __future__ import annotations

import os
import traceback
from collections.abc import Hashable, Sequence
from functools import cached_property, partial
from itertools import chain, count

from gradwidgets.components import Steps
from gradwidgets.core import History, Problem, Recipe, end_level, settings
from gradwidgets.lab.screen import Move, Screen
from gradwidgets.plots import (
    DARK,
    LIGHT,
    OF_PARAMETERS,
    Canvas,
    StyledRun,
    Theme,
    describe,
    make,
    over_seeds,
)

Seeds = tuple[History, ...]
"""A recipe's histories under several seeds; () where there are none."""


class Picture:
    """Draws runs on a `Screen`, whose theme and width it follows.

    Args:
        problem: what is trained.
        panels: names of panels.
        size: (width, height) in pixels.
        screen: where it is shown.
        text_scale: factor on type, lines and margins.

    Raises:
        ValueError: a panel is unknown, or cannot show this problem.
    """

    def __init__(
        self,
        problem: Problem,
        panels: Sequence[str],
        size: tuple[int, int],
        screen: Screen,
        text_scale: float = 1.0,
    ) -> None:
        self._problem = problem
        self._panels = tuple(panels)
        made = make(self._panels, problem)
        self._made = partial(Canvas, made, size, text_scale)
        named = zip(self._panels, made, strict=True)
        self._in_words = [panel.title if name == "loss" else name for name, panel in named]
        self._pinned: list[StyledRun] = []
        self._runs: list[StyledRun] = []
        self._surroundings: Hashable = None
        self.screen = screen

    @cached_property
    def _canvas(self) -> Canvas:
        return self._made()

    def release(self) -> None:
        """Let go of what drawing needs, several megabytes; it is made again if need be."""
        vars(self).pop("_canvas", None)

    @property
    def needs_parameters(self) -> bool:
        """True if a panel draws `History.parameters`."""
        return not OF_PARAMETERS.isdisjoint(self._panels)

    def pin(self, history: History, label: str, start: Recipe) -> None:
        """Keep a history on the picture, under a name.

        Args:
            history: what is kept.
            label: its name; "" names the settings in which it differs from `start`.
            start: the lab's starting settings.
        """
        number = len(self._pinned)
        if not label:
            usual = ", ".join(settings.differences(history.recipe, start)) or "pinned start"
            label = self._unused(usual)
        self._pinned.append(StyledRun(history, label, "pinned", number))

    def _unused(self, name: str) -> str:
        """The name, with a number if a pinned run has it already."""
        taken = {run.label for run in self._pinned}
        numbered = (f"{name} ({number})" for number in count(2))
        return next(each for each in chain([name], numbered) if each not in taken)

    def unpin(self) -> None:
        """Take all pinned histories away."""
        self._pinned = []

    def draw(
        self,
        live: History | None,
        baseline: History | None,
        seeds: tuple[Seeds, Seeds] = ((), ()),
        error: Exception | None = None,
    ) -> None:
        """Show a run beside the baseline and the pinned runs, or what went wrong.

        Behind both runs stand the same recipes under several seeds.
        """
        self._runs = self._together(live, baseline, seeds)
        self._forget_others(baseline, seeds)
        with self.screen.hold_sync():
            if self._runs:
                stacked = self.screen.narrow
                self.screen.png = self._canvas.render(self._runs, self._theme, stacked)
                self.screen.alt = describe(self._runs, self._in_words)
            if error:
                self.screen.sentence = str(error) or repr(error)
            elif live and (live.ended or self.screen.progress >= 0):
                self.screen.sentence = _sentence(live, baseline, seeds)
            self.screen.trace = traced(error) if error else ""

    def prepare(
        self,
        move: Move,
        live: History,
        baseline: History | None,
        seeds: tuple[Seeds, Seeds] = ((), ()),
    ) -> Steps:
        """Draw what may be asked for next, a short step at a time, and let it wait.

        Args:
            move: what the learner would do to ask for it, see `Screen.keep_ready`.
            live: the run that is asked for then.
            baseline: the run with which it is compared.
            seeds: both under several seeds.
        """
        runs = self._together(live, baseline, seeds)
        png = yield from self._canvas.prepare(runs, self._theme, self.screen.narrow)
        alt = describe(runs, self._in_words)
        self.screen.keep_ready(move, png, alt, _sentence(live, baseline, seeds))

    def still(self) -> bytes:
        """The picture as PNG, to be looked at where no widget lives."""
        return self._canvas.render(self._runs, LIGHT)

    def captioned(self) -> bytes:
        """The picture as PNG below the names of the problem and of all settings, to be kept."""
        return self._canvas.render(self._runs, self._theme, heading=self._problem.name)

    def _forget_others(self, baseline: History | None, seeds: tuple[Seeds, Seeds]) -> None:
        """Drop what waits if it was drawn with other runs, colours or places of the panels."""
        others = self._together(None, baseline, seeds)
        surroundings = (self._theme, self.screen.narrow, *(run.key for run in others))
        if surroundings != self._surroundings:
            self._surroundings = surroundings
            self.screen.forget()

    def _together(
        self, live: History | None, baseline: History | None, seeds: tuple[Seeds, Seeds]
    ) -> list[StyledRun]:
        runs = [*self._pinned, *([StyledRun(live, "now", seeds=seeds[0])] if live else [])]
        if baseline and baseline is not live:
            runs.insert(0, StyledRun(baseline, "start", "baseline", seeds=seeds[1]))
        return runs

    @property
    def _theme(self) -> Theme:
        return DARK if self.screen.dark else LIGHT


def _sentence(live: History, baseline: History | None, seeds: tuple[Seeds, Seeds]) -> str:
    return " ".join(filter(None, (comparison(live, baseline), over_seeds(seeds[0]))))


def comparison(live: History, baseline: History | None) -> str:
    """The live run's sentence, and where the baseline ended."""
    if baseline is None or baseline is live or not baseline.updates or not baseline.ended:
        return live.summary()
    if baseline.stopped and baseline.stopped[1] == "cancelled":
        return f"{live.summary()} The start was cancelled after {baseline.updates} updates."
    if baseline.diverged:
        return f"{live.summary()} The start diverged."
    end = end_level(baseline.loss, baseline.stopped)
    return f"{live.summary()} The start ended at {end:.4g}."


def traced(error: Exception) -> str:
    """The traceback; a whole room may read it, so the home folder in its paths is `~`."""
    text = "".join(traceback.format_exception(error))
    return text.replace(os.path.expanduser("~") + os.sep, "~" + os.sep)
