"""`scheduler.step()` is a line like the others, and what it does to the learning rate is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from gradwidgets.core import Recipe, train
from gradwidgets.stepper import Stepper
from gradwidgets.stepper.engine import StepperEngine
from tests.stepper.plain_execution import index_of, state_of
from tests.stepper.test_exactness import PLATEAU

RECIPE = Recipe(schedule="linear", updates=10)
WARNING = "Detected call of `lr_scheduler.step()` before `optimizer.step()`"


def rates(steps: list[str]) -> list[float]:
    """The learning rate after each of these calls, made by hand."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler = lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=10)
    after = []
    for step in steps:
        {"optimizer": optimizer, "scheduler": scheduler}[step].step()
        after.append(optimizer.param_groups[0]["lr"])
    return after


def lr_at_the_end_of_updates(engine: StepperEngine, updates: int) -> list[float]:
    return [engine.finish().variables["lr"] for _ in range(updates)]


def test_the_line_says_what_it_changed_the_rate_from_and_to() -> None:
    engine = StepperEngine("line", RECIPE)
    for _ in range(index_of(engine, "scheduler")):
        assert engine.next().lr_before == {}
    shot = engine.next()
    assert shot.changed == {("lr", "variable")}
    assert (shot.lr_before, shot.variables["lr"]) == ({"lr": 0.1}, rates(["scheduler"])[0])
    stepper = Stepper("line", RECIPE)
    for _ in range(index_of(engine, "scheduler") + 1):
        stepper.act("next")
    assert stepper.page["sentence"] == "`scheduler.step()` changed lr from 0.1 to 0.09."


def test_without_a_schedule_no_rate_is_shown() -> None:
    assert "lr" not in StepperEngine("line").finish().variables


def test_doubled_the_schedule_runs_ahead() -> None:
    engine = StepperEngine("line", RECIPE)
    line = index_of(engine, "scheduler")
    engine.repeat(line)
    for _ in range(line + 1):
        assert engine.next().remark is None
    remark = engine.next().remark
    assert remark is not None
    assert "ahead of the updates" in remark
    engine.restart()
    expected = rates(["optimizer", "scheduler", "scheduler"] * 3)[2::3]
    assert lr_at_the_end_of_updates(engine, 3) == expected


def test_switched_off_the_rate_stays() -> None:
    engine = StepperEngine("line", RECIPE)
    engine.switch(index_of(engine, "scheduler"))
    assert lr_at_the_end_of_updates(engine, 3) == [0.1] * 3
    constant = train("line", RECIPE.replace(schedule="constant", updates=3))
    assert engine.workspace.names["losses"] == constant.loss.tolist()


def test_before_the_optimizer_pytorch_warns_and_the_first_rate_is_skipped() -> None:
    engine = StepperEngine("line", RECIPE)
    line = index_of(engine, "scheduler")
    engine.move(line, -1)
    for _ in range(line - 1):
        assert engine.next().warned == ()
    shot = engine.next()
    assert shot.remark is not None
    assert "optimizer.step() comes later" in shot.remark
    [(at, text)] = shot.warned
    assert at == line - 1
    assert text.startswith(WARNING)
    before = np.array([p.value.values.item() for p in shot.parameters])
    gradients = np.array([p.grad.values.item() for p in shot.parameters])
    after = [p.value.values.item() for p in engine.next().parameters]
    np.testing.assert_allclose(after, before - rates(["scheduler"])[0] * gradients, rtol=1e-6)


def test_the_warning_is_there_again_after_going_back_and_only_in_the_first_update() -> None:
    stepper = Stepper("line", RECIPE)
    line = index_of(stepper.engine, "scheduler")
    stepper.act("move", line, -1)
    for _ in range(2):
        stepper.act("finish")
        assert stepper.page["sentence"].count(WARNING) == 1
        stepper.act("restart")
        assert WARNING not in stepper.page["sentence"]
    stepper.act("finish")
    stepper.act("finish")
    assert WARNING not in stepper.page["sentence"]


def test_in_the_right_order_nothing_is_warned_of() -> None:
    engine = StepperEngine("moons", Recipe(schedule="cosine", warmup_steps=2, updates=6))
    assert [engine.finish().warned for _ in range(6)] == [()] * 6


def test_a_schedule_that_is_stepped_beyond_its_end_fails_in_its_line() -> None:
    options = {"max_lr": 0.1, "total_steps": 2}
    engine = StepperEngine("line", Recipe(schedule="OneCycleLR", schedule_options=options))
    shot = engine.run(9)
    assert shot.failure is not None
    assert "Tried to step 3 times" in shot.failure.message
    assert shot.index == index_of(engine, "scheduler")


@pytest.mark.parametrize(
    "recipe",
    [
        PLATEAU,
        Recipe(
            "Adam",
            schedule="OneCycleLR",
            schedule_options={"max_lr": 0.1, "total_steps": 20},
            updates=20,
        ),
        Recipe(schedule="MultiStepLR", schedule_options={"milestones": (2, 5)}, warmup_steps=3),
        Recipe(schedule="CosineAnnealingWarmRestarts", schedule_options={"T_0": 2, "T_mult": 2}),
        Recipe(schedule="LambdaLR", schedule_options={"lr_lambda": lambda n: 1 / (1 + n)}),
    ],
    ids=lambda recipe: recipe.schedule,
)
def test_going_back_puts_every_kind_of_scheduler_back(recipe: Recipe) -> None:
    engine = StepperEngine("digits", recipe)
    states: list[Any] = []
    for _ in range(12):
        engine.finish()
        states.append(state_of(engine))
    engine.previous()
    while engine.snapshot.update != 5 or engine.snapshot.executed is None:
        engine.previous()
    for state in states[5:]:
        assert state_of(engine) == state
        engine.finish()
    assert states[0]["scheduler"] != states[-1]["scheduler"]
