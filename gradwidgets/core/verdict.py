"""The rules by which a run is judged in one sentence.

A few levels stand for the curve, so that one lucky batch or one spike decides nothing:

    start      the median of the first losses, or the first loss if that is higher
    middle     the median of the third quarter
    end        the median of the last losses
    low, high  the 10th and 90th percentile of the second half

"First" and "last" losses are a twentieth of the run, and at least six where there are as many.
The loss *falls* (or *rises*) if it goes down (up) from middle to end by more than MOVED of its
level, or than SHARE of all it gained (itself more than MOVED), and this is no chance: it is more
than its noise, or it drifts. A change is noise if it is at most TREND of high - low, and the second
half swings by more. It *swings* by more than an amount if it falls, rises and falls again, or
rises, falls and rises, each time by more than that: one jump, however high, is no swing, and a
single spike does not count. It drifts if a straight line through the means of PARTS equal parts of
the second half explains EXPLAINED of their variance, and the later parts are more than DRIFT of
high - low away from the earlier. It *jumps* if, within the second half, it goes above both ends of
that half, middle and end by more than SWING of these and MOVED of start, and does not swing.
The first rule that applies gives the verdict:

    diverged     the loss stopped being finite
    stopped      the loss fell below the recipe's threshold
    early        its metric on held-out data did not become better for the recipe's patience
    short        there are fewer than ENOUGH updates
    converged    end is below start and the first loss, it gained less than SETTLED of that after
                 middle, and the gradient's norm is less than VANISHED of its norm at the start
    jumped       it rises, and it jumped: end may be above middle for it still comes down
    rising       it rises
    improving    it falls, and end is not above start, nor, where it swings, above the first loss
    oscillating  it swings by more than half of high - low, and these are further apart than SWING
                 of its level and of the first loss
    swinging     the same, but less than SWING of the first loss
    risen        end is above start by more than MOVED of its level, and by more than its noise
    stalled      end is within MOVED of start
    plateau      none of these

A loss on a plateau may fall again; that is why only a gradient that has vanished tells that a run
has converged. The sentence quotes the levels that decided, how high the loss jumped, and the first
and the last loss where they are far from the levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradwidgets.core.recorder import Array

SWING = 0.2
"""A swing of a fifth shows on any plot."""
MOVED = 0.02
"""Two percent of the loss is hard to see on a plot."""
SHARE = 0.1
"""A tenth of the whole gain after the third quarter's middle: the fall goes on as before."""
TREND = 0.6
"""The end of a wave is at most 0.53 of its 10th to 90th percentile away from its middle."""
PARTS = 8
EXPLAINED = 0.75
"""Of eight equal values with independent noise, one draw in two hundred lies so near to a line:
Student's t of the slope is then above 4.2, with 6 degrees of freedom."""
DRIFT = 0.15
"""A drift that is less than this of the swings is not seen on a plot."""
LEAST = 8
"""Losses in a part: in fewer the short waves of a loss that bounces do not cancel out."""
SETTLED = 0.01
"""One percent of the whole gain, within the last third of the run."""
VANISHED = 1e-3
"""Near a minimum the gain that is left goes with the gradient's square: one in a million."""
ENOUGH = 8
"""Fewer updates than this cannot be cut into quarters that mean anything."""


STOPPED = {"diverged": "diverged", "threshold": "stopped", "patience": "early"}
"""Verdicts that follow from why a run stopped."""


@dataclass(frozen=True)
class Levels:
    """The figures by which a curve is judged, in the unit of its losses.

    Args:
        half: the second half without its single spikes; with them, and with the loss before it,
            where it is shorter than LEAST.
        top: the highest loss of the second half.
        drift: by how much the mean of the second half's last parts is above that of its first, if
            a straight line explains its parts; else 0.

    >>> Levels.of(np.arange(16.0)).middle
    9.5
    """

    first: float
    last: float
    start: float
    middle: float
    end: float
    low: float
    high: float
    drift: float
    half: Array
    top: float

    @classmethod
    def of(cls, loss: Array) -> Levels:
        """The levels of the losses, (updates,)."""
        few, quarter = _few(loss), 2 * (len(loss) // 8)
        half = loss[-2 * quarter :]
        low, high = (float(np.percentile(half, at)) for at in (10, 90))
        late = loss[-2 * quarter - 1 :]
        smooth = _without_spikes(late) if len(half) >= LEAST else late  # three show no swing
        return cls(
            first=float(loss[0]),
            last=float(loss[-1]),
            start=max(float(loss[0]), _median(loss[:few])),
            middle=_median(loss[-2 * quarter : -quarter]),
            end=_median(loss[-few:]),
            low=low,
            high=high,
            drift=_drift(smooth),
            half=smooth,
            top=float(np.max(half)),
        )

    @property
    def visible(self) -> float:
        """The least change after middle that counts."""
        least = MOVED * max(abs(self.middle), abs(self.end))
        gain = self.start - self.end
        return min(least, SHARE * gain) if gain > MOVED * abs(self.start) else least

    def is_noise(self, change: float) -> bool:
        """True if a change is no more than the curve's own swings."""
        return change <= TREND * (self.high - self.low) and _swings_by(change, self.half)

    @property
    def trend(self) -> float:
        """The change from middle to end; 0 where it may be chance."""
        change = self.end - self.middle
        steady = self.drift * np.sign(change) > DRIFT * (self.high - self.low)
        told = abs(change) > self.visible and (steady or not self.is_noise(abs(change)))
        return change if told else 0.0

    @property
    def jumped(self) -> bool:
        """True if the second half goes up once, higher than can be missed, and comes down."""
        around = max(self.half[0], self.half[-1], self.middle, self.end)
        least = max(SWING * abs(around), MOVED * abs(self.start))
        return bool(np.max(self.half) - around > least) and not self.swings

    @property
    def swings(self) -> bool:
        """True if the second half goes down and up, again and again, more than can be missed."""
        spread = self.high - self.low
        level = max(abs(self.middle), abs(self.end))
        return spread > SWING * level and _swings_by(spread / 2, self.half)


def verdict(loss: Array, stopped: tuple[int, str] | None, grad_norm: Array | None = None) -> str:
    """The verdict in one word, by the rules above.

    Args:
        loss: (updates,) the losses.
        stopped: None, or (update, why) as in `History.stopped`.
        grad_norm: (updates,) norms of the gradients; without them no run has converged.

    >>> verdict(np.linspace(1.0, 0.5, 100), stopped=None)
    'improving'
    >>> verdict(np.array([1.0, 3.0]), stopped=(2, "diverged"))
    'diverged'
    """
    if stopped and stopped[1] in STOPPED:
        return STOPPED[stopped[1]]
    if len(loss) < ENOUGH:
        return "short"
    with np.errstate(over="ignore", invalid="ignore"):
        levels = Levels.of(loss)
        return _converged(levels, grad_norm) or _moving(levels) or _resting(levels)


def end_level(loss: Array, stopped: tuple[int, str] | None) -> float:
    """The loss at the end of a run, as its sentence gives it.

    That is the level of its last losses; where the run was stopped, or is too short to have
    levels, its last loss.

    Args:
        loss: (updates,) the losses, at least one.
        stopped: None, or (update, why) as in `History.stopped`.

    >>> noisy = np.array([5.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.1])  # a lucky last batch
    >>> end_level(noisy, None), end_level(noisy, (8, "threshold"))
    (3.0, 0.1)
    """
    return float(loss[-1]) if stopped or len(loss) < ENOUGH else _median(loss[-_few(loss) :])


def _converged(levels: Levels, grad_norm: Array | None) -> str:
    gain = min(levels.first, levels.start) - levels.end
    if grad_norm is None or gain <= MOVED * abs(levels.start):
        return ""
    settled = abs(levels.middle - levels.end) <= SETTLED * gain
    return "converged" if settled and _gradient_left(grad_norm) < VANISHED else ""


def _moving(levels: Levels) -> str:
    if levels.trend > 0:
        return "jumped" if levels.jumped else "rising"
    worse = levels.swings and levels.end > levels.first  # thrown up, and not settled since
    if levels.trend < 0 and levels.end <= levels.start and not worse:
        return "improving"
    if levels.swings:
        unstable = levels.high - levels.low > SWING * abs(levels.first)
        return "oscillating" if unstable else "swinging"
    return ""


def _resting(levels: Levels) -> str:
    risen = levels.end - levels.start
    if risen > levels.visible and not levels.is_noise(risen):
        return "risen"
    return "stalled" if abs(levels.start - levels.end) <= MOVED * abs(levels.start) else "plateau"


def _gradient_left(grad_norm: Array) -> float:
    """The gradient's norm at the end, as a share of its norm at the start; infinite ones aside."""
    grad_norm = grad_norm[np.isfinite(grad_norm)]
    if len(grad_norm) < ENOUGH:
        return 1.0
    few = _few(grad_norm)
    start = max(float(grad_norm[0]), _median(grad_norm[:few]))
    return float(np.max(grad_norm[-few:])) / start if start > 0 else 1.0


def _few(values: Array) -> int:
    """The number of first or last values; even, so that a median is between two that alternate."""
    return min(max(6, 2 * (len(values) // 40)), 2 * (len(values) // 4))


def _without_spikes(values: Array) -> Array:
    """The median of each three neighbours."""
    a, b, c = values[:-2], values[1:-1], values[2:]
    median: Array = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return median


def _swings_by(amount: float, values: Array) -> bool:
    """True if they fall, rise and fall, or rise, fall and rise, each time by more than that."""
    return _falls_again(amount, values) or _falls_again(amount, -values)


def _falls_again(amount: float, values: Array) -> bool:
    for _ in range(3):
        fallen = np.maximum.accumulate(values) - values > amount
        if not fallen.any():
            return False
        values = -values[np.argmax(fallen) :]  # a rise is a fall of these
    return True


def _drift(values: Array) -> float:
    """The mean of the later parts less that of the earlier, if a line explains them; else 0."""
    size = len(values) // PARTS
    if size < LEAST:
        return 0.0
    means = values[-size * PARTS :].reshape(PARTS, size).mean(1)
    away, at = means - means.mean(), np.arange(PARTS) - (PARTS - 1) / 2
    largest = np.max(np.abs(away))  # squares of huge numbers overflow, of tiny ones vanish
    if not 0 < largest < np.inf:
        return 0.0
    away = away / largest
    explained = (at @ away) ** 2 / ((at @ at) * (away @ away))
    half = PARTS // 2
    return float(means[half:].mean() - means[:half].mean()) if explained > EXPLAINED else 0.0


def _median(values: Array) -> float:
    return float(np.median(values))


OPENINGS = {
    "converged": "Converged",
    "jumped": "Jumped",
    "rising": "Rising",
    "improving": "Still improving",
    "oscillating": "Oscillating",
    "swinging": "Swinging",
    "risen": "Above its start",
    "stalled": "Stalled",
    "plateau": "On a plateau",
}
BEFORE_THE_FIRST = {
    "diverged": "Diverged at update 0: its loss is not finite.",
    "cancelled": "Cancelled before the first update.",
    "failed": "Failed before the first update was made.",
}
"""Sentences of runs that made no update, by why they stopped."""


def sentence(
    loss: Array, stopped: tuple[int, str] | None, planned: int, grad_norm: Array | None = None
) -> str:
    """The verdict with the figures behind it, in one sentence.

    Args:
        loss: (updates,) the losses.
        stopped: None, or (update, why) as in `History.stopped`.
        planned: the number of updates that the recipe asked for.
        grad_norm: (updates,) norms of the gradients, as for `verdict`.

    >>> sentence(np.linspace(1.0, 0.0, 101), None, 101)
    'Still improving after 101 updates: the loss was 1 at the start, ...
    """
    done = f"{len(loss)} update{'s' * (len(loss) != 1)}"
    if not len(loss):
        return BEFORE_THE_FIRST.get(stopped[1] if stopped else "", "No update was made.")
    moved = f"the loss went from {loss[0]:.4g} to {loss[-1]:.4g}"
    if len(loss) == 1:
        moved = f"the loss was {loss[0]:.4g}"
    if stopped and stopped[1] in ("cancelled", "failed"):
        return f"{stopped[1].capitalize()} after {done} of {planned}: {moved}."
    if stopped is None and len(loss) < planned:
        return f"So far {len(loss)} of {planned} updates: {moved}."
    word = verdict(loss, stopped, grad_norm)
    if word == "diverged":
        assert stopped is not None
        return f"Diverged at update {stopped[0]}: {moved}, then it was no longer finite."
    if word == "stopped":
        return f"Stopped at its threshold after {done} of {planned}: {moved}."
    if word == "short":
        return f"After {done} {moved}."
    return f"{OPENINGS[word]} after {done}: {_figures(word, loss, grad_norm)}."


def early_stop(held_out: Array, metric: str, patience: int, loss: Array, planned: int) -> str:
    """The sentence of a run that its patience has ended.

    Args:
        held_out: (m, 2) rows of (updates done, metric), as in `History`.
        metric: its name.
        patience: the last so many rows were no better than the one before them.
        loss: (updates,) the losses.
        planned: the number of updates that the recipe asked for.

    >>> rows = np.array([[0, 2.0], [5, 0.5], [10, 0.6], [15, 0.7]])
    >>> early_stop(rows, "loss", 2, np.linspace(2.0, 0.1, 15), 100)
    'Stopped early after 15 updates of 100: the held-out loss had not improved for 2 measurements; \
best 0.5 at update 5; the loss went from 2 to 0.1.'
    """
    best = held_out[-1 - patience]
    done = f"{len(loss)} update{'s' * (len(loss) != 1)}"
    times = f"{patience} measurement{'s' * (patience != 1)}"
    return (
        f"Stopped early after {done} of {planned}: the held-out {metric} had not improved for "
        f"{times}; best {metric_value(metric, best[1])} at update {best[0]:.0f}; the loss went "
        f"from {loss[0]:.4g} to {loss[-1]:.4g}."
    )


def metric_value(metric: str, value: float) -> str:
    """A metric's value as it is written: accuracy and error are shares, unless they are above 1.

    >>> metric_value("accuracy", 0.875), metric_value("loss", 0.875), metric_value("accuracy", 95)
    ('87.5%', '0.875', '95')
    """
    share = metric in ("accuracy", "error") and not value > 1
    return f"{value:.1%}" if share else f"{value:.4g}"


def _figures(word: str, loss: Array, grad_norm: Array | None) -> str:
    with np.errstate(over="ignore", invalid="ignore"):
        levels = Levels.of(loss)
        begun = "at the start" if levels.start == levels.first else "over the first updates"
        told = [
            f"the loss was {levels.start:.4g} {begun}, {levels.middle:.4g} in the third "
            f"quarter and {levels.end:.4g} at the end",
            *_evidence(word, levels, grad_norm),
            *_ends(levels),
        ]
    return "; ".join(told)


def _evidence(word: str, levels: Levels, grad_norm: Array | None) -> list[str]:
    if levels.swings and word != "converged":
        bounds = f"it swings between {levels.low:.4g} and {levels.high:.4g} in the second half"
        moved = abs(levels.end - levels.middle) > levels.visible and not levels.trend
        chance = word in ("oscillating", "swinging") and moved
        return [bounds + ", so its change after the third quarter may be chance" * chance]
    if word == "converged" and grad_norm is not None:
        return [f"{100 * _gradient_left(grad_norm):.1g} % of its gradient's norm is left"]
    return ["it may fall again"] if word == "plateau" else []


def _ends(levels: Levels) -> list[str]:
    """A jump, the first and the last loss, where a person would see them far from the levels."""
    told = [f"it jumped to {levels.top:.4g} in the second half"] if levels.jumped else []
    if levels.start - levels.first > SWING * abs(levels.start):
        told.append(f"its first loss was {levels.first:.4g}")
    inside = levels.swings and levels.low <= levels.last <= levels.high
    if abs(levels.last - levels.end) > SWING * abs(levels.end) and not inside:
        told.append(f"its last loss was {levels.last:.4g}")
    return told
