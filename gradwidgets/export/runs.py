"""Everything that a saved page shows of its runs: curves, words, tables and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradwidgets.core import History, Problem, has_schedule, metric_value
from gradwidgets.export.svg import PanelMarkup
from gradwidgets.plots import GRADIENT, LOSS, LOST, LR, RATIO, StyledRun, describe, held_out_panel
from gradwidgets.script import script_lines

MOST_POINTS = 240
"""A curve of a page has at most about so many points; each stretch keeps its extremes."""
ALL_POINTS = 24_000
"""Points of one curve over all runs: with many runs, each gets fewer."""
ROWS = 11
"""Updates in the table of a run, about; its lowest and highest loss are among them."""
NOTHING = "\N{EN DASH}"
"""Stands where a table has no number."""


def points_each(count: int) -> int:
    """The points that a curve may have among `count` runs, so that a page can be sent by mail."""
    return min(MOST_POINTS, ALL_POINTS // count)


def panels(runs: Sequence[StyledRun], start: Sequence[StyledRun]) -> list[PanelMarkup]:
    """The panels that suit these runs and the one that they start from, if there is one."""
    measured = all(len(run.history.held_out) for run in runs)
    last = held_out_panel(runs[0].history.metric) if measured else RATIO
    most = points_each(len(runs))
    drawn = [run.history for run in (*runs, *start)]
    scheduled = any(has_schedule(h.recipe) or len(h.group_lrs) > 1 for h in drawn)
    rounded = any(len(history.lost) for history in drawn)
    chosen = (LOSS, GRADIENT, *[LR] * scheduled, *[LOST] * rounded, last)
    return [PanelMarkup(panel, [*runs, *start], most) for panel in chosen]


def content(
    run: StyledRun, start: Sequence[StyledRun], drawn: Sequence[PanelMarkup]
) -> dict[str, Any]:
    """A run as the page's program takes it: plain text, SVG and HTML."""
    both = [run, *start]
    return {
        "sentence": run.history.summary(),
        "picture": describe(both, [each.panel.title for each in drawn]),
        "curves": [each.curves(run) + each.labels(both) for each in drawn],
        "rows": table(run.history, start),
    }


def programs(problem: Problem, histories: Sequence[History]) -> tuple[list[str], list[list[int]]]:
    """The lines that occur in any run's PyTorch program, and each program as places in them."""
    places: dict[str, int] = {}
    listed = [
        [places.setdefault(line.text, len(places)) for line in script_lines(problem, h.recipe)]
        for h in histories
    ]
    return list(places), listed


def columns(history: History, start: Sequence[StyledRun]) -> list[str]:
    """The heads of the table's columns."""
    right = [f"held-out {history.metric}"] if len(history.held_out) else []
    losses = ["loss", *("loss of the start" for _ in start)]
    return ["update", *losses, "gradient norm", "after the edits", *right]


def table(history: History, start: Sequence[StyledRun]) -> str:
    """The rows of the table: numbers at some updates, as HTML."""
    losses = [history.loss, *(run.history.loss for run in start)]
    numbers = [*losses, history.grad_norm, history.edited_norm]
    held_out = {int(done): value for done, value in history.held_out}
    rows = []
    for update in _chosen(history):
        inside = update < history.updates
        texts = [
            f"{column[update]:.4g}" if inside and update < len(column) else NOTHING
            for column in numbers
        ]
        if held_out:
            known = update in held_out
            texts.append(metric_value(history.metric, held_out[update]) if known else NOTHING)
        cells = "".join(f"<td>{text}</td>" for text in texts)
        rows.append(f'<tr><th scope="row">{update}</th>{cells}</tr>')
    return "".join(rows)


def _chosen(history: History) -> list[int]:
    """Updates from first to last, evenly, with those where the metric was measured."""
    if not history.updates:
        return []
    spread = np.linspace(0, history.updates - 1, ROWS).round().astype(int)
    measured = history.held_out[::-2, 0].astype(int)  # the last is among them
    extremes = [int(np.argmin(history.loss)), int(np.argmax(history.loss))]
    some = measured if len(measured) else spread
    return sorted({0, history.updates - 1, *extremes, *map(int, some)})
