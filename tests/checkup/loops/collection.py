"""What a case is, and how the cases are registered and collected.

A case is a function that builds a model and an optimizer and returns them with a function that
trains. `no_fault` registers a loop that nothing is wrong with; `fault` a builder of two loops, one
with a fault and one (`repaired`) without.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from gradwidgets.checkup import Report, checkup

PACKAGE = __name__.removesuffix("collection")


class Written(Enum):
    """When a loop was written. Only the sets written later say how the rules do on unseen loops."""

    WITH_RULES = "while the rules were written"
    FIRST = "first set after the rules: they had passed all loops written with them"
    SECOND = "second set after the rules: they had passed the first set, too"
    THIRD = "third set after the rules, chosen because they might fail on it"
    FOURTH = "fourth set after the rules: all repaired twins, and what was found with them"
    FIFTH = "fifth set after the first rules, written together with the rules that judge it"
    SIXTH = "sixth set after the rules, written without a look at them, and what it brought up"


WITH_RULES, FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH = Written


class Loop(NamedTuple):
    """What is handed to `checkup`, and the loop that it watches."""

    model: nn.Module | Sequence[nn.Module]
    optimizer: Any
    train: Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A loop and what a checkup must say about it."""

    name: str
    build: Callable[[], Loop]
    source: str
    """Where it was reported or recommended."""
    written: Written
    file: str
    """The module below `loops` that holds it, such as "order.no_step"."""
    codes: tuple[str, ...] = ()
    """One of these must be found; the first is the fault's own code. None: the loop is healthy."""
    twin: Case | None = None
    """The same loop with its fault repaired."""
    single_precision: str = ""
    """Why it shows its symptom in single precision only, if it does."""
    false_alarm: str = ""
    """Why a checkup warns although nothing is wrong, as long as it does."""

    def loop(self) -> Loop:
        """The loop, built from a fixed seed."""
        torch.manual_seed(0)
        return self.build()

    def run(self) -> Report:
        """The report on the loop. If it is broken, an exception may be part of the symptom."""
        return watched(self.loop(), RuntimeError if self.codes else ())


def watched(loop: Loop, suppressed: type[Exception] | tuple[()] = ()) -> Report:
    """The report of a checkup around the loop, as a person would write it."""
    with contextlib.suppress(suppressed), checkup(loop.model, loop.optimizer) as report:
        loop.train()
    return report


BETWEEN_PROCESSES = {"ranks-differ"}
"""Codes that need several processes: `tests/checkup/two_processes.py` has their loops."""

_cases: dict[str, Case] = {}


def _register(case: Case) -> None:
    held = _cases.setdefault(case.name, case)
    if held is not case:
        raise ValueError(f"{held.file} and {case.file} both hold {case.name}")


def fault(
    *codes: str, source: str, written: Written, single_precision: str = ""
) -> Callable[[Callable[[bool], Loop]], Callable[[bool], Loop]]:
    """Register a broken loop, the code (or equivalent codes) of its fault, and its twin."""

    def register(build: Callable[[bool], Loop]) -> Callable[[bool], Loop]:
        name, file = build.__name__, build.__module__.removeprefix(PACKAGE)
        twin = Case(name, partial(build, repaired=True), source, FOURTH, file)
        broken = partial(build, repaired=False)
        _register(Case(name, broken, source, written, file, codes, twin, single_precision))
        return build

    return register


def no_fault(
    *, source: str, written: Written, single_precision: str = "", false_alarm: str = ""
) -> Callable[[Callable[[], Loop]], Callable[[], Loop]]:
    """Register a loop that nothing is wrong with."""

    def register(build: Callable[[], Loop]) -> Callable[[], Loop]:
        name, file = build.__name__, build.__module__.removeprefix(PACKAGE)
        why = {"single_precision": single_precision, "false_alarm": false_alarm}
        _register(Case(name, build, source, written, file, **why))
        return build

    return register


class Collection(NamedTuple):
    """Every loop."""

    broken: list[Case]
    healthy: list[Case]


def collect() -> Collection:
    """Every loop of the packages below this one, in order of files and names."""
    for module in pkgutil.walk_packages([str(Path(__file__).parent)], PACKAGE):
        importlib.import_module(module.name)
    cases = sorted(_cases.values(), key=lambda case: (case.file, case.name))
    return Collection([c for c in cases if c.codes], [c for c in cases if not c.codes])
