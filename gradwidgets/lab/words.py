"""What a picture says, in words: for the status line, and for those who do not see it."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Sequence

import numpy as np

from gradwidgets.core import History, Problem, Recipe, problems
from gradwidgets.plots import RunStyle


def comparison(live: History, baseline: History | None) -> str:
    """The live run's sentence, and where the baseline ended."""
    if baseline is None or baseline is live or not baseline.updates:
        return live.summary()
    if baseline.stopped and baseline.stopped[1] == "diverged":
        return f"{live.summary()} The start diverged."
    return f"{live.summary()} The start ended at {baseline.loss[-1]:.4g}."


def over_seeds(histories: Sequence[History]) -> str:
    """Where the loss ends under several seeds: the median, and the middle half."""
    if not histories:
        return ""
    ends = [h.loss[-1] if h.updates and not _diverged(h) else math.inf for h in histories]
    low, median, high = np.quantile(ends, (0.25, 0.5, 0.75), method="nearest")
    count = sum(map(_diverged, histories))
    said = f"Over {len(ends)} seeds it ends at {median:.4g} (middle half {low:.4g} to {high:.4g})"
    return f"{said}; {count} of them diverged." if count else f"{said}."


def _diverged(history: History) -> bool:
    return history.stopped is not None and history.stopped[1] == "diverged"


def description(runs: Sequence[RunStyle], panels: Sequence[str]) -> str:
    """The picture in words: what each curve does, in numbers."""
    parts = [f"Plots of {', '.join(panels)}."]
    for run in runs:
        history = run.history
        parts.append(f"{run.label.capitalize()}: {history.summary()}")
        if run.seeds:
            parts.append(over_seeds(run.seeds))
        if not history.updates:
            continue
        first, last = history.edited_norm[[0, -1]]
        parts.append(f"Gradient norm from {first:.3g} to {last:.3g}.")
        if len(history.accuracy):
            parts.append(f"Held-out accuracy ends at {history.accuracy[-1, 1]:.1%}.")
    return " ".join(parts)


def traced(error: Exception) -> str:
    """The traceback; a whole room may read it, so the home folder in its paths is `~`."""
    text = "".join(traceback.format_exception(error))
    return text.replace(os.path.expanduser("~") + os.sep, "~" + os.sep)


def lab_line(
    problem: Problem, recipe: Recipe, show: tuple[str, ...], usual: tuple[str, ...]
) -> str:
    """One line of Python that gives a lab; a problem of the learner's own is called `problem`."""
    built_in = problem.name in problems.names() and problems.get(problem.name) is problem
    name = repr(problem.name) if built_in else "problem"
    controls = "" if show == usual else f", show={show!r}"
    return f"GradLab({name}{controls}, recipe={recipe!r})"
