"""The stepper walks through every precision as `train` runs it, and back."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradwidgets.core import Recipe, train
from gradwidgets.core.recipe import DTYPES
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.stepper.program import source
from tests.stepper.plain_execution import index_of, state_of

CASES = {
    **{dtype: Recipe(dtype=dtype, max_norm=1.0) for dtype in DTYPES},
    "master copy": Recipe(dtype="bfloat16", rounding="master copy", options={"momentum": 0.9}),
    "stochastic": Recipe(dtype="float16", rounding="stochastic", accumulation_steps=2, mask=0.5),
    "Adam": Recipe(optimizer="Adam", lr=0.01, dtype="bfloat16", rounding="stochastic"),
    "scaled chunks": Recipe(dtype="float16 autocast", accumulation_steps=3, batch_size=20),
}


def whole(engine: StepperEngine) -> Any:
    """All that can differ: the state, the copy that is stepped, and the scaler."""
    precision = engine.workspace.precision
    copies = [p.detach().double().tolist() for p in precision.stepped.parameters()]
    scaler = precision.scaler.state_dict() if precision.scaler else None
    return state_of(engine), copies, scaler, engine.snapshot.changed


@pytest.mark.parametrize("name", CASES)
def test_losses_are_those_of_train(name: str) -> None:
    recipe = CASES[name].replace(updates=6)
    engine = StepperEngine("bowl", recipe)
    assert engine.run(6).failure is None
    assert engine.workspace.names["losses"] == train("bowl", recipe).loss.tolist()


@pytest.mark.parametrize("name", CASES)
def test_back_and_forward_again_is_bit_identical(name: str) -> None:
    engine = StepperEngine("bowl", CASES[name].replace(updates=5))
    there = [whole(engine)]
    while len(there) < 25 and not engine.snapshot.ended:
        assert engine.next().failure is None
        there.append(whole(engine))
    for one in reversed(there[:-1]):
        engine.previous()
        assert whole(engine) == one
    for one in there[1:]:
        engine.next()
        assert whole(engine) == one


def test_a_scaler_that_is_never_updated_fails_as_pytorch_says_and_comes_back() -> None:
    engine = StepperEngine("line", Recipe(dtype="float16 autocast"))
    engine.switch(index_of(engine, "scaler.update"))
    engine.finish()
    shot = engine.finish()
    assert shot.failure is not None
    assert "called after step()" in shot.failure.message
    engine.restart()
    engine.reset()
    assert engine.run(3).failure is None
    assert engine.workspace.names["losses"] == train("line", engine.recipe).loss.tolist()[:3]


def test_the_copy_has_a_column_and_its_step_is_a_move() -> None:
    engine = StepperEngine("bowl", Recipe(dtype="bfloat16", rounding="master copy", lr=1e-4))
    while "optimizer.step" not in engine.statements[engine.snapshot.index].text:
        engine.next()
    shot = engine.next()
    assert {part for _, part in shot.changed} == {"float32 copy"}
    assert shot.remark is None
    assert set(shot.parameters[0].state) == {"float32 copy"}


def test_a_skipped_step_is_said_to_be_skipped() -> None:
    engine = StepperEngine("bowl", Recipe(dtype="float16 autocast"))
    while engine.snapshot.executed is None or (
        "scaler.step" not in engine.statements[engine.snapshot.executed].text
    ):
        engine.next()
    assert engine.snapshot.remark == "The scaler skipped the step: a gradient is not finite."


def test_the_lines_are_those_of_a_loop_in_that_precision() -> None:
    text = source(StepperEngine("moons", Recipe(dtype="float16 autocast")).statements)
    assert text.splitlines()[:6] == [
        "optimizer.zero_grad()",
        'with torch.autocast("cpu", dtype=torch.float16):',
        "    loss = F.cross_entropy(model(x), y)",
        "scaler.scale(loss).backward()",
        "mean = loss.item()",
        "if not math.isfinite(mean):",
    ]
    plain = source(StepperEngine("moons", Recipe()).statements)
    assert not {"autocast", "scaler", "bfloat16"} & set(plain.replace(".", " ").split())
    assert torch.is_autocast_enabled("cpu") is False
