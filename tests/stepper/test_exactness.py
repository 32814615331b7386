"""Every state is, to the last bit, that of plain `exec` of the same lines from the very start."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets.core import Problem, Recipe, train
from gradwidgets.stepper import workspace
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.stepper.program import Program, source
from gradwidgets.stepper.snapshot import Snapshot
from tests.examples import double_problem, doubles
from tests.stepper.odd_models import BAGS, CASES, COUPLED, RECIPES, coupled_model
from tests.stepper.plain_execution import assert_direct, bits, indented, index_of, state_of

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")


def act_at_random(engine: StepperEngine, draw: random.Random) -> None:
    index = draw.randrange(len(engine.statements))
    weights = {"next": 30, "previous": 16, "finish": 6, "run": 4, "advance": 4, "restart": 1}
    weights |= {"switch": 8, "move": 12, "repeat": 2, "reset": 2}
    kind = draw.choices(list(weights), list(weights.values()))[0]
    arguments = {"run": (draw.randrange(1, 4),), "switch": (index,), "repeat": (index,)}
    arguments |= {"move": (index, draw.choice((-1, 1))), "advance": (3, 0.0)}
    getattr(engine, kind)(*arguments.get(kind, ()))
    engine.advance(0)  # ends what `advance` has left; does nothing otherwise
    try:
        compile("for _ in (0,):\n" + indented(source(engine.statements)), "whole", "exec")
    except SyntaxError:  # `return` outside of its function: Python refuses the whole text
        engine.reset()


@pytest.mark.parametrize("seed", range(3 * len(CASES)))
def test_random_actions_end_where_plain_execution_ends(seed: int) -> None:
    draw = random.Random(seed)
    problem, recipe = list(CASES.values())[seed % len(CASES)]
    engine = StepperEngine(problem, recipe.replace(updates=12, seed=seed))
    past: list[Program] = []
    for number in range(20):
        before = engine.statements
        act_at_random(engine, draw)
        past = past[: engine.snapshot.update]
        past += [before] * (engine.snapshot.update - len(past))
        if number % 10 == 9:
            assert_direct(engine, past)


def place_of(shot: Snapshot) -> Any:
    return shot.update, shot.index, shot.micro_batch, shot.executed, shot.changed


@pytest.mark.parametrize("name", CASES)
def test_back_and_forward_again_is_bit_identical(name: str) -> None:
    problem, recipe = CASES[name]
    engine = StepperEngine(problem, recipe.replace(updates=5, stop_below=None))
    there = [(place_of(engine.snapshot), state_of(engine))]
    while len(there) < 26 and not engine.snapshot.ended:
        shot = engine.next()
        assert shot.failure is None
        there.append((place_of(shot), state_of(engine)))
    for one in reversed(there[:-1]):
        assert (place_of(engine.previous()), state_of(engine)) == one
    for one in there[1:]:
        assert (place_of(engine.next()), state_of(engine)) == one


def loader_problem() -> Problem:
    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)).double()

    data = DataLoader(TensorDataset(*doubles()), batch_size=5, shuffle=True)
    return double_problem(model=model, data=data)


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_going_back_over_an_epoch_puts_the_shuffling_back(accumulation_steps: int) -> None:
    engine = StepperEngine(loader_problem(), Recipe(accumulation_steps=accumulation_steps))
    states = []
    for _ in range(14):
        engine.finish()
        states.append(state_of(engine))
    for number in range(12, -1, -1):
        engine.previous()
        while engine.snapshot.index < len(engine.statements):
            engine.previous()
        assert engine.snapshot.update == number
        assert state_of(engine) == states[number]
    engine.run(13)
    assert state_of(engine) == states[-1]


PLATEAU = Recipe(
    schedule="ReduceLROnPlateau",
    schedule_options={"patience": 0, "threshold": 0.5},
    batch_size=64,
    lr=0.5,
)
BUILT_IN = [
    ("moons", Recipe(mask=0.3, mask_kind="random", batch_size=64)),
    ("moons", Recipe(mask=0.5, mask_kind="*bias", l1=0.01)),
    ("tokens", Recipe(accumulation_steps=3, optimizer="RMSprop", lr=0.01)),
    ("digits_cnn", Recipe(batch_size=32, accumulation_steps=2)),
    ("line", Recipe(edits=(lambda ps: [p.grad.mul_(2) for p in ps],))),
    (loader_problem(), Recipe(accumulation_steps=2)),
    ("moons", Recipe(schedule="one-cycle", warmup_steps=3, accumulation_steps=2)),
    ("digits", PLATEAU),
]


@pytest.mark.parametrize(("problem", "recipe"), [*CASES.values(), *BUILT_IN])
def test_losses_are_those_of_train(problem: Problem | str, recipe: Recipe) -> None:
    recipe = recipe.replace(updates=7)
    engine = StepperEngine(problem, recipe)
    assert engine.run(7).failure is None
    assert engine.workspace.names["losses"] == train(problem, recipe).loss.tolist()


def test_a_loss_of_the_update_before_is_met_again_with_its_graph() -> None:
    engine = StepperEngine(COUPLED, Recipe(updates=9))
    engine.run(3)
    engine.next()
    program = engine.statements
    engine.switch(index_of(engine, "loss ="))
    shot = engine.finish()
    assert shot.failure is not None
    assert "second time" in shot.failure.message
    assert_direct(engine, [program] * 3)


def test_a_kept_graph_is_there_again_after_going_back() -> None:
    engine = StepperEngine(COUPLED, Recipe(updates=9))
    backward = index_of(engine, "backward")
    engine.switch(backward)
    engine.run(2)
    first = engine.statements
    engine.next()
    engine.switch(backward)
    engine.switch(backward - 1)
    assert engine.finish().failure is None
    assert_direct(engine, [first] * 2)
    engine.previous()
    engine.next()
    assert_direct(engine, [first] * 2)


def test_a_break_within_the_loop_leaves_only_the_loop() -> None:
    engine = StepperEngine(COUPLED, Recipe(accumulation_steps=3, stop_below=1e3, updates=9))
    mean, check = index_of(engine, "mean ="), len(engine.statements) - 1
    engine.move(mean, -1)
    while engine.statements[check].depth == 0:
        engine.move(check, -1)
        check -= engine.statements[check].depth == 0
    shot = engine.finish()
    assert (shot.failure, shot.ended) == (None, None)
    assert shot.variables["seen"] == len(doubles()[0].chunk(3)[0])
    assert_direct(engine, [])
    engine.finish()
    assert_direct(engine, [engine.statements])


def test_few_checkpoints_are_as_exact_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk() -> tuple[int, list[Any]]:
        engine = StepperEngine(COUPLED, RECIPES["Adam"].replace(updates=40))
        engine.run(30)
        count, states = len(engine.checkpoints), []
        for _ in range(2 * len(engine.statements) + 3):
            engine.previous()
            states.append(state_of(engine))
        engine.restart()
        return count, [*states, state_of(engine)]

    many, states = walk()
    monkeypatch.setattr(workspace, "MEMORY", 6_000)
    few, same = walk()
    assert (many, few < 10) == (30, True)
    assert same == states


@pytest.mark.parametrize("grad", [True, False])
def test_the_caller_and_the_own_model_stay_as_they_are(grad: bool) -> None:
    own = coupled_model()
    held = bits(own.state_dict())
    torch.manual_seed(5)
    rng, default = torch.get_rng_state(), torch.get_default_dtype()
    with torch.set_grad_enabled(grad):
        engine = StepperEngine(double_problem(model=own), RECIPES["Adam"])
        engine.run(2), engine.next(), engine.previous(), engine.switch(1), engine.finish()
        assert torch.is_grad_enabled() == grad
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.get_default_dtype() == default
    assert bits(own.state_dict()) == held
    assert all(p.grad is None for p in own.parameters())


def test_the_data_stay_as_they_are() -> None:
    held = bits(BAGS.data)
    engine = StepperEngine(BAGS, Recipe(batch_size=6))
    engine.run(9), engine.previous(), engine.restart()
    assert bits(BAGS.data) == held


OPERATIONS = {
    "next": (),
    "previous": (),
    "finish": (),
    "switch": (3,),
    "move": (3, 1),
    "repeat": (0,),
    "reset": (),
    "restart": (),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_executes_more_than_two_updates(name: str) -> None:
    """However far the run is: nothing is executed again from the start."""
    calls = 0

    def model() -> nn.Module:
        layer = nn.Linear(3, 2).double()
        layer.register_forward_pre_hook(count)
        return layer

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    engine = StepperEngine(double_problem(model=model), Recipe(accumulation_steps=4))
    engine.run(101)
    calls = 0
    getattr(engine, name)(*OPERATIONS[name])
    assert calls <= 2 * 4
