"""Pictures in words, for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradwidgets.core import Array, History, end_level, metric_value
from gradwidgets.plots.lines import lr_curves
from gradwidgets.plots.style import StyledRun

SPOKEN = {"held_out": "held-out data", "lr": "learning rate"}
"""Names of panels in words, where not as they are written."""


def describe(runs: Sequence[StyledRun], panels: Sequence[str]) -> str:
    """The picture of these runs in words: what each curve does, in numbers.

    Args:
        runs: what is drawn.
        panels: what the picture has axes of.

    >>> from gradwidgets import Recipe, train
    >>> run = StyledRun(train("bowl", Recipe(lr=3.0)), "now")
    >>> describe([run], ["loss"])
    'Plots of loss. Now: Diverged at update ... Gradient norm from ...'
    """
    named = [SPOKEN.get(panel, panel) for panel in panels]
    parts = [f"Plots of {', '.join(named)}."]
    for run in runs:
        history = run.history
        parts.append(f"{run.label[:1].upper()}{run.label[1:]}: {history.summary()}")
        if run.seeds:
            parts.append(over_seeds(run.seeds))
        if not history.updates:
            continue
        first, last = history.edited_norm[[0, -1]]
        parts.append(f"Gradient norm from {first:.3g} to {last:.3g}.")
        if len(history.lost):
            first, last = history.lost[[0, -1]]
            parts.append(
                f"Steps lost to rounding: {first:.0%} of the elements at first, {last:.0%} at last."
            )
        if "learning rate" in named:
            parts += _learning_rates(history)
        if len(history.held_out):
            parts.append(_held_out(history))
    return " ".join(parts)


def _learning_rates(history: History) -> list[str]:
    """A sentence on each rate that the parameter groups have; none on those without one."""
    curves = lr_curves(history)
    several = len(curves) > 1
    return [
        _learning_rate(f" of {name}" * several, lrs)
        for name, lrs in curves.items()
        if np.isfinite(lrs).any()
    ]


def _learning_rate(of: str, lrs: Array) -> str:
    (updates,) = np.isfinite(lrs).nonzero()
    lr, begin, end = lrs[updates], int(updates[0]), int(updates[-1])
    first, last, high = float(lr[0]), float(lr[-1]), float(lr.max())
    spans = [f"from update {begin}"] * (begin > 0) + [f"until update {end}"] * (end < len(lrs) - 1)
    when = " ".join(spans)
    if lr.min() == high:
        return f"Learning rate{of} {first:.3g} {when or 'all the time'}."
    peak = f", highest, {high:.3g}, at update {updates[lr.argmax()]}" * (high > max(first, last))
    return f"Learning rate{of} from {first:.3g} to {last:.3g}{peak}{f', {when}' if when else ''}."


def _held_out(history: History) -> str:
    """Where the metric ends; of a loss that has risen again where it was lowest."""
    done, values = history.held_out.T
    said = f"Held-out {history.metric} ends at {metric_value(history.metric, values[-1])}"
    lowest = np.where(np.isnan(values), np.inf, values).argmin()
    if history.metric in ("loss", "error") and values[lowest] < values[-1]:
        low = metric_value(history.metric, values[lowest])
        said += f"; it was lowest, {low}, after {done[lowest]:.0f} updates"
    return f"{said}."


def over_seeds(histories: Sequence[History]) -> str:
    """Where the loss ends under several seeds: the median and the middle half; "" for no history.

    It ends at the level that a run's sentence gives; a run that diverged counts as infinite. Where
    all losses are the same, as from a model instance and without random batches, that is said
    instead.

    >>> from gradwidgets import Recipe, train
    >>> over_seeds([train("moons", Recipe(seed=seed)) for seed in range(3)])
    'Over 3 seeds it ends at ... (middle half ... to ...).'
    """
    if not histories:
        return ""
    ends = [
        end_level(h.loss, h.stopped) if h.updates and not h.diverged else math.inf
        for h in histories
    ]
    first = histories[0].loss
    if len(ends) > 1 and len(first) and all(np.array_equal(first, h.loss) for h in histories):
        return f"All {len(ends)} seeds give the same losses: the seed changes nothing in them."
    low, median, high = np.quantile(ends, (0.25, 0.5, 0.75), method="nearest")
    count = sum(history.diverged for history in histories)
    said = f"Over {len(ends)} seeds it ends at {median:.4g} (middle half {low:.4g} to {high:.4g})"
    return f"{said}; {count} of them diverged." if count else f"{said}."
