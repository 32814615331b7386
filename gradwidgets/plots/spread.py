"""The panel of how the distribution of all weights moves: a fan of percentiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradwidgets.core import Array, History
from gradwidgets.plots.lines import area, over_updates
from gradwidgets.plots.scale import Limits, vertical
from gradwidgets.plots.style import StyledRun, Theme

BANDS = ((0, 100), (10, 90), (25, 75))


class SpreadPanel:
    """Percentiles of all recorded weights: the whole range, 80 % and 50 % of them, the median."""

    title = "distribution of the weights"

    def limits(self, runs: Sequence[StyledRun]) -> Limits:
        """Coarse limits that hold the live run's weights."""
        tables = [_table(run.history) for run in runs if run.role == "live"]
        low, high, _ = vertical([table.ravel() for table in tables], log=False)
        last = max((run.history.recipe.updates for run in runs), default=1)
        return Limits((0, last), (low, high))

    def static_key(self, limits: Limits) -> object:  # noqa: ARG002
        """Always the same."""
        return None

    def draw_static(self, axes: Axes, limits: Limits, theme: Theme) -> None:  # noqa: ARG002
        """Draw title, label and grid."""
        over_updates(axes, self.title, theme)

    def artists(self, run: StyledRun, axes: Axes, theme: Theme) -> list[Artist]:  # noqa: ARG002
        """The fan of the live run; nothing for the others."""
        table = _table(run.history)
        if run.role != "live" or not table.size:
            return []
        at = np.arange(len(table), dtype=np.float64)
        color = run.color(theme)
        edges = [np.percentile(table, band, axis=1) for band in BANDS]
        fan = [area(at, low, high, color) for low, high in edges]
        return [*fan, Line2D(at, np.median(table, axis=1), color=color, linewidth=run.width)]

    def labels(self, run: StyledRun) -> list[tuple[float, str]]:
        """The median is named."""
        table = _table(run.history)
        named = run.role == "live" and table.size and np.isfinite(table[-1]).all()
        return [(float(np.median(table[-1])), "median")] if named else []


def _table(history: History) -> Array:
    """(updates + 1, elements) of all recorded weights."""
    flat = [values.reshape(len(values), -1) for values in history.parameters.values()]
    return np.concatenate(flat, axis=1) if flat else np.empty((0, 0))


SPREAD = SpreadPanel()
