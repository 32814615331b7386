"""The curves of many runs as small whole numbers, and axes that are the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradwidgets.core import Array, History
from gradwidgets.plots import Limits, LinePanel, Series, StyledRun, SurfacePanel, path_of, vertical

Codes = np.ndarray[Any, np.dtype[np.uint16]]

STEPS = 1023
"""Heights that a curve can have: on a picture of 220 units, a quarter of one each."""
SPILL = 0.05
"""Share of the axes' height that a curve may leave them by, to be seen leaving."""
WIDE_STEPS, WIDE_SPILL = 4095, 1.0
"""The same for paths in a plane, which come back from farther away."""


def coded(shares: Array, steps: int = STEPS, spill: float = SPILL) -> Codes:
    """Shares of an axis as 1 to `steps`; 0 where there is no place.

    >>> coded(np.array([0.0, 1.0, np.nan, 5.0])).tolist()
    [47, 977, 0, 1023]
    """
    inside = (np.clip(np.nan_to_num(shares), -spill, 1 + spill) + spill) / (1 + 2 * spill)
    return np.where(np.isnan(shares), 0, 1 + np.rint(inside * (steps - 1))).astype(np.uint16)


def share(values: Array, limits: Limits) -> Array:
    """The share of the vertical axis below each value; NaN where it has no place.

    >>> share(np.array([0.1, 1.0, -1.0]), Limits((0, 1), (0.1, 10.0), log=True)).round(3).tolist()
    [0.0, 0.5, nan]
    """
    low, high = limits.y
    with np.errstate(all="ignore"):
        places, ends = (np.log(values), np.log([low, high])) if limits.log else (values, limits.y)
        found: Array = (places - ends[0]) / (ends[1] - ends[0])
    found[~np.isfinite(found)] = np.nan
    return found


def positions(last: int, most: int) -> Array:
    """At most about `most` of the numbers 0 to `last`: half of them dense at the start.

    >>> positions(1000, 9).tolist()
    [0.0, 1.0, 6.0, 32.0, 178.0, 250.0, 500.0, 750.0, 1000.0]
    """
    if last < most:
        return np.arange(last + 1.0)
    half = most // 2 + 1
    early = np.geomspace(1, last, half)[:-1]
    found: Array = np.unique(np.rint([0.0, *early, *np.linspace(0, last, half)]))
    return found


class LineTraces:
    """All runs' curves on one panel.

    Args:
        panel: gives the curves of a history.
        count: the number of runs.
        last: the most updates that a run has.
        most: points of a curve, about.
    """

    def __init__(self, panel: LinePanel, count: int, last: int, most: int) -> None:
        self.panel, self.last = panel, last
        self._count = count
        self._positions = positions(last, most)
        self._runs: dict[tuple[str, str], list[tuple[int, Series]]] = {}
        self._extremes: dict[bool, list[Array]] = {True: [], False: []}

    def add(self, number: int, history: History) -> None:
        """Keep what is drawn of a run."""
        for series in self.panel.series(history):
            self._runs.setdefault((series.name, series.dash), []).append(
                (number, self._few(series))
            )
            self._extremes[history.diverged].append(_extremes(series.y))

    def _few(self, series: Series) -> Series:
        """The series at the chosen updates, and where it ends; all of one that is short."""
        x = series.x
        if len(x) <= len(self._positions) and not np.array_equal(x, np.arange(len(x))):
            return series
        chosen = np.isin(x, self._positions)
        chosen[-1:] = True
        return Series(
            x[chosen], series.y[chosen], series.name, series.dash, series.width, series.sparse
        )

    @property
    def limits(self) -> Limits:
        """Axes that hold the curves of all runs; those of runs that diverge may leave them."""
        seen = self._extremes[False] or self._extremes[True]
        low, high, log = vertical(seen, self.panel.log)
        return Limits((0, max(self.last, 1)), (low, high), log)

    def packed(self) -> tuple[list[dict[str, Any]], list[Codes]]:
        """Facts of each curve for the page; and for each two tables: its codes, and where it ends.

        The codes are (runs, points + 1), the last of them the end of the run; where it ends is
        (runs, 1), an update. A run without the curve has codes of 0.
        """
        told, codes = [], []
        limits = self.limits
        for (name, dash), runs in self._runs.items():
            x = np.unique(np.concatenate([series.x[:-1] for _, series in runs]))
            table = np.full((self._count, len(x) + 1), np.nan)
            ends = np.zeros((self._count, 1), np.uint16)
            for number, series in runs:
                if len(series.x):
                    table[number, np.searchsorted(x, series.x[:-1])] = series.y[:-1]
                    table[number, -1] = series.y[-1]
                    ends[number] = int(series.x[-1])
            look = runs[0][1]
            told.append(
                {
                    "name": name,
                    "dash": dash,
                    "width": look.width,
                    "sparse": look.sparse,
                    "x": x.astype(int).tolist(),
                }
            )
            codes += [coded(share(table, limits)), ends]
        return told, codes


class PathTraces:
    """All runs' paths over the two parameters of a problem."""

    def __init__(self, panel: SurfacePanel, count: int, last: int, most: int) -> None:
        self.panel = panel
        self._positions = positions(last, most)
        self._count = count
        self._paths: dict[int, Array] = {}
        self._best: tuple[float, History] | None = None

    def add(self, number: int, history: History) -> None:
        """Keep the path of a run, and the run itself if its loss is the lowest."""
        path = path_of(history)
        chosen = np.isin(np.arange(len(path)), self._positions)
        chosen[-1:] = True
        self._paths[number] = path[chosen]
        if history.updates and (self._best is None or history.loss.min() < self._best[0]):
            self._best = float(history.loss.min()), history

    @property
    def limits(self) -> Limits:
        """A window around the lowest loss that holds the start."""
        return self.panel.limits([StyledRun(self._best[1], "best")] if self._best else [])

    def packed(self) -> list[Codes]:
        """(runs, 2 * points) codes: across and up in turn; 0 behind the end of a path."""
        limits = self.limits
        most = max(len(path) for path in self._paths.values())
        table = np.full((self._count, most, 2), np.nan)
        for number, path in self._paths.items():
            for axis, (low, high) in enumerate((limits.x, limits.y)):
                table[number, : len(path), axis] = (path[:, axis] - low) / (high - low)
        return [coded(table.reshape(self._count, -1), WIDE_STEPS, WIDE_SPILL)]


def _extremes(values: Array) -> Array:
    """The few values that say how far an axis has to reach: see `vertical`."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return finite
    positive = finite[finite > 0]
    least = [positive.min()] if len(positive) else []
    return np.array([finite[0], finite.min(), finite.max(), *least])


def planes(codes: Sequence[Codes]) -> bytes:
    """Tables of codes as bytes that compress well.

    Each row's differences, then all low bytes of a table, then all high ones.
    """
    parts = []
    for table in codes:
        rows = np.diff(table, axis=1, prepend=np.uint16(0)).astype("<u2")  # modulo 65536
        pair = np.ascontiguousarray(rows).view(np.uint8).reshape(*rows.shape, 2)
        parts += [pair[..., 0].tobytes(), pair[..., 1].tobytes()]
    return b"".join(parts)
