"""Panels of curves over the updates: loss, norms, learning rate, weights, held-out data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FormatStrFormatter, NullLocator

from gradwidgets.core import Array, History
from gradwidgets.plots.scale import LARGEST, Limits, vertical
from gradwidgets.plots.style import DASHES, StyledRun, Theme

MOST_LINES = 24
"""Elements of parameters that are drawn one by one, at most."""
NOTE_SIZE = 8.5
"""Points of type of what stands in place of curves."""


@dataclass(frozen=True, eq=False)
class Series:
    """One curve of a run: (n,) positions and values; name, dashes and width set it apart.

    A sparse one has no value at most updates, so that where it ends does not say where the run did.

    >>> Series(np.arange(3.0), np.array([1.0, 0.5, 0.25]), name="raw").y
    array([1.  , 0.5 , 0.25])
    """

    x: Array
    y: Array
    name: str = ""
    dash: str = ""
    width: float = 1.0
    sparse: bool = False


@dataclass(frozen=True, eq=False)
class Band:
    """Quartiles at each position: (n,) arrays."""

    x: Array
    low: Array
    median: Array
    high: Array


def quartiles(curves: Sequence[tuple[Array, Array]]) -> Band:
    """Quartiles (by nearest rank) of curves (x, y) that start together.

    A curve that ended early because its run diverged counts as infinite from there on.
    """
    x = max((x for x, _ in curves), key=len)
    table = np.full((len(curves), len(x)), np.inf)
    for row, (_, y) in zip(table, curves, strict=True):
        row[: len(y)] = y
    return Band(x, *np.quantile(table, (0.25, 0.5, 0.75), axis=0, method="nearest"))


def area(x: Array, low: Array, high: Array, color: str, edge: str = "none") -> PolyCollection:
    """The area between two curves over the same (n,) positions."""
    outline = np.concatenate([np.stack([x, low], axis=1), np.stack([x, high], axis=1)[::-1]])
    return PolyCollection([outline], facecolor=color, edgecolor=edge, alpha=0.22)


def band_artists(run: StyledRun, band: Band, theme: Theme) -> list[Artist]:
    """The middle half as an area, the median as a thin line, in the run's colour."""
    finite = np.isfinite(band.median) & np.isfinite(band.low)
    if not finite.any():
        return []
    x, color = band.x[finite], run.color(theme)
    high = np.minimum(band.high[finite], LARGEST)
    dash = DASHES[run.dash]
    line = Line2D(x, band.median[finite], color=color, linestyle=dash, linewidth=1.0)
    return [area(x, band.low[finite], high, color, edge=color), line]


def over_updates(axes: Axes, title: str, theme: Theme) -> None:
    """Title, label and grid of axes over the updates."""
    axes.set_title(title)
    axes.set_xlabel("update")
    axes.grid(visible=True, color=theme.faint, linewidth=0.7)


@dataclass(frozen=True)
class LinePanel:
    """Curves over the updates.

    Args:
        title: stands above the axes.
        series: the curves of one history.
        log: a logarithmic vertical axis; None takes it unless a value is below zero.
        only_live: the curves of other runs would hide those of the live one.
        says_end: the label says where a run diverged.
        unmeasured: stands on the panel where the live run has no values for it.

    >>> from gradwidgets import Recipe, train
    >>> history = train("bowl", Recipe(lr=3.0))
    >>> LOSS.labels(StyledRun(history, "now"))[0][1].splitlines()[:2]
    ['diverged', 'at update']
    """

    title: str
    series: Callable[[History], list[Series]]
    log: bool | None = None
    only_live: bool = False
    says_end: bool = False
    unmeasured: str = ""

    def limits(self, runs: Sequence[StyledRun]) -> Limits:
        """Coarse limits that hold every curve."""
        drawn = [run for run in runs if self.draws(run)]
        curves = [series.y for run in drawn for series in self.series(run.history)]
        bands = filter(None, map(self.band, drawn))
        curves += [edge for band in bands for edge in (band.low, band.high)]
        low, high, log = vertical(curves, self.log)
        last = max((run.history.recipe.updates for run in runs), default=1)
        return Limits((0, last), (low, high), log)

    def heading(self, limits: Limits) -> str:
        """The title, and the kind of scale if that is logarithmic."""
        return self.title + " (log scale)" * limits.log

    def static_key(self, limits: Limits) -> object:
        """The kind of scale."""
        return limits.log, limits.spans_few_decades

    def draw_static(self, axes: Axes, limits: Limits, theme: Theme) -> None:
        """Draw title, label and grid."""
        over_updates(axes, self.heading(limits), theme)
        if limits.log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(limits.log_ticks())
            axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
            axes.yaxis.set_minor_locator(NullLocator())

    def artists(self, run: StyledRun, axes: Axes, theme: Theme) -> list[Artist]:
        """The curves of one run, not yet on the axes; a cross where it diverged."""
        if not self.draws(run):
            return []
        band = self.band(run)
        drawn = band_artists(run, band, theme) if band else []
        curves = self.series(run.history)
        if self.unmeasured and run.role == "live" and not any(len(series.x) for series in curves):
            drawn.append(self._note(axes, theme))
        for series in curves:
            line = Line2D(
                series.x,
                series.y,
                color=run.color(theme),
                linestyle=DASHES[series.dash or run.dash],
                linewidth=run.width * series.width,
            )
            drawn.append(line)
            if run.history.diverged and len(series.x) and not series.sparse:
                height = np.clip(series.y[-1], *axes.get_ylim())
                cross = Line2D(series.x[-1:], [height], marker="X", markersize=10, clip_on=False)
                cross.set_color(run.color(theme))
                drawn.append(cross)
        return drawn

    def _note(self, axes: Axes, theme: Theme) -> Artist:
        note = Text(0.5, 0.5, self.unmeasured, ha="center", va="center", fontsize=NOTE_SIZE)
        note.set(color=theme.ink, transform=axes.transAxes)
        return note

    def draws(self, run: StyledRun) -> bool:
        """True if the curves of this run are on the panel."""
        return run.role == "live" or not self.only_live

    def band(self, run: StyledRun) -> Band | None:
        """The middle half of a run's main curve under several seeds, if it was trained so."""
        if not run.seeds or self.only_live:
            return None
        curves = [self.series(history)[-1] for history in run.seeds]
        return quartiles([(series.x, series.y) for series in curves])

    def labels(self, run: StyledRun) -> list[tuple[float, str]]:
        """(height, text) of the label at the end of each curve that has one.

        The live run's say what its further curves are; those of other runs look the same, and
        where all have names the last says whose they are.
        """
        labels = []
        curves = self.series(run.history) if self.draws(run) else []
        if run.role != "live":
            unnamed = [series for series in curves if not series.name]
            curves = unnamed or [dataclasses.replace(series, name="") for series in curves[-1:]]
        for series in curves:
            finite = series.y[np.isfinite(series.y)]
            if len(finite) and not (self.only_live and not series.name):
                text = series.name or run.label
                if self.says_end and run.history.diverged and not series.sparse:
                    text = f"diverged\nat update\n{run.history.updates}"
                labels.append((float(finite[-1]), text))
        return labels


def _updates(history: History) -> Array:
    return np.arange(history.updates, dtype=np.float64)


def _loss(history: History) -> list[Series]:
    return [Series(_updates(history), history.loss)]


def _loss_and_held_out(history: History) -> list[Series]:
    measured = history.held_out if history.metric == "loss" else history.held_out[:0]
    held_out = Series(measured[:, 0], measured[:, 1], "held-out", "dotted", 0.8, sparse=True)
    return [held_out, *_loss(history)]


def _gradient(history: History) -> list[Series]:
    raw, edited = history.grad_norm, history.edited_norm
    if np.array_equal(raw, edited):
        return [Series(_updates(history), edited)]
    return [Series(_updates(history), raw, "raw", "dotted", 0.8), Series(_updates(history), edited)]


def _ratio(history: History) -> list[Series]:
    return [Series(_updates(history), history.update_ratio)]


def _lost(history: History) -> list[Series]:
    return [Series(_updates(history)[: len(history.lost)], history.lost)]


def lr_curves(history: History) -> dict[str, Array]:
    """Learning rates that differ, by the names of the parameter groups that have them.

    >>> from gradwidgets import Recipe, train
    >>> groups = {"*bias": {"lr": 0.2}, "2.weight": {"weight_decay": 0.1}}
    >>> list(lr_curves(train("moons", Recipe(lr=0.1, groups=groups, updates=3))))
    ['the rest, 2.weight', '*bias']
    """
    alike: list[tuple[list[str], Array]] = []
    for name, lrs in history.group_lrs.items():
        names = next((n for n, same in alike if np.array_equal(same, lrs, equal_nan=True)), None)
        if names is None:
            alike.append(([name], lrs))
        else:
            names.append(name)
    return {", ".join(names): lrs for names, lrs in alike}


def _lr(history: History) -> list[Series]:
    curves = lr_curves(history)
    if len(curves) == 1:
        return [Series(_updates(history), history.lr)]
    dashes = cycle(["", "dotted", "dashdot", "dashed"])
    return [
        Series(_updates(history), lrs, f"{name} ({dash or 'solid'})", dash, 1.3 if dash else 0.7)
        for (name, lrs), dash in zip(curves.items(), dashes, strict=False)
    ]  # dots are wider than a solid line, so that they are seen on it


def _held_out(history: History) -> list[Series]:
    return [Series(history.held_out[:, 0], history.held_out[:, 1])]


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
LOSS_AND_HELD_OUT = LinePanel("loss (dotted: held-out)", _loss_and_held_out, says_end=True)
GRADIENT = LinePanel("gradient norm", _gradient, log=True)
RATIO = LinePanel("update / parameter norm", _ratio, log=True)
LOST = LinePanel(
    "share of steps lost to rounding", _lost, log=False, unmeasured="not measured in this run"
)
LR = LinePanel("learning rate", _lr, log=False)
WEIGHTS = LinePanel("weights (solid) and biases (dotted)", _weights, log=False, only_live=True)


def held_out_panel(metric: str) -> LinePanel:
    """The panel of a metric on held-out data.

    >>> held_out_panel("accuracy").title
    'accuracy on held-out data'
    """
    return LinePanel(f"{metric or 'metric'} on held-out data", _held_out, log=False)
