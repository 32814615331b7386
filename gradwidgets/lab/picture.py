"""The picture of a lab, its description and its sentence, shown on a screen."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Hashable, Sequence
from functools import cached_property, partial

import numpy as np

from gradwidgets.components import Steps
from gradwidgets.core import History, Problem
from gradwidgets.lab.screen import Move, Screen
from gradwidgets.plots import DARK, LIGHT, OF_PARAMETERS, Canvas, RunStyle, Theme, make, suited

Seeds = tuple[History, ...]
"""A recipe's histories under several seeds; () where there are none."""


class Picture:
    """Draws runs on a `Screen`, whose theme it follows.

    Args:
        problem: what is trained.
        panels: names of panels; None chooses for the problem.
        size: (width, height) in pixels.
        screen: where it is shown.
        text_scale: factor on type, lines and margins.

    Raises:
        ValueError: a panel is unknown, or cannot show this problem.
    """

    def __init__(
        self,
        problem: Problem,
        panels: Sequence[str] | None,
        size: tuple[int, int],
        screen: Screen,
        text_scale: float = 1.0,
    ) -> None:
        self._panels = tuple(panels or suited(problem))
        self._made = partial(Canvas, make(self._panels, problem), size, text_scale)
        self._pinned: list[RunStyle] = []
        self._runs: list[RunStyle] = []
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

    def pin(self, history: History, label: str) -> None:
        """Keep a history on the picture, under a name."""
        number = len(self._pinned)
        self._pinned.append(RunStyle(history, label or f"pin {number + 1}", "pinned", number))

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
                self.screen.png = self._canvas.render(self._runs, self._theme)
                self.screen.alt = description(self._runs, self._panels)
            if error:
                self.screen.sentence = str(error) or repr(error)
            elif live and live.ended:
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
        png = yield from self._canvas.prepare(runs, self._theme)
        alt = description(runs, self._panels)
        self.screen.keep_ready(move, png, alt, _sentence(live, baseline, seeds))

    def still(self) -> bytes:
        """The picture as PNG, to be looked at where no widget lives."""
        return self._canvas.render(self._runs, LIGHT)

    def _forget_others(self, baseline: History | None, seeds: tuple[Seeds, Seeds]) -> None:
        """Drop what waits if it was drawn with other runs or colours than those of today."""
        others = self._together(None, baseline, seeds)
        surroundings = (self._theme, *(run.key for run in others))
        if surroundings != self._surroundings:
            self._surroundings = surroundings
            self.screen.forget()

    def _together(
        self, live: History | None, baseline: History | None, seeds: tuple[Seeds, Seeds]
    ) -> list[RunStyle]:
        runs = [*self._pinned, *([RunStyle(live, "now", seeds=seeds[0])] if live else [])]
        if baseline and baseline is not live:
            runs.insert(0, RunStyle(baseline, "start", "baseline", seeds=seeds[1]))
        return runs

    @property
    def _theme(self) -> Theme:
        return DARK if self.screen.dark else LIGHT


def _sentence(live: History, baseline: History | None, seeds: tuple[Seeds, Seeds]) -> str:
    return " ".join(filter(None, (comparison(live, baseline), over_seeds(seeds[0]))))


def comparison(live: History, baseline: History | None) -> str:
    """The live run's sentence, and where the baseline ended."""
    if baseline is None or baseline is live or not baseline.updates:
        return live.summary()
    if baseline.stopped and baseline.stopped[1] == "diverged":
        return f"{live.summary()} The start diverged."
    return f"{live.summary()} The start ended at {baseline.loss[-1]:.4g}."


def over_seeds(histories: Sequence[History]) -> str:
    """Where the loss ends under several seeds: the median, and the middle half."""
    if not histories:
        return ""
    ends = [h.loss[-1] if h.updates and not _diverged(h) else math.inf for h in histories]
    low, median, high = np.quantile(ends, (0.25, 0.5, 0.75), method="nearest")
    count = sum(map(_diverged, histories))
    said = f"Over {len(ends)} seeds it ends at {median:.4g} (middle half {low:.4g} to {high:.4g})"
    return f"{said}; {count} of them diverged." if count else f"{said}."


def _diverged(history: History) -> bool:
    return history.stopped is not None and history.stopped[1] == "diverged"


def description(runs: Sequence[RunStyle], panels: Sequence[str]) -> str:
    """The picture in words: what each curve does, in numbers."""
    parts = [f"Plots of {', '.join(panels)}."]
    for run in runs:
        history = run.history
        parts.append(f"{run.label.capitalize()}: {history.summary()}")
        if run.seeds:
            parts.append(over_seeds(run.seeds))
        if not history.updates:
            continue
        first, last = history.edited_norm[[0, -1]]
        parts.append(f"Gradient norm from {first:.3g} to {last:.3g}.")
        if len(history.accuracy):
            parts.append(f"Held-out accuracy ends at {history.accuracy[-1, 1]:.1%}.")
    return " ".join(parts)


def traced(error: Exception) -> str:
    """The traceback; a whole room may read it, so the home folder in its paths is `~`."""
    text = "".join(traceback.format_exception(error))
    return text.replace(os.path.expanduser("~") + os.sep, "~" + os.sep)
