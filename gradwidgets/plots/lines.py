"""Panels of curves over the updates: loss, gradient norms, update ratio, weights, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from gradwidgets.core import Array, History
from gradwidgets.plots.band import Band, band_artists, quartiles
from gradwidgets.plots.run_style import RunStyle
from gradwidgets.plots.scale import Limits, vertical
from gradwidgets.plots.theme import DASHES, Theme

FEW_DECADES = 300
"""A logarithmic axis over less than this factor is labelled at 1, 2 and 5."""
MOST_LINES = 24
"""Elements of parameters that are drawn one by one, at most."""


@dataclass(frozen=True, eq=False)
class Series:
    """One curve of a run: (n,) positions and values, and what distinguishes it in its run."""

    x: Array
    y: Array
    name: str = ""
    dash: str = ""
    width: float = 1.0


@dataclass(frozen=True)
class LinePanel:
    """Curves over the updates.

    Args:
        title: what stands above the axes.
        series: the curves of one history.
        log: a logarithmic vertical axis; None takes it where it helps.
        only_live: the curves of other runs would hide those of the live one.
        says_end: the label says where a run diverged.
    """

    title: str
    series: Callable[[History], list[Series]]
    log: bool | None = None
    only_live: bool = False
    says_end: bool = False

    def chosen(self, runs: Sequence[RunStyle]) -> list[RunStyle]:
        """The runs whose curves this panel draws."""
        return [run for run in runs if run.role == "live" or not self.only_live]

    def limits(self, runs: Sequence[RunStyle]) -> Limits:
        """Coarse limits that hold every curve."""
        chosen = self.chosen(runs)
        curves = [series.y for run in chosen for series in self.series(run.history)]
        bands = filter(None, map(self.band, chosen))
        curves += [edge for shown in bands for edge in (shown.low, shown.high)]
        low, high, log = vertical(curves, self.log)
        last = max((run.history.recipe.updates for run in runs), default=1)
        return Limits((0, last), (low, high), log)

    def scenery(self, limits: Limits) -> tuple[bool, bool]:
        """The kind of scale."""
        return limits.log, limits.log and limits.y[1] < FEW_DECADES * limits.y[0]

    def prepare(self, axes: Axes, limits: Limits, theme: Theme) -> None:
        """Everything that does not depend on a run."""
        axes.set_title(self.title + (" (log scale)" if limits.log else ""))
        axes.set_xlabel("update")
        axes.grid(visible=True, color=theme.faint, linewidth=0.7)
        if limits.log:
            axes.set_yscale("log")
            _, few = self.scenery(limits)
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=7))
            axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
            axes.yaxis.set_minor_locator(NullLocator())

    def artists(self, run: RunStyle, axes: Axes, theme: Theme) -> list[Artist]:
        """The curves of one run, not yet on the axes; a cross where it diverged."""
        drawn: list[Artist] = []
        if not self.chosen([run]):
            return drawn
        if shown := self.band(run):
            drawn += band_artists(run, shown, theme)
        for series in self.series(run.history):
            line = Line2D(
                series.x,
                series.y,
                color=run.color(theme),
                linestyle=DASHES[series.dash or run.dash],
                linewidth=run.width * series.width,
            )
            drawn.append(line)
            if run.diverged and len(series.x):
                height = np.clip(series.y[-1], *axes.get_ylim())
                cross = Line2D(series.x[-1:], [height], marker="X", markersize=10, clip_on=False)
                cross.set_color(run.color(theme))
                drawn.append(cross)
        return drawn

    def band(self, run: RunStyle) -> Band | None:
        """The middle half of a run's main curve under several seeds, if it was trained so."""
        if not run.seeds or self.only_live:
            return None
        curves = [self.series(history)[-1] for history in run.seeds]
        return quartiles([(series.x, series.y) for series in curves])

    def labels(self, run: RunStyle) -> list[tuple[float, str]]:
        """(height, text) of the label at the end of each curve that has one."""
        found = []
        for series in self.series(run.history):
            finite = series.y[np.isfinite(series.y)]
            if len(finite) and not (self.only_live and not series.name):
                text = f"{run.label} {series.name}".strip()
                if self.says_end and run.diverged:
                    text = f"diverged\nat update\n{run.history.updates}"
                found.append((float(finite[-1]), text))
        return found


def _updates(history: History) -> Array:
    return np.arange(history.updates, dtype=np.float64)


def _loss(history: History) -> list[Series]:
    return [Series(_updates(history), history.loss)]


def _gradient(history: History) -> list[Series]:
    raw, edited = history.grad_norm, history.edited_norm
    if np.array_equal(raw, edited):
        return [Series(_updates(history), edited)]
    return [Series(_updates(history), raw, "raw", "dotted", 0.8), Series(_updates(history), edited)]


def _ratio(history: History) -> list[Series]:
    return [Series(_updates(history), history.update_ratio)]


def _accuracy(history: History) -> list[Series]:
    return [Series(history.accuracy[:, 0], history.accuracy[:, 1])]


def _weights(history: History) -> list[Series]:
    """Elements of the parameters, evenly picked where there are too many to draw."""
    columns = [
        (name, values.reshape(len(values), -1)[:, index])
        for name, values in history.parameters.items()
        for index in range(values[0].size)
    ]
    step = max(1, -(-len(columns) // MOST_LINES))
    return [
        Series(
            np.arange(len(values), dtype=np.float64),
            values,
            name if len(columns) <= 4 else "",
            "dotted" if name.endswith("bias") else "solid",
            0.6,
        )
        for name, values in columns[::step]
    ]


LOSS = LinePanel("loss", _loss, says_end=True)
GRADIENT = LinePanel("gradient norm", _gradient, log=True)
RATIO = LinePanel("update / parameter norm", _ratio, log=True)
ACCURACY = LinePanel("accuracy on held-out data", _accuracy, log=False)
WEIGHTS = LinePanel("weights (solid) and biases (dotted)", _weights, log=False, only_live=True)
