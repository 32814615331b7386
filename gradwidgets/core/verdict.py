"""The rules by which a run is judged in one sentence.

The last half of the losses is cut into two quarters; a quarter's level is its median. With
`start` the first loss, `third` and `last` the two levels, and `spread` the distance between the
10th and 90th percentile of the last quarter, the first rule that applies gives the verdict:

    diverged     the loss stopped being finite
    stopped      the loss fell below the recipe's threshold
    oscillating  spread is more than OSCILLATING of the start, and the last half both falls and
                 rises by more than half the spread
    stalled      last is within STALLED of the start
    rising       last is above the start, or above third by more than GIVEN_BACK of the gain
    improving    from third to last it gained more than IMPROVING of all it gained
    converged    it gained less than that
"""

from __future__ import annotations

import numpy as np

from gradwidgets.core.recorder import Array

OSCILLATING = 0.2
"""A swing of a fifth of the starting loss shows on any plot."""
STALLED = 0.02
"""Two percent of the starting loss is hard to see on a plot."""
IMPROVING = 0.01
"""One percent of the whole gain, within a quarter of the run."""
GIVEN_BACK = 0.05
"""Losing a twentieth of what was gained is more than the noise of a settled run."""
ENOUGH = 8
"""Fewer updates than this cannot be cut into quarters that mean anything."""


def verdict(loss: Array, stopped: tuple[int, str] | None) -> str:
    """The verdict in one word, by the rules above; "short" below `ENOUGH` updates.

    >>> verdict(np.linspace(1.0, 0.5, 100), stopped=None)
    'improving'
    >>> verdict(np.array([1.0, 3.0]), stopped=(2, "diverged"))
    'diverged'
    """
    if stopped and stopped[1] in ("diverged", "threshold"):
        return {"diverged": "diverged", "threshold": "stopped"}[stopped[1]]
    if len(loss) < ENOUGH:
        return "short"
    start, third, last, spread = _levels(loss)
    scale = max(abs(start), 1e-300)
    if spread > OSCILLATING * scale and _swing(loss) > spread / 2:
        return "oscillating"
    if abs(start - last) <= STALLED * scale:
        return "stalled"
    if last > start or last - third > GIVEN_BACK * (start - last):
        return "rising"
    return "improving" if third - last > IMPROVING * (start - last) else "converged"


def _levels(loss: Array) -> tuple[float, float, float, float]:
    quarter = len(loss) // 4
    third, last = loss[-2 * quarter : -quarter], loss[-quarter:]
    low, high = np.percentile(last, [10, 90])
    return float(loss[0]), float(np.median(third)), float(np.median(last)), float(high - low)


def _swing(loss: Array) -> float:
    """The largest fall of the last half, or its largest rise if that is less."""
    last = loss[-2 * (len(loss) // 4) :]
    fall = np.max(np.maximum.accumulate(last) - last)
    rise = np.max(last - np.minimum.accumulate(last))
    return float(min(fall, rise))


def sentence(loss: Array, stopped: tuple[int, str] | None, planned: int) -> str:
    """The verdict with the figures behind it, in one sentence.

    Args:
        loss: (updates,) the losses.
        stopped: None, or (update, why) as in `History.stopped`.
        planned: the number of updates that the recipe asked for.
    """
    done = f"{len(loss)} update{'s' * (len(loss) != 1)}"
    if not len(loss):
        diverged = stopped is not None and stopped[1] == "diverged"
        return (
            "Diverged at update 0: its loss is not finite." if diverged else "No update was made."
        )
    moved = f"the loss went from {loss[0]:.4g} to {loss[-1]:.4g}"
    if stopped and stopped[1] in ("cancelled", "failed"):
        return f"{stopped[1].capitalize()} after {done} of {planned}: {moved}."
    word = verdict(loss, stopped)
    if word == "diverged":
        assert stopped is not None
        return f"Diverged at update {stopped[0]}: {moved}, then it was no longer finite."
    if word == "stopped":
        return f"Stopped at its threshold after {done} of {planned}: {moved}."
    if word == "short":
        return f"After {done} {moved}."
    return _judged(word, loss, done, moved)


def _judged(word: str, loss: Array, done: str, moved: str) -> str:
    start, third, last, spread = _levels(loss)
    gained = 100 * (third - last) / (start - last) if start != last else 0.0
    quarter = len(loss) // 4
    if word == "oscillating":
        return (
            f"Oscillating after {done}: {moved}, "
            f"and it still swings by {spread:.3g} in the last {quarter}."
        )
    if word == "stalled":
        change = 100 * abs(start - last) / max(abs(start), 1e-300)
        return f"Stalled after {done}: {moved}, a change of {change:.1f} %."
    if word == "rising":
        return f"Rising after {done}: {moved}; it goes up in the last {quarter}."
    opening = "Still improving" if word == "improving" else "Converged"
    trend = f"gained {gained:.1f}" if gained >= 0 else f"lost {-gained:.1f}"
    return f"{opening} after {done}: {moved}; the last {quarter} {trend} % of that."
