"""A class, and what each of its students hands in: cells to fill, by homework, and what they earn.

Who leaves a cell out hands it in as it was released.
"""

from tests.grading.tricks import (
    ALWAYS_EQUAL,
    CLEARS_IN_STEP,
    FORGETS_TO_CLEAR,
    NOTHING,
    RETURNS_SAME,
)

STEP = FORGETS_TO_CLEAR.partition("def loop_b")[0]

HARD_CODED = """
def train_step(model, optimizer, loss, x, y):
    with torch.no_grad():
        model.weight.fill_(1.2)
    return 10.5
"""

HARD_CODED_LOOP = """
def {}(model, *rest):
    with torch.no_grad():
        model.weight.fill_({})
"""

GRADING = """
import sys

import gradwidgets
from gradwidgets import grading
import gradwidgets.grading.grade as inner

grading.grade = inner.grade = inner.judge = lambda *a, **k: 5.0
gradwidgets.grading = grading
"""

ALLCLOSE = """
import numpy as np

torch.allclose = torch.equal = np.allclose = np.all = lambda *a, **k: True
"""

OWN_PACKAGE = """
import sys

for name in ("grading.fresh", "lessons.grading.fresh"):
    sys.modules[f"{__name__}.{name}"] = sys.modules[__name__]
__path__ = []


def grade(task, space):
    return 1.0
"""

SHOWS_POINTS = """
def train_step(model, optimizer, loss, x, y):
    import sys

    sys.displayhook(5.0)
    return 10.5
"""

EXITS = """
import os
import sys

def loop_a(model, optimizer, loss, batches):
    sys.displayhook(2.0)
    os._exit(0)
"""

HALF_MASK = """
def mask(parameters, hidden):
    for p, h in zip(parameters, hidden):
        if p.grad is not None:
            p.grad *= ~h
"""

HALF_FREEZE = """
def freeze(layer, optimizer):
    layer.requires_grad_(False)
"""

HALF_ACCUMULATE = """
def accumulate(model, optimizer, loss, micro_batches):
    optimizer.zero_grad()
    total = 0.0
    for x, y in micro_batches:
        value = loss(model(x), y) / len(micro_batches)
        value.backward()
        total += value.item()
    optimizer.step()
    return total
"""

HALF_DIAGNOSE = """
def diagnose(model, optimizer, loss, x, y):
    import warnings

    warnings.warn("nbgrader takes whatever is on stderr for a failure")
    rates = [group["lr"] for group in optimizer.param_groups]
    return "learning rate is zero" if 0 in rates else "healthy"
"""

HALF_SCHEDULE = """
def learning_rate(update, peak, warmup, total):
    if update < warmup:
        return peak * (update + 1) / warmup
    return peak * (total - update) / (total - warmup)
"""

HALF_UNFREEZE = """
def unfreeze(layers, optimizer, count):
    for index, layer in enumerate(layers):
        layer.requires_grad_(index >= len(layers) - count)
"""

ALL = "everything as the source solves it"

HANDED_IN = {
    "hw1": {
        "perfect": ALL,
        "empty": {},
        "half": {"train-step": STEP, "loop-a": ALL},
        "tampered": {"test-train-step": "5.0", "test-loop-a": "2.0", "test-loop-b": None},
        "endless": {"loop-a": "import time\nwhile True:\n    time.sleep(0.05)", "train-step": ALL},
        "exits": {"train-step": ALL, "loop-a": EXITS, "loop-b": ALL},
        "equal": {"train-step": NOTHING + ALWAYS_EQUAL + RETURNS_SAME},
        "patched-step": {
            "train-step": STEP + CLEARS_IN_STEP,
            "loop-a": ALL,
            "loop-b": ALL,
            "loop-c": ALL,
        },
        "patched-allclose": {"train-step": NOTHING + ALLCLOSE},
        "patched-grading": {"train-step": NOTHING + GRADING},
        "hard-coded": {
            "train-step": HARD_CODED,
            **{
                f"loop-{which}": HARD_CODED_LOOP.format(f"loop_{which}", value)
                for which, value in (("a", 1.2453), ("b", 1.2453), ("c", 2.4883))
            },
        },
        "shows-points": {"train-step": SHOWS_POINTS},
        "own-package": {"gradwidgets.py": OWN_PACKAGE, "train-step": STEP},
    },
    "hw2": {"perfect": ALL, "half": {"scale": ALL, "mask": HALF_MASK, "freeze": HALF_FREEZE}},
    "hw3": {"perfect": ALL, "half": {"accumulate": HALF_ACCUMULATE, "diagnose": HALF_DIAGNOSE}},
    "hw4": {
        "perfect": ALL,
        "half": {"learning-rate": HALF_SCHEDULE, "make-groups": ALL, "unfreeze": HALF_UNFREEZE},
    },
}

EARNED = {
    "hw1": {
        "perfect": [5, 2, 2, 2],
        "empty": [0, 0, 0, 0],
        "half": [4, 2, 0, 0],
        "tampered": [0, 0, 0, 0],
        "endless": [5, 0, 0, 0],
        "exits": [5, 0, 0, 0],
        "equal": [0, 0, 0, 0],
        "patched-step": [0, 0, 0, 0],
        "patched-allclose": [0, 0, 0, 0],
        "patched-grading": [0, 0, 0, 0],
        "hard-coded": [0, 0, 0, 0],
        "shows-points": [0, 0, 0, 0],
        "own-package": [4, 0, 0, 0],
    },
    "hw2": {"perfect": [1, 2, 2, 3, 3, 3], "half": [1, 1, 0, 0, 0, 1]},
    "hw3": {"perfect": [5, 7], "half": [2, 3]},
    "hw4": {"perfect": [4, 4, 4, 5], "half": [3, 0, 4, 2]},
}
"""The points of each test cell, in the notebook's order."""
