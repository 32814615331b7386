"""The sentences that learners must be shown, as `train` gives them: no lab is asked."""

from __future__ import annotations

import torch

from gradwidgets.core import problems, settings, train

PROBLEM, FIELD = "moons", "scale"
"""The first lab of the lesson, and its first slider."""


def sentences() -> dict[str, str]:
    """What must stand under the lab at each stop of the slider, by the stop's text."""
    torch.set_num_threads(1)
    start, control = problems.get(PROBLEM).recipe, settings.controls()[FIELD]
    ends = f" The start ended at {train(PROBLEM, start).loss[-1]:.4g}."
    said = {}
    for stop in control.stops:
        recipe = start.replace(**{FIELD: stop})
        said[control.text(stop)] = train(PROBLEM, recipe).summary() + ends * (recipe != start)
    return said
