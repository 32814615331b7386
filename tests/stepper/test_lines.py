"""The lines: how they move, what the marker visits, what is said about a line's effect."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, Recipe, problems, train
from gradwidgets.script import script
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.stepper.program import program_of, source
from tests.examples import double_problem, doubles
from tests.stepper.odd_models import BAGS, COUPLED, RECIPES, Bags, Tied, words
from tests.stepper.plain_execution import bits, index_of, state_of


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_statements_are_the_lines_of_the_script(recipe: Recipe) -> None:
    written = script("moons", recipe).partition("losses = []\n")[2].splitlines()
    body = [line[4:] for line in written[1:] if line.startswith("    ")]
    assert source(program_of("moons", recipe)).splitlines() == body
    assert StepperEngine("moons", recipe).head == written[0]


def order(engine: StepperEngine) -> list[tuple[int, str]]:
    return [(s.depth, s.text.split("(")[0].split(" =")[0]) for s in engine.statements]


def test_a_line_moves_into_the_loop_and_out_of_it() -> None:
    engine = StepperEngine("moons", Recipe(accumulation_steps=2))
    start = order(engine)
    zero, total, loop, loss = start[:4]
    assert [depth for depth, _ in start[:4]] == [0, 0, 0, 1]
    engine.move(0, 1)
    engine.move(1, 1)
    assert order(engine)[:4] == [total, loop, (1, zero[1]), loss]
    shot = engine.finish()
    assert shot.failure is None
    x, y = problems.get("moons").batches()
    torch.manual_seed(0)
    model = problems.get("moons").build()
    (F.cross_entropy(model(x[100:]), y[100:]) / 2).backward()
    for row, p in zip(shot.parameters, model.parameters(), strict=True):
        assert row.grad is not None
        assert row.grad.values.tobytes() == p.grad.double().numpy().tobytes()  # the last part only
    engine.move(2, -1)
    engine.move(1, -1)
    assert order(engine) == start
    after = next(i for i, (_, text) in enumerate(start) if text.startswith("mean"))
    engine.move(after, -1)
    assert order(engine)[after] == (1, "mean")
    engine.move(after, 1)
    assert order(engine) == start


def test_headers_and_ends_stay() -> None:
    engine = StepperEngine("moons", Recipe(accumulation_steps=2))
    start = order(engine)
    loop = index_of(engine, "for xk")
    for index, by in ((loop, 1), (loop, -1), (0, -1), (len(start) - 1, 1)):
        engine.move(index, by)
        assert order(engine) == start
    engine.repeat(loop)
    assert order(engine) == start


def test_the_marker_visits_every_micro_batch() -> None:
    engine = StepperEngine("moons", Recipe(accumulation_steps=3, updates=2))
    loop, backward = index_of(engine, "for xk"), index_of(engine, "backward")
    seen = [engine.next() for _ in range(2 + 3 * 5)]
    assert [s.micro_batch for s in seen if s.executed == loop] == [0, 1, 2]
    assert [s.micro_batch for s in seen if s.executed == backward] == [0, 1, 2]
    assert seen[-1].executed == backward + 2


@pytest.mark.parametrize("presses", range(2 + 3 * 5))
def test_the_marker_stays_where_it_is_when_lines_change(presses: int) -> None:
    engine = StepperEngine(COUPLED, Recipe(accumulation_steps=3, updates=2))
    for _ in range(presses):
        engine.next()
    shot, state = engine.snapshot, state_of(engine)
    place = (shot.index, shot.micro_batch, shot.executed)
    last = len(engine.statements) - 1
    for change in (engine.switch, engine.switch, engine.repeat):
        shot = change(last)
        assert (shot.index, shot.micro_batch, shot.executed) == place
        assert state_of(engine) == state


def test_what_a_line_changed_is_marked() -> None:
    engine = StepperEngine("line", Recipe(optimizer="Adam", updates=3))
    of_both = {(n, p) for n in ("weight", "bias") for p in ("exp_avg", "exp_avg_sq", "step")}
    values, grads = ({(n, part) for n in ("weight", "bias")} for part in ("value", "grad"))
    changed = {s.text.split("(")[0]: engine.next().changed for s in engine.statements}
    assert changed["optimizer.zero_grad"] == set()  # there was no gradient to clear
    assert changed["loss = F.mse_loss"] == {("loss", "variable")}
    assert changed["loss.backward"] == grads
    assert changed["optimizer.step"] == of_both | values
    assert engine.snapshot.parameters[0].state["step"].values == 1
    assert engine.next().changed == grads  # a number becomes None


Change = Callable[[StepperEngine], object]


def off(text: str) -> Change:
    return lambda engine: engine.switch(index_of(engine, text))


def twice(text: str) -> Change:
    return lambda engine: engine.repeat(index_of(engine, text))


def moved(text: str, places: int) -> Change:
    def change(engine: StepperEngine) -> None:
        for _ in range(abs(places)):
            engine.move(index_of(engine, text), places)

    return change


def unchanged(_: StepperEngine) -> None:
    pass


NO_GRAPH = double_problem(loss=lambda output, target: F.mse_loss(output.detach(), target))
LBFGS = Recipe(optimizer="LBFGS")


@pytest.mark.parametrize(
    ("problem", "recipe", "change", "kind", "message", "words"),
    [
        ("moons", Recipe(), twice("backward"), "RuntimeError", "second time", "frees the graph"),
        ("moons", Recipe(), off("loss ="), "NameError", "'loss' is not", "no loss yet"),
        ("moons", Recipe(), moved("backward", -1), "NameError", "'loss' is not", "no loss yet"),
        ("moons", Recipe(scale=2.0), off("backward"), "AttributeError", "None", ".grad is None"),
        ("moons", Recipe(mask=0.5), off("backward"), "TypeError", "None", ".grad is None"),
        ("moons", Recipe(), off("mean ="), "NameError", "'mean' is not", "no line above"),
        (
            "moons",
            Recipe(accumulation_steps=2),
            off("seen +="),
            "ZeroDivisionError",
            "division",
            "counted",
        ),
        ("moons", LBFGS, off("return"), "TypeError", "NoneType", "`return` is missing"),
        ("moons", LBFGS, off("evaluated.append"), "IndexError", "list index", "empty"),
        ("moons", LBFGS, off("loss ="), "NameError", "loss", "no loss yet"),
        ("moons", LBFGS, off("def closure"), "NameError", "closure", "no line above"),
        (NO_GRAPH, Recipe(), unchanged, "RuntimeError", "does not require grad", "by a graph"),
    ],
)
def test_errors_are_pytorchs_own_and_explained(
    problem: Problem | str, recipe: Recipe, change: Change, kind: str, message: str, words: str
) -> None:
    engine = StepperEngine(problem, recipe)
    change(engine)
    failure = engine.finish().failure
    assert failure is not None
    assert failure.kind == kind
    assert message in failure.message
    assert words in failure.explanation
    stuck = state_of(engine)
    assert engine.next().failure == failure
    assert engine.run(3).failure == failure
    assert state_of(engine) == stuck
    assert engine.previous().failure is None
    assert engine.next().failure == failure
    assert state_of(engine) == stuck


@pytest.mark.parametrize(
    ("recipe", "change", "expected"),
    [
        (Recipe(), unchanged, []),
        (Recipe(), off("backward"), ["every .grad is None"]),
        (Recipe(), twice("step()"), ["used before"]),
        (Recipe(), moved("step()", -4), ["every .grad is None"]),
        (Recipe(), moved("zero_grad", 2), ["before any step", "every .grad is None"]),
        (Recipe(lr=0.0), unchanged, ["too small or zero"]),
    ],
)
def test_a_line_without_its_usual_effect_gets_a_remark(
    recipe: Recipe, change: Change, expected: list[str]
) -> None:
    engine = StepperEngine("moons", recipe)
    change(engine)
    remarks = [engine.next().remark for _ in engine.statements]
    assert engine.snapshot.failure is None
    for part, remark in zip(expected, filter(None, remarks), strict=True):
        assert part in remark


def test_leftover_gradients_get_a_remark() -> None:
    engine = StepperEngine("moons", Recipe(clear="never"))
    engine.finish()
    remarks = [engine.next().remark for _ in engine.statements]
    assert ["earlier gradients" in remark for remark in remarks if remark] == [True]


@pytest.mark.parametrize(
    ("problem", "recipe", "ended"),
    [
        ("moons", Recipe(updates=3), "updates"),
        ("moons", Recipe(stop_below=0.5, updates=90), "threshold"),
        ("line", Recipe(lr=1e30, updates=90), "diverged"),
    ],
)
def test_the_run_ends_as_the_program_does(problem: str, recipe: Recipe, ended: str) -> None:
    engine = StepperEngine(problem, recipe)
    shot = engine.run(90)
    assert shot.ended == ended
    assert shot.update == len(train(problem, recipe).loss) - (ended != "diverged")
    state = state_of(engine)
    assert (engine.next().ended, engine.finish().ended) == (ended, ended)
    assert state_of(engine) == state
    assert engine.previous().ended is None
    assert engine.next().ended == ended
    assert state_of(engine) == state


def test_large_parameters_are_summed_up() -> None:
    shot = StepperEngine("digits").snapshot
    large, small = shot.parameters[0].value, shot.parameters[1].value
    torch.manual_seed(0)
    weight = problems.get("digits").build()[0].weight.detach().double().numpy()
    assert large.values is None
    assert small.values is not None
    assert (large.low, large.high) == (weight.min(), weight.max())
    assert large.norm == pytest.approx((weight**2).sum() ** 0.5, rel=1e-12)


def test_frozen_tied_and_unused_parameters_are_shown_as_they_are() -> None:
    engine = StepperEngine(double_problem(model=Tied), Recipe(optimizer="Adam", updates=3))
    rows = {row.name: row for row in engine.run(1).parameters}
    assert list(rows) == ["frozen", "unused", "into.weight"]
    assert rows["frozen"].grad is rows["unused"].grad is None
    assert set(rows["into.weight"].state) == {"step", "exp_avg", "exp_avg_sq"}
    x, y = doubles()
    torch.manual_seed(0)
    model = Tied()
    F.mse_loss(model(x), y).backward()
    assert rows["into.weight"].grad is not None
    assert bits(torch.from_numpy(rows["into.weight"].grad.values)) == bits(model.into.weight.grad)


def test_sparse_gradients_are_shown_as_dense_numbers() -> None:
    grad = StepperEngine(BAGS, Recipe(updates=2)).run(1).parameters[0].grad
    torch.manual_seed(0)
    model = Bags()
    x, y = words()
    F.mse_loss(model(x), y).backward()
    assert grad is not None
    assert grad.values.tobytes() == model.table.weight.grad.to_dense().numpy().tobytes()
