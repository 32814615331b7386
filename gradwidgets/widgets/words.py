"""What a picture says, in words: for the status line, and for those who do not see it."""

from __future__ import annotations

from collections.abc import Sequence

from gradwidgets.core.history import History
from gradwidgets.plots import Shown


def comparison(live: History, baseline: History | None) -> str:
    """The live run's sentence, and where the baseline ended."""
    if baseline is None or baseline is live or not baseline.updates:
        return live.summary()
    if baseline.stopped and baseline.stopped[1] == "diverged":
        return f"{live.summary()} The start diverged."
    return f"{live.summary()} The start ended at {baseline.loss[-1]:.4g}."


def description(runs: Sequence[Shown], panels: Sequence[str]) -> str:
    """The picture in words: what each curve does, in numbers."""
    parts = [f"Plots of {', '.join(panels)}."]
    for run in runs:
        history = run.history
        parts.append(f"{run.label.capitalize()}: {history.summary()}")
        if not history.updates:
            continue
        first, last = history.edited_norm[[0, -1]]
        parts.append(f"Gradient norm from {first:.3g} to {last:.3g}.")
        if len(history.accuracy):
            parts.append(f"Held-out accuracy ends at {history.accuracy[-1, 1]:.1%}.")
    return " ".join(parts)
