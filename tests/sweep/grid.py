"""All stops of the sliders on every problem with five optimizers: `sweep` against `train`.

`make sweeps` runs it whole and prints one line for each problem; `make test` runs a sample.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from gradwidgets import Recipe, problems, sweep, train
from gradwidgets.core import settings
from gradwidgets.sweep import eligibility
from tests.sweep.same_bits import difference

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {},
    "momentum": {"optimizer": "SGD", "options": {"momentum": 0.9}},
    "Adam": {},
    "AdamW": {},
    "RMSprop": {},
}
FIELDS = ("scale", "lr", "l1", "l2", "mask", "max_norm", "seed", "momentum")
MASK_KINDS = ("first", "random", "unit")
ADAPTIVE_LR = 0.01
TOGETHER = [name for name in problems.names() if name != "chars"]
"""The built-in problems whose replicas are trained in one run."""


@dataclass
class Count:
    """What one problem has shown.

    Args:
        runs: the runs that were trained in a sweep and alone.
        differing: those of which a bit differs, each with what differs first.
        one_by_one: the reasons why a sweep trained its values one by one.
    """

    runs: int = 0
    differing: list[str] = field(default_factory=list)
    one_by_one: list[str] = field(default_factory=list)


def check(problem: str, updates: int, every: int = 1) -> Count:
    """Train all stops of every setting with every optimizer; or every n-th stop."""
    count = Count()
    for start, name in _cases(problem, updates):
        stops = settings.controls()[name].stops[::every]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            histories = sweep(problem, start, name, stops)
        count.one_by_one += [f"{start!r}, {name}: {each.message}" for each in caught]
        for stop, history in zip(stops, histories, strict=True):
            count.runs += 1
            recipe = settings.with_(start, **{name: stop})
            if what := difference(history, train(problem, recipe)):
                count.differing.append(f"{recipe!r}: {what}")
    return count


def _cases(problem: str, updates: int) -> Iterator[tuple[Recipe, str]]:
    """Recipes, and a setting that is changed in each."""
    own = problems.get(problem).recipe
    for label, changes in OPTIMIZERS.items():
        optimizer = changes.get("optimizer", label)
        lr = own.lr if optimizer == own.optimizer else 0.1 if optimizer == "SGD" else ADAPTIVE_LR
        start = own.replace(**{"optimizer": optimizer, **changes}, lr=lr, updates=updates)
        for name in FIELDS:
            if settings.applies(start, name):
                for kind in MASK_KINDS if name == "mask" else MASK_KINDS[:1]:
                    yield start.replace(mask_kind=kind), name


def main(updates: int) -> int:
    """Print a line for each problem; return how many runs differ or were not trained together."""
    torch.set_num_threads(1)
    eligibility.QUICK = 0.0  # short as they are, the runs are to be trained together
    wrong = 0
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {updates} updates"
    )
    for problem in TOGETHER:
        begun = time.perf_counter()
        count = check(problem, updates)
        seconds = time.perf_counter() - begun
        print(
            f"{problem}: {count.runs} runs, {len(count.differing)} differ, "
            f"{len(count.one_by_one)} sweeps one by one ({seconds:.0f} s)",
            *count.differing[:5],
            *count.one_by_one[:5],
            sep="\n    ",
            flush=True,
        )
        wrong += len(count.differing) + len(count.one_by_one)
    return wrong


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
