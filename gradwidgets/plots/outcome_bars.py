"""The bars under a slider: the outcome at each of its stops, where known.

All bars of a slider stand on one scale, that of the final losses: the level of the last few, as a
run's sentence gives it. It is logarithmic, since losses of two stops may lie decades apart. It
begins at the lowest final loss, or at a tenth of its top if that is lower, so that a setting that
changes little looks flat; and it ends at the highest loss that a run ends or begins with, so that a
full bar means "no better than untrained".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from gradwidgets.core import History, end_level, verdict

UNSTABLE = {
    "diverged": "diverges",
    "oscillating": "oscillates",
    "rising": "rises",
    "jumped": "rises",
    "risen": "rises",
}
LOWEST = 0.08
"""Height of the lowest bar, so that it can be seen."""
SPAN = 10.0
"""The least factor between the two ends of the scale."""


Bars = list[list[float | str] | None]
"""For each stop None (not known), or [height in 0 to 1, "" or how it is unstable]."""


class OutcomeBars(NamedTuple):
    """Bars, and the same in words; `ends` is "" where fewer than two stops are known.

    >>> OutcomeBars([[0.5, ""], None], "Bar heights: ...", "Over its range: ...").text
    'Bar heights: ... Over its range: ...'
    """

    bars: Bars
    heights: str
    """The scale that they stand on."""
    ends: str
    """Where the loss ends lowest and highest, and where it is unstable."""

    @property
    def text(self) -> str:
        """All the words."""
        return " ".join(filter(None, (self.heights, self.ends)))


def outcome_bars(
    texts: Sequence[str],
    histories: Sequence[History | None],
    over: str = "its range",
    in_order: bool = True,
) -> OutcomeBars:
    """Bars for the final losses, and the same in words.

    Args:
        texts: the stops as they are shown.
        histories: what each leads to, or None.
        over: what the stops are.
        in_order: whether neighbours belong together; if not, unstable ones are only counted.

    >>> from gradwidgets.core import Recipe, train
    >>> histories = [train("bowl", Recipe(lr=lr)) for lr in (0.01, 0.1, 3.0, 10.0)]
    >>> found = outcome_bars(["0.01", "0.1", "3", "10"], histories)
    >>> found.bars[2], found.ends
    ([1.0, 'diverges'], 'Over its range: the loss ends lowest at 0.1 ...; diverges at 3 to 10.')
    """
    return bars_of(texts, [None if h is None else outcome(h) for h in histories], over, in_order)


class Outcome(NamedTuple):
    """The end of a run, and how it is unstable if it is; the loss that it began with.

    >>> from gradwidgets.core import Recipe, train
    >>> outcome(train("bowl", Recipe(lr=3.0)))._replace(end=math.inf)
    Outcome(end=inf, unstable='diverges', begun=29.25)
    """

    end: float
    unstable: str
    begun: float


def bars_of(
    texts: Sequence[str],
    ends: Sequence[Outcome | None],
    over: str = "its range",
    in_order: bool = True,
) -> OutcomeBars:
    """The same as `outcome_bars`, where the histories are no longer there.

    >>> ends = [Outcome(0.1, "", 1.0), Outcome(float("inf"), "diverges", 1.0)]
    >>> bars_of(["small", "large"], ends).bars
    [[0.08, ''], [1.0, 'diverges']]
    """
    known = [end for end in ends if end is not None]
    stable = [end.end for end in known if not end.unstable]
    scale = _scale(stable, [end.begun for end in known if math.isfinite(end.begun)])
    bars: Bars = []
    for end in ends:
        if end is None:
            bars.append(None)
        elif end.unstable:
            bars.append([1.0, end.unstable])
        else:
            bars.append([round(LOWEST + (1 - LOWEST) * scale.share(end.end), 3), ""])
    several = sum(end is not None for end in ends) > 1
    said = _words(texts, ends, over, in_order) if several else ""
    return OutcomeBars(bars, str(scale) if stable else "", said)


@dataclass(frozen=True)
class Scale:
    """The losses that the lowest and the highest bar stand for; linear if one is not positive."""

    low: float
    high: float
    log: bool

    def share(self, loss: float) -> float:
        """The share of the scale below a loss."""
        low, high, loss = self.low, self.high, min(max(loss, self.low), self.high)
        if self.log:
            return (math.log(loss) - math.log(low)) / (math.log(high) - math.log(low))
        return (loss - low) / (high - low) if high > low else 0.0

    def __str__(self) -> str:
        kind = "log" if self.log else "linear"
        return f"Bar heights: final loss, from {self.low:.3g} to {self.high:.3g}, {kind} scale."


def _scale(stable: Sequence[float], begun: Sequence[float]) -> Scale:
    """The scale for these final losses, and the losses that the runs begin with."""
    low, high = min(stable, default=1.0), max([*stable, *begun], default=1.0)
    if low > 0:
        return Scale(min(low, high / SPAN), high, log=True)
    return Scale(min(low, high - abs(high) * (1 - 1 / SPAN)), high, log=False)


def outcome(history: History) -> Outcome:
    """The end of a run, as `OutcomeBars` draws it.

    >>> from gradwidgets.core import Recipe, train
    >>> outcome(train("bowl", Recipe(lr=3.0))).unstable
    'diverges'
    """
    if not history.updates:
        return Outcome(math.inf, "diverges", math.inf)
    begun = float(history.loss[0])
    word = verdict(history.loss, history.stopped, history.grad_norm)
    end = end_level(history.loss, history.stopped)
    if word in ("rising", "jumped") and end <= begun:
        return Outcome(end, "", begun)  # it fell, and gave a little back
    return Outcome(end, UNSTABLE.get(word, ""), begun)


def _words(texts: Sequence[str], ends: Sequence[Outcome | None], over: str, in_order: bool) -> str:
    said = []
    stable = [
        (end.end, text) for text, end in zip(texts, ends, strict=True) if end and not end.unstable
    ]
    if stable:
        (low, best), (high, worst) = (find(stable, key=lambda pair: pair[0]) for find in (min, max))
        if low < high:
            said.append(
                f"the loss ends lowest at {best} ({low:.4g}), highest at {worst} ({high:.4g})"
            )
        else:
            where = "wherever it is stable" if len(stable) > 1 else f"at {best}"
            said.append(f"the loss ends at {low:.4g} {where}")
    for kind in dict.fromkeys(UNSTABLE.values()):
        holds = [bool(end and end.unstable == kind) for end in ends]
        if any(holds):
            where = f"at {_ranges(texts, holds)}" if in_order else f"in {sum(holds)} of them"
            said.append(f"{kind} {where}")
    if unknown := sum(end is None for end in ends):
        said.append(f"{unknown} of {len(ends)} stops are not known")
    return f"Over {over}: {'; '.join(said)}."


def _ranges(texts: Sequence[str], holds: Sequence[bool]) -> str:
    """The stops where something holds; neighbours are joined to "0.1 to 0.4"."""
    parts = []
    for held, places in groupby(range(len(texts)), key=holds.__getitem__):
        if held:
            first, *others = places
            end = f" to {texts[others[-1]]}" if others else ""
            parts.append(texts[first] + end)
    return ", ".join(parts)
