"""What is closed is gone: comms, figures, tasks, hooks, threads and memory."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn
from torch.nn.modules import module
from torch.optim import optimizer

from gradwidgets import GradLab, Ledger, Meter, Predict, Problem, Recipe, Stepper, Walkthrough
from tests.front_end import send, widgets

FAST = Recipe(optimizer="Adam", updates=20, accumulation_steps=2, scale=2.0)
MODEL = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
DATA = (torch.arange(24.0).view(12, 2) / 24, torch.arange(12) % 2)
OWN = Problem("own", MODEL, DATA, nn.functional.cross_entropy)


def lab() -> GradLab:
    made = GradLab(OWN, recipe=FAST)
    made.controls["scale"].focused = True
    made.controls["scale"].value = 3.2
    made.pin()
    made.seeds()
    made.toggle("code")
    return made


def stepper() -> Stepper:
    made = Stepper(OWN, FAST)
    send(made, {"action": "run", "number": 9})
    return made


def ledger() -> Ledger:
    made = Ledger(OWN, FAST)
    made.update = 3
    return made


def meter() -> Meter:
    made = Meter()
    made.controls["accumulation_steps"].value = 3
    return made


def predict() -> Predict:
    made = Predict("What?", ["a", "b"], lambda: "a")
    made.commit("a")
    return made


def walkthrough() -> Walkthrough:
    made = Walkthrough(lab(), [("One", "One.", {}), ("Two", "Two.", {"lr": 0.5})])
    made.next()
    return made


KINDS: dict[str, Callable[[], Any]] = {
    "lab": lab,
    "stepper": stepper,
    "ledger": ledger,
    "meter": meter,
    "predict": predict,
    "walkthrough": walkthrough,
}


def hooks() -> int:
    """Hooks of all modules and optimizers, and of the model that was handed in."""
    everyone = [value for where in (module, optimizer) for value in vars(where).items()]
    count = sum(len(value) for name, value in everyone if "_global" in name and "hooks" in name)
    return count + sum(
        len(v) for part in MODEL.modules() for n, v in vars(part).items() if n.endswith("_hooks")
    )


def held() -> dict[str, Any]:
    """All that a widget could leave behind."""
    gc.collect()
    return {
        "widgets": len(widgets),
        "figures": plt.get_fignums(),
        "threads": threading.active_count(),
        "hooks": hooks(),
        "tensors": [p.grad for p in MODEL.parameters()],
    }


def used(kind: str) -> weakref.ref[Any]:
    made = KINDS[kind]()
    made._ipython_display_()
    made.close()
    return weakref.ref(made)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_what_is_closed(kind: str) -> None:
    used(kind)
    before = held()
    gone = used(kind)
    assert held() == before
    assert gone() is None


@pytest.mark.parametrize("wait", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_what_is_closed_on_an_event_loop(kind: str, wait: float) -> None:
    """Closed at once, in the middle of its work, and after it."""

    async def scenario() -> None:
        made = KINDS[kind]()
        made._ipython_display_()
        await asyncio.sleep(wait)
        made.close()
        gone.append(weakref.ref(made))
        del made
        await asyncio.sleep(0.4)  # what was to be done later finds nothing to do
        gc.collect()
        assert len(asyncio.all_tasks()) == 1
        left = [each for each in asyncio.get_running_loop()._scheduled if not each.cancelled()]
        assert left == []

    gone: list[weakref.ref[Any]] = []
    used(kind)
    before = held()
    asyncio.run(scenario())
    assert held() == before
    assert gone[0]() is None
