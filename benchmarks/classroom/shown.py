"""The sentences that learners must be shown, as `train` gives them: no lab is asked."""

from __future__ import annotations

import re
from functools import cache

import torch

from gradwidgets.core import problems, settings, train

PROBLEM, FIELD = "moons", "scale"
"""The first lab of the lesson, and its first slider."""


@cache
def sentences() -> dict[str, str]:
    """What must stand under the lab at each stop of the slider, by the stop's text."""
    torch.set_num_threads(1)
    start, control = problems.get(PROBLEM).recipe, settings.controls()[FIELD]
    found = re.search(r"and (\S+) at the end", train(PROBLEM, start).summary())
    assert found, "the start's sentence does not tell its end"
    ends, said = f" The start ended at {found[1]}.", {}
    for stop in control.stops:
        recipe = start.replace(**{FIELD: stop})
        said[control.text(stop)] = train(PROBLEM, recipe).summary() + ends * (recipe != start)
    return said
