"""The bars under a slider: the outcome at each of its stops, where known."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradwidgets.core import History, verdict

UNSTABLE = {
    "diverged": "diverges",
    "oscillating": "oscillates",
    "rising": "rises",
    "risen": "rises",
}
LOWEST = 0.08
"""Height of the lowest bar, so that it can be seen."""


Bars = list[list[float | str] | None]
"""For each stop None (not known), or [height in 0 to 1, "" or how it is unstable]."""


def outcome_bars(texts: Sequence[str], histories: Sequence[History | None]) -> tuple[Bars, str]:
    """Bars for the final losses, on a logarithmic scale, and the same in words.

    The words say where the loss ends lowest, and where it is unstable.

    Args:
        texts: the stops as they are shown.
        histories: what each leads to, or None.
    """
    ends = [_end(history) for history in histories]
    stable = [loss for loss, unstable in filter(None, ends) if not unstable and loss > 0]
    low, high = math.log(min(stable, default=1.0)), math.log(max(stable, default=1.0))
    bars: Bars = []
    for end in ends:
        if end is None:
            bars.append(None)
        elif end[1]:
            bars.append([1.0, end[1]])
        else:
            share = (math.log(end[0]) - low) / (high - low) if end[0] > 0 and high > low else 0.0
            bars.append([round(LOWEST + (1 - LOWEST) * share, 3), ""])
    return bars, _words(texts, ends)


End = tuple[float, str] | None
"""The final loss, and how the run is unstable if it is."""


def _end(history: History | None) -> End:
    if history is None or not history.updates:
        return None if history is None else (math.inf, "diverges")
    word, end = verdict(history.loss, history.stopped), float(history.loss[-1])
    if word == "rising" and end <= history.loss[0]:
        return end, ""  # it fell, and gave a little back
    return end, UNSTABLE.get(word, "")


def _words(texts: Sequence[str], ends: Sequence[End]) -> str:
    known = [(text, end) for text, end in zip(texts, ends, strict=True) if end]
    if len(known) < 2:
        return ""
    said = []
    stable = [(end[0], text) for text, end in known if not end[1]]
    if stable:
        loss, text = min(stable, key=lambda pair: pair[0])
        said.append(f"the loss ends lowest at {text} ({loss:.3g})")
    for kind in UNSTABLE.values():
        where = [text for text, end in known if end[1] == kind]
        if where:
            at = where[0] if len(where) == 1 else f"{where[0]} to {where[-1]}"
            said.append(f"{kind} at {at}")
    return f"Over its range: {'; '.join(said)}."
