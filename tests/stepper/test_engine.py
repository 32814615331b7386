"""The stepper against plain `exec` of the same lines, from the very start."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets.core import Problem, Recipe, problems, train
from gradwidgets.core.optimizers import OPTIMIZERS
from gradwidgets.script import script
from gradwidgets.stepper import workspace
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.stepper.program import Program, program_of, source
from gradwidgets.stepper.snapshot import Snapshot
from tests.examples import double_problem, doubles


def coupled_model() -> nn.Module:
    """Buffers, dropout and a parameter that no loss reaches."""
    model = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.3), nn.Linear(4, 2)
    ).double()
    model.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))
    return model


def coupled(**changes: Any) -> Problem:
    return double_problem(model=coupled_model, **changes)


class Reached(Exception):  # noqa: N818, a signal and no error
    pass


def text_with_stop(program: Program, shot: Snapshot) -> str:
    """The update as plain text, with `stop(n)` where the marker stands: raises at visit n."""
    lines: list[str] = []
    standing = not (shot.failure or shot.ended)
    later = shot.micro_batch > 0 and program[shot.index].kind == "loop"
    last = [i for i, s in enumerate(program) if later and i > shot.index and s.depth == 0]
    end = (last[0] if last else len(program)) if later else -1  # where the loop's body ends
    muted = 99  # the depth of a header that is off
    for i, statement in enumerate(program):
        muted = 99 if statement.depth <= muted else muted
        if i == end:
            lines.append(f"    stop({shot.micro_batch - 1})")
        pad = "    " * statement.depth
        if i == shot.index and standing and not later:
            lines.append(f"{pad}stop({shot.micro_batch})")
        if statement.on and muted == 99:
            lines += [pad + line for line in statement.text.splitlines()]
            lines += [f"{pad}    pass"] if statement.is_header else []
        elif muted == 99 and statement.is_header:
            muted = statement.depth
    if end == len(program):
        lines.append(f"    stop({shot.micro_batch - 1})")
    if shot.index == len(program):
        lines.append("stop(0)")
    return "for _ in (0,):\n" + "\n".join("    " + line for line in lines)


class Direct:
    """The run written out: model, optimizer and batches by hand, statements by plain exec."""

    def __init__(self, recipe: Recipe) -> None:
        x, y = doubles()
        torch.manual_seed(recipe.seed)
        self.model = coupled_model()
        kind = getattr(torch.optim, recipe.optimizer)
        self.optimizer = kind(self.model.parameters(), lr=recipe.lr, **recipe.options)
        self.names = {"torch": torch, "F": F, "model": self.model, "optimizer": self.optimizer}
        self.names |= {"x": x, "y": y, "losses": [], "edits": recipe.edits}
        self.order = torch.Generator().manual_seed(recipe.seed)
        self.recipe = recipe
        self.left: list[Tensor] = []
        self.error: Exception | None = None

    def draw(self) -> None:
        if self.recipe.batch_size is None:
            return
        if not self.left:
            shuffled = torch.randperm(len(self.names["x"]), generator=self.order)
            self.left = list(shuffled.split(self.recipe.batch_size))
        index = self.left.pop(0)
        self.names |= {"xb": self.names["x"][index], "yb": self.names["y"][index]}

    def execute(self, past: list[Program], program: Program, shot: Snapshot) -> None:
        for whole in past:
            self.draw()
            exec("for _ in (0,):\n" + indented(source(whole)), self.names)
        self.draw()
        visits = [0]

        def stop(at: int) -> None:
            visits[0] += 1
            if visits[0] == at + 1:
                raise Reached

        self.names["stop"] = stop
        try:
            exec(text_with_stop(program, shot), self.names)
        except Reached:
            pass
        except Exception as error:
            self.error = error


def indented(text: str) -> str:
    return "\n".join("    " + line for line in (text or "pass").splitlines())


def bits(value: Any) -> Any:
    """Something that is equal only where every bit is."""
    if isinstance(value, Tensor):
        return (str(value.dtype), tuple(value.shape), value.detach().double().numpy().tobytes())
    if isinstance(value, dict):
        return {name: bits(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(each) for each in value]
    return value


VARIABLES = ("loss", "mean", "total", "seen", "losses", "evaluated")


def whole_state(model: nn.Module, optimizer: Any, names: dict[str, Any], rng: Tensor) -> Any:
    return {
        "values": bits(model.state_dict()),
        "grads": {name: bits(p.grad) for name, p in model.named_parameters()},
        "optimizer": bits(optimizer.state_dict()),
        "variables": {name: bits(names[name]) for name in VARIABLES if name in names},
        "rng": rng.tolist(),
    }


def state_of(steps: StepperEngine) -> Any:
    space = steps.workspace
    with space.isolation.inside():
        rng = torch.get_rng_state()
    return whole_state(space.model, space.optimizer, space.names, rng)


def assert_direct(steps: StepperEngine, past: list[Program]) -> None:
    """The state is that of executing the lines that are left directly, from the start."""
    shot = steps.snapshot
    with torch.random.fork_rng():
        direct = Direct(steps.recipe)
        direct.execute(past, steps.statements, shot)
        there = whole_state(direct.model, direct.optimizer, direct.names, torch.get_rng_state())
    assert state_of(steps) == there
    expected = (type(direct.error).__name__, str(direct.error)) if direct.error else None
    assert ((shot.failure.kind, shot.failure.message) if shot.failure else None) == expected


RECIPES = (
    Recipe(optimizer="Adam", lr=0.05, scale=0.5, max_norm=0.2, batch_size=6),
    Recipe(options={"momentum": 0.9}, accumulation_steps=3, clear="zero", l2=0.1),
    Recipe(optimizer="AdamW", accumulation_steps=2, batch_size=9, clear="never", average=False),
    Recipe(lr=0.3, stop_below=0.5, options={"momentum": 0.5, "nesterov": True}),
    Recipe(optimizer="LBFGS", lr=0.5, accumulation_steps=2, options={"max_iter": 3}),
)


def random_operation(steps: StepperEngine, draw: random.Random) -> None:
    count = len(steps.statements)
    kind = draw.choices(
        ("next", "previous", "finish", "run", "restart", "switch", "move", "repeat", "reset"),
        (30, 16, 6, 4, 1, 8, 12, 2, 2),
    )[0]
    index = draw.randrange(count)
    argument = {"run": (draw.randrange(1, 4),), "switch": (index,), "repeat": (index,)}
    argument |= {"move": (index, draw.choice((-1, 1)))}
    getattr(steps, kind)(*argument.get(kind, ()))
    try:
        compile("for _ in (0,):\n" + indented(source(steps.statements)), "whole", "exec")
    except SyntaxError:  # `return` outside of its function: Python refuses the whole text
        steps.reset()


@pytest.mark.parametrize("seed", range(100))
def test_random_sequences_end_where_plain_execution_ends(seed: int) -> None:
    draw = random.Random(seed)
    steps = StepperEngine(coupled(), RECIPES[seed % len(RECIPES)].replace(updates=12, seed=seed))
    past: list[Program] = []
    for number in range(20):
        before = steps.statements
        random_operation(steps, draw)
        past = past[: steps.snapshot.update]
        past += [before] * (steps.snapshot.update - len(past))
        if number % 10 == 9:
            assert_direct(steps, past)


def test_a_loss_of_the_update_before_is_met_again_with_its_graph() -> None:
    steps = StepperEngine(coupled(), Recipe(updates=9))
    steps.run(3)
    forward = next(i for i, s in enumerate(steps.statements) if s.text.startswith("loss ="))
    steps.next()
    program = steps.statements
    steps.switch(forward)
    shot = steps.finish()
    assert shot.failure is not None
    assert "second time" in shot.failure.message
    assert_direct(steps, [program] * 3)


def test_backward_of_a_kept_graph_after_a_step_is_the_real_error() -> None:
    steps = StepperEngine(coupled(), Recipe(updates=9))
    backward = next(i for i, s in enumerate(steps.statements) if "backward" in s.text)
    steps.switch(backward)
    steps.run(2)
    first = steps.statements
    steps.next()
    steps.switch(backward)
    steps.switch(backward - 1)
    shot = steps.finish()
    assert shot.failure is None
    assert_direct(steps, [first] * 2)
    steps.previous()
    steps.next()
    assert_direct(steps, [first] * 2)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("clear", ["none", "zero", "never"])
def test_back_and_forward_again_is_bit_identical(recipe: Recipe, clear: str) -> None:
    steps = StepperEngine(coupled(), recipe.replace(clear=clear, updates=6, stop_below=None))
    states, marks = [state_of(steps)], [steps.snapshot]
    while len(states) < 24 and not steps.snapshot.ended:
        marks.append(steps.next())
        states.append(state_of(steps))
    for place in range(len(states) - 2, -1, -1):
        assert mark(steps.previous()) == mark(marks[place])
        assert state_of(steps) == states[place], place
    for place in range(1, len(states)):
        assert mark(steps.next()) == mark(marks[place])
        assert state_of(steps) == states[place], place


def mark(shot: Snapshot) -> Any:
    return shot.update, shot.index, shot.changed


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n != "SparseAdam"])
def test_every_optimizer_goes_back_exactly(name: str) -> None:
    matrices = double_problem(model=lambda: nn.Linear(3, 2, bias=False).double())
    steps = StepperEngine(matrices, Recipe(optimizer=name, lr=0.01, updates=5))
    steps.run(2)
    earlier = state_of(steps)
    steps.run(2)
    later = state_of(steps)
    assert earlier != later
    for _ in range(2 * len(steps.statements)):
        if (steps.snapshot.update, steps.snapshot.index) == (1, len(steps.statements)):
            break
        steps.previous()
    assert state_of(steps) == earlier
    steps.run(2)
    assert state_of(steps) == later


def loader() -> DataLoader[Any]:
    return DataLoader(TensorDataset(*doubles()), batch_size=5, shuffle=True)


def loader_model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)).double()


@pytest.mark.parametrize(
    ("problem", "recipe"),
    [
        *((coupled(), recipe) for recipe in RECIPES),
        (problems.get("moons"), Recipe(mask=0.3, mask_kind="random", batch_size=64)),
        (problems.get("moons"), Recipe(mask=0.5, mask_kind="*bias", l1=0.01)),
        (problems.get("tokens"), Recipe(accumulation_steps=3, optimizer="RMSprop", lr=0.01)),
        (problems.get("digits_cnn"), Recipe(batch_size=32, accumulation_steps=2)),
        (problems.get("line"), Recipe(edits=(lambda ps: [p.grad.mul_(2) for p in ps],))),
        (double_problem(model=loader_model, data=loader()), Recipe(accumulation_steps=2)),
    ],
)
def test_losses_are_those_of_train(problem: Problem, recipe: Recipe) -> None:
    recipe = recipe.replace(updates=7)
    steps, losses = StepperEngine(problem, recipe), []
    while not steps.snapshot.ended:
        shot = steps.finish()
        assert shot.failure is None
        losses.append(shot.variables["mean"])
    assert losses == train(problem, recipe).loss.tolist()


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_statements_are_the_lines_of_the_script(recipe: Recipe) -> None:
    written = script("moons", recipe).partition("losses = []\n")[2].splitlines()
    body = [line[4:] for line in written[1:] if line.strip()]
    assert source(program_of("moons", recipe)).splitlines() == body
    assert StepperEngine("moons", recipe).head == written[0]


def index_of(steps: StepperEngine, text: str) -> int:
    return next(i for i, s in enumerate(steps.statements) if text in s.text)


def order(steps: StepperEngine) -> list[tuple[int, str]]:
    return [(s.depth, s.text.split("(")[0].split(" =")[0]) for s in steps.statements]


def test_a_line_moves_into_the_loop_and_out_of_it() -> None:
    steps = StepperEngine("moons", Recipe(accumulation_steps=2))
    start = order(steps)
    assert start[:4] == [
        (0, "optimizer.zero_grad"),
        (0, "total, seen"),
        (0, "for xk, yk in zip"),
        (1, "loss"),
    ]
    steps.move(0, 1)
    steps.move(1, 1)
    assert order(steps)[1:4] == [(0, "for xk, yk in zip"), (1, "optimizer.zero_grad"), (1, "loss")]
    shot = steps.finish()
    assert shot.failure is None
    grads = [p.grad.values.copy() for p in shot.parameters]
    x, y = problems.get("moons").batches()
    torch.manual_seed(0)
    model = problems.get("moons").build()
    (F.cross_entropy(model(x[100:]), y[100:]) / 2).backward()
    for grad, p in zip(grads, model.parameters(), strict=True):
        assert grad.tobytes() == p.grad.double().numpy().tobytes()  # the last micro-batch only
    steps.move(2, -1)
    steps.move(1, -1)
    assert order(steps) == start
    after = next(i for i, (depth, text) in enumerate(start) if text.startswith("mean"))
    steps.move(after, -1)
    assert order(steps)[after] == (1, "mean")
    steps.move(after, 1)
    assert order(steps) == start


def test_headers_and_ends_stay() -> None:
    steps = StepperEngine("moons", Recipe(accumulation_steps=2))
    start = order(steps)
    loop = index_of(steps, "for xk")
    for index, by in ((loop, 1), (loop, -1), (0, -1), (len(start) - 1, 1)):
        steps.move(index, by)
        assert order(steps) == start
    assert len(steps.repeat(loop).parameters) == 4
    assert order(steps) == start


def test_the_marker_visits_every_micro_batch() -> None:
    steps = StepperEngine("moons", Recipe(accumulation_steps=3, updates=2))
    loop, backward = index_of(steps, "for xk"), index_of(steps, "backward")
    seen = [steps.next() for _ in range(2 + 3 * 5)]
    taken = [s.micro_batch for s in seen if s.executed == loop]
    assert taken == [0, 1, 2]
    assert sum(s.executed == backward for s in seen) == 3
    assert seen[-1].executed == backward + 2


def test_what_a_line_changed_is_marked() -> None:
    steps = StepperEngine("line", Recipe(optimizer="Adam", updates=3))
    every = {"weight", "bias"}

    def marked() -> set[str]:
        return {part for _, part in steps.next().changed}

    assert marked() == set()  # there was no gradient to clear
    assert marked() == {"variable"}
    shot = steps.next()
    assert shot.changed == {(name, "grad") for name in every}
    steps.next(), steps.next()
    shot = steps.next()
    kept = {(n, part) for n in every for part in ("exp_avg", "exp_avg_sq", "step", "value")}
    assert shot.changed == kept
    assert shot.parameters[0].state["step"].values == 1
    steps.finish()
    assert steps.next().changed == {(name, "grad") for name in every}  # a number to None


@pytest.mark.parametrize(("clear", "shown"), [("none", None), ("zero", 0.0)])
def test_none_is_shown_as_none_and_zero_as_zero(clear: str, shown: float | None) -> None:
    steps = StepperEngine("line", Recipe(clear=clear))
    assert all(p.grad is None for p in steps.snapshot.parameters)
    steps.finish()
    shot = steps.next()
    grads = [p.grad and float(p.grad.values.ravel()[0]) for p in shot.parameters]
    assert grads == [shown, shown]


Change = Callable[[StepperEngine], object]


def off(text: str) -> Change:
    return lambda steps: steps.switch(index_of(steps, text))


def twice(text: str) -> Change:
    return lambda steps: steps.repeat(index_of(steps, text))


def up(text: str, places: int) -> Change:
    def change(steps: StepperEngine) -> None:
        for _ in range(places):
            steps.move(index_of(steps, text), -1)

    return change


@pytest.mark.parametrize(
    ("recipe", "change", "kind", "message", "words"),
    [
        (Recipe(), twice("backward"), "RuntimeError", "second time", "frees the graph"),
        (Recipe(), off("loss ="), "NameError", "'loss' is not defined", "no loss yet"),
        (Recipe(), up("backward", 1), "NameError", "'loss' is not defined", "no loss yet"),
        (Recipe(scale=2.0), off("backward"), "AttributeError", "NoneType", ".grad is None"),
        (Recipe(mask=0.5), off("backward"), "AttributeError", "NoneType", ".grad is None"),
        (Recipe(), off("mean ="), "NameError", "'mean' is not defined", "no line above"),
        (
            Recipe(accumulation_steps=2),
            off("seen +="),
            "ZeroDivisionError",
            "division by zero",
            "counted",
        ),
        (Recipe(optimizer="LBFGS"), off("return"), "TypeError", "NoneType", "`return` is missing"),
        (Recipe(optimizer="LBFGS"), off("evaluated.append"), "IndexError", "list index", "empty"),
        (Recipe(optimizer="LBFGS"), off("loss ="), "NameError", "loss", "no loss yet"),
        (Recipe(optimizer="LBFGS"), off("def closure"), "NameError", "closure", "no line above"),
    ],
)
def test_errors_are_pytorchs_own_and_explained(
    recipe: Recipe, change: Change, kind: str, message: str, words: str
) -> None:
    steps = StepperEngine("moons", recipe)
    change(steps)
    failure = steps.finish().failure
    assert failure is not None
    assert (failure.kind, message in failure.message) == (kind, True), failure
    assert words in failure.explanation
    stuck = state_of(steps)
    assert steps.next().failure == failure
    assert steps.run(3).failure == failure
    assert state_of(steps) == stuck
    assert steps.previous().failure is None
    assert steps.next().failure == failure
    assert state_of(steps) == stuck
    assert steps.reset().failure is None
    assert steps.finish().failure is None


def test_a_loss_without_a_graph_is_explained() -> None:
    frozen = double_problem(loss=lambda output, target: F.mse_loss(output.detach(), target))
    failure = StepperEngine(frozen).finish().failure
    assert failure is not None
    assert "does not require grad" in failure.message
    assert "graph" in failure.explanation


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (off("backward"), "every .grad is None"),
        (twice("step()"), "used before"),
        (up("step()", 4), "every .grad is None"),
    ],
)
def test_silent_lines_get_a_remark(change: Change, words: str) -> None:
    steps = StepperEngine("moons", Recipe())
    change(steps)
    remarks = [steps.next().remark for _ in steps.statements]
    assert steps.snapshot.failure is None
    assert sum(words in remark for remark in remarks if remark) == 1


def test_clearing_between_backward_and_step_is_remarked() -> None:
    steps = StepperEngine("moons", Recipe())
    for _ in range(2):
        steps.move(index_of(steps, "zero_grad"), 1)
    remarks = [steps.next().remark for _ in steps.statements]
    assert any("before any step" in remark for remark in remarks if remark)
    assert any("Nothing moved" in remark for remark in remarks if remark)


def test_leftover_gradients_are_remarked() -> None:
    steps = StepperEngine("moons", Recipe(clear="never"))
    steps.finish()
    remarks = [steps.next().remark for _ in steps.statements]
    assert any("earlier gradients" in remark for remark in remarks if remark)


@pytest.mark.parametrize(
    ("recipe", "ended", "update"),
    [
        (Recipe(updates=3), "updates", 2),
        (Recipe(stop_below=0.5, updates=90), "threshold", 12),
        (Recipe(lr=1e30, updates=90), "diverged", None),
    ],
)
def test_the_run_ends_as_the_program_does(recipe: Recipe, ended: str, update: int | None) -> None:
    steps = StepperEngine("moons" if update else "line", recipe)
    shot = steps.run(90)
    losses = train(steps.problem, recipe).loss
    assert shot.ended == ended
    assert shot.update == len(losses) - (ended != "diverged")
    state = state_of(steps)
    assert (steps.next().ended, steps.finish().ended) == (ended, ended)
    assert state_of(steps) == state
    assert steps.previous().ended is None
    assert steps.next().ended == ended
    assert state_of(steps) == state


def test_few_checkpoints_are_as_exact_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk() -> list[Any]:
        steps = StepperEngine(coupled(), RECIPES[0].replace(updates=40))
        steps.run(30)
        states = []
        for _ in range(2 * len(steps.statements) + 3):
            steps.previous()
            states.append(state_of(steps))
        assert (len(steps.checkpoints) < 10) == (workspace.MEMORY < 10_000)
        steps.restart()
        return [*states, state_of(steps)]

    many = walk()
    monkeypatch.setattr(workspace, "MEMORY", 6_000)
    assert walk() == many


def test_a_counter_of_the_model_goes_back_too() -> None:
    class Counting(nn.Linear):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls = self.calls + 1
            return super().forward(x) * self.calls

    steps = StepperEngine(double_problem(model=lambda: Counting(3, 2).double()), Recipe(lr=1e-3))
    steps.run(3)
    state = state_of(steps)
    steps.run(2)
    for _ in range(2 * len(steps.statements)):
        steps.previous()
    assert steps.workspace.model.calls == 3
    assert state_of(steps) == state


@pytest.mark.parametrize("grad", [True, False])
def test_the_caller_and_the_own_model_stay_as_they_are(grad: bool) -> None:
    own = coupled_model()
    held = bits(own.state_dict())
    torch.manual_seed(5)
    rng, default = torch.get_rng_state(), torch.get_default_dtype()
    with torch.set_grad_enabled(grad):
        steps = StepperEngine(double_problem(model=own), RECIPES[0])
        steps.run(2), steps.next(), steps.previous(), steps.switch(1), steps.finish()
        assert torch.is_grad_enabled() == grad
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.get_default_dtype() == default
    assert bits(own.state_dict()) == held
    assert all(p.grad is None for p in own.parameters())


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(accumulation_steps=2)])
def test_going_back_over_an_epoch_puts_the_shuffling_back(recipe: Recipe) -> None:
    steps = StepperEngine(double_problem(model=loader_model, data=loader()), recipe)
    states = []
    for _ in range(14):
        steps.finish()
        states.append(state_of(steps))
    for number in range(12, -1, -1):
        steps.previous()
        while steps.snapshot.index < len(steps.statements):
            steps.previous()
        assert steps.snapshot.update == number
        assert state_of(steps) == states[number]
    steps.run(13)
    assert state_of(steps) == states[-1]


@pytest.mark.parametrize("presses", range(2 + 3 * 5))
def test_the_marker_stays_where_it_is_when_lines_change(presses: int) -> None:
    steps = StepperEngine(coupled(), Recipe(accumulation_steps=3, updates=2))
    for _ in range(presses):
        steps.next()
    shot, state = steps.snapshot, state_of(steps)
    last = len(steps.statements) - 1
    place = (shot.index, shot.micro_batch, shot.executed)
    for change in (steps.switch, steps.switch, steps.repeat):
        shot = change(last)
        assert (shot.index, shot.micro_batch, shot.executed) == place
        assert state_of(steps) == state


def test_a_break_within_the_loop_leaves_only_the_loop() -> None:
    steps = StepperEngine(coupled(), Recipe(accumulation_steps=3, stop_below=1e3, updates=9))
    mean, check = index_of(steps, "mean ="), len(steps.statements) - 1
    steps.move(mean, -1)
    while steps.statements[check].depth == 0:
        steps.move(check, -1)
        check -= steps.statements[check].depth == 0
    shot = steps.finish()
    assert (shot.failure, shot.ended) == (None, None)
    assert shot.variables["seen"] == len(doubles()[0].chunk(3)[0])
    assert_direct(steps, [])
    steps.finish()
    assert_direct(steps, [steps.statements])


def test_large_parameters_are_summed_up() -> None:
    shot = StepperEngine("digits").snapshot
    large, small = shot.parameters[0].value, shot.parameters[1].value
    torch.manual_seed(0)
    weight = problems.get("digits").build()[0].weight.detach().double().numpy()
    assert large.values is None
    assert small.values is not None
    assert (large.low, large.high) == (weight.min(), weight.max())
    assert large.norm == pytest.approx((weight**2).sum() ** 0.5, rel=1e-12)


OPERATIONS: dict[str, Callable[[StepperEngine], object]] = {
    "next": StepperEngine.next,
    "previous": StepperEngine.previous,
    "finish": StepperEngine.finish,
    "run": lambda steps: steps.run(5),
    "switch": lambda steps: steps.switch(3),
    "move": lambda steps: steps.move(3, 1),
    "repeat": lambda steps: steps.repeat(0),
    "reset": StepperEngine.reset,
    "restart": StepperEngine.restart,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_answers_within_100_ms(name: str) -> None:
    recipe = Recipe(optimizer="Adam", lr=0.01, scale=0.5, mask=0.2, l2=0.01, max_norm=1.0)
    steps = StepperEngine("moons", recipe.replace(accumulation_steps=4, updates=200))
    steps.run(101)
    taken: list[float] = []
    while len(taken) < 20 and min(taken, default=1) > 0.1:  # the machine may be busy
        begun = time.perf_counter()
        OPERATIONS[name](steps)
        taken.append(time.perf_counter() - begun)
    assert min(taken) <= 0.1
