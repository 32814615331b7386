"""What changes on a saved page when a dial moves: curves, words, table and program of each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwidgets.core import History, Problem
from gradwidgets.export.svg import Frame, axes, curves, frame_of, names
from gradwidgets.export.words import description, table
from gradwidgets.plots import ACCURACY, GRADIENT, LOSS, RATIO, LinePanel, RunStyle
from gradwidgets.script import script_lines

MOST_POINTS = 240
"""A curve of a page has at most about so many points; each stretch keeps its extremes."""
ALL_POINTS = 24_000
"""Points of one curve over all runs: with many runs, each gets fewer."""


@dataclass(frozen=True)
class View:
    """A panel, its frame, and what it shows whatever the run, as SVG."""

    panel: LinePanel
    frame: Frame
    scenery: str


def views(histories: Sequence[History], baseline: History | None) -> list[View]:
    """The panels that suit these runs."""
    last = ACCURACY if all(len(history.accuracy) for history in histories) else RATIO
    start, most = _start(baseline), points_each(histories)
    found = []
    for panel in (LOSS, GRADIENT, last):
        runs = [*(RunStyle(history, "now") for history in histories), *start]
        frame = frame_of(panel, runs, most)
        fixed = "".join(curves(panel, frame, run) for run in start)
        found.append(View(panel, frame, axes(panel, frame) + fixed))
    return found


def points_each(histories: Sequence[History]) -> int:
    """How many points a curve may have, so that the page stays small enough to send."""
    return min(MOST_POINTS, ALL_POINTS // len(histories))


def described(
    histories: Sequence[History], baseline: History | None, seen: Sequence[View]
) -> list[dict[str, Any]]:
    """Each run as the page's program takes it: plain text, SVG and HTML."""
    return [_described(RunStyle(history, "now"), baseline, seen) for history in histories]


def _described(run: RunStyle, baseline: History | None, seen: Sequence[View]) -> dict[str, Any]:
    history, both = run.history, [run, *_start(baseline)]
    return {
        "sentence": history.summary(),
        "picture": description([view.panel.title for view in seen], history, baseline),
        "curves": [
            curves(view.panel, view.frame, run) + names(view.panel, view.frame, both)
            for view in seen
        ],
        "rows": table(history, baseline),
    }


def programs(problem: Problem, histories: Sequence[History]) -> tuple[list[str], list[list[int]]]:
    """The lines that occur in any run's PyTorch program, and each program as places in them."""
    places: dict[str, int] = {}
    listed = [
        [places.setdefault(line.text, len(places)) for line in script_lines(problem, h.recipe)]
        for h in histories
    ]
    return list(places), listed


def ends(histories: Sequence[History], loss: View) -> list[int]:
    """Each run's last loss from the lowest (0) to the highest (100); -1 where it diverged."""
    last = np.array([history.loss[-1] if history.updates else np.nan for history in histories])
    finite = np.isfinite(last) & [not RunStyle(history, "").diverged for history in histories]
    down = loss.frame.down(last)
    placed = down[finite & np.isfinite(down)]
    low, high = (placed.max(), placed.min()) if len(placed) else (1.0, 0.0)
    share = np.nan_to_num((down - low) / ((high - low) or 1.0))  # a loss of zero is the lowest
    return [round(100 * s) if ok else -1 for s, ok in zip(share.tolist(), finite, strict=True)]


def _start(baseline: History | None) -> list[RunStyle]:
    return [RunStyle(baseline, "start", "baseline")] if baseline is not None else []
