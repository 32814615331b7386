"""Axis limits in coarse steps, so that a picture seldom jumps while a slider moves.

They depend on the curves alone, and not on what was drawn before. (`Pane` makes one exception: an
axis that has been linear stays so.) Else a stop of a slider has one picture, whichever way the
learner comes to it. An axis whose kind is free is logarithmic unless
a value is below zero: the losses of two stops may lie decades apart, and equal steps are equal
factors everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import LogLocator

from gradwidgets.core import Array

DECADES_DOWN = 9
"""A logarithmic axis reaches at most this far below its top."""
DECADES_UP = 3
"""... and at most this far above where the curves start: beyond, a run has diverged."""
LARGEST, SMALLEST = 1e300, 1e-300
"""Beyond, there is no room for a margin, or for steps."""
FEW_DECADES = 300
"""A logarithmic axis over less than this factor has ticks at 1, 2 and 5."""


@dataclass(frozen=True)
class Limits:
    """Ranges of both axes, and whether the vertical one is logarithmic.

    >>> Limits((0, 200), (0.01, 1.0), log=True).spans_few_decades
    True
    """

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False

    @property
    def spans_few_decades(self) -> bool:
        """True if powers of ten alone would be too few ticks for a logarithmic axis."""
        return self.log and self.y[1] < FEW_DECADES * self.y[0]

    def log_ticks(self) -> LogLocator:
        """The ticks of a logarithmic axis."""
        return LogLocator(subs=(1, 2, 5) if self.spans_few_decades else (1,), numticks=7)


def vertical(curves: Iterable[Array], log: bool | None = None) -> tuple[float, float, bool]:
    """Coarse (low, high, logarithmic); `log=None` takes a logarithm if no value is below 0.

    >>> vertical([np.array([1.0, 0.02])])
    (0.01, 2.0, True)
    """
    arrays = [np.clip(curve[np.isfinite(curve)], -LARGEST, LARGEST) for curve in curves]
    values = np.concatenate([np.empty(0), *arrays])
    starts = [abs(array[0]) for array in arrays if len(array)]
    positive = values[values > 0]
    if log is None:
        log = not (values < 0).any()
    if not len(values) or (log and not len(positive)):
        return (1e-3, 1.0, True) if log else (0.0, 1.0, False)
    ceiling = max(starts) * 10**DECADES_UP if max(starts) > 0 else math.inf
    if log:
        top = max(min(positive.max(), ceiling), SMALLEST)
        bottom = max(positive.min(), top / 10**DECADES_DOWN, SMALLEST)
        return _nice_below(bottom * 0.9), nice(top * 1.1), True
    top = min(max(values.max(), 0.0), ceiling)
    bottom = max(min(values.min(), 0.0), -ceiling)
    if top - bottom < SMALLEST:
        return 0.0, 1.0, False
    step = nice((top - bottom) / 4)
    return math.floor(bottom / step) * step, math.ceil(top / step * 1.02) * step, False


def nice(value: float) -> float:
    """The next of 1, 2, 5, 10, ... at or above a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 5, 10, 20) if m * power >= value * 0.999999)


def _nice_below(value: float) -> float:
    """The next of 1, 2, 5, 10, ... at or below a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(m * power for m in (1, 2, 5) if m * power <= value * 1.000001)
