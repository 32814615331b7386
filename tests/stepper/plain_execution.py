"""The oracle: the lines above the marker as one text, executed by plain `exec` from the start."""

from __future__ import annotations

import inspect
import math
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.optim import lr_scheduler

from gradwidgets.core import Problem, Recipe
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.stepper.program import Program, source
from gradwidgets.stepper.snapshot import Snapshot


def index_of(engine: StepperEngine, text: str) -> int:
    return next(i for i, s in enumerate(engine.statements) if text in s.text)


VARIABLES = ("loss", "mean", "total", "seen", "losses", "evaluated")


def bits(value: Any) -> Any:
    """Something that is equal only where every bit, every None and every layout is."""
    if isinstance(value, Tensor):
        dense = value.detach().to_dense() if value.is_sparse else value.detach()
        return str(value.dtype), value.layout, tuple(value.shape), dense.double().numpy().tobytes()
    if isinstance(value, dict):
        return {name: bits(each) for name, each in value.items()}
    return [bits(each) for each in value] if isinstance(value, (list, tuple)) else value


def whole_state(model: Any, optimizers: list[Any], names: dict[str, Any], rng: Tensor) -> Any:
    return {
        "values": bits(model.state_dict()),
        "grads": {name: bits(p.grad) for name, p in model.named_parameters()},
        "optimizers": [bits(optimizer.state_dict()) for optimizer in optimizers],
        "counts": [getattr(optimizer, "count", None) for optimizer in optimizers],
        "scheduler": bits(names["scheduler"].state_dict()) if "scheduler" in names else None,
        "calls": getattr(model, "calls", None),
        "variables": {name: bits(names[name]) for name in VARIABLES if name in names},
        "rng": rng.tolist(),
    }


def state_of(engine: StepperEngine) -> Any:
    space = engine.workspace
    with space.isolation.inside():
        rng = torch.get_rng_state()
    return whole_state(space.model, space.optimizers, space.names, rng)


class Reached(Exception):  # noqa: N818, a signal and no error
    pass


def indented(text: str) -> str:
    return "\n".join("    " + line for line in (text or "pass").splitlines())


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
    return "for _ in (0,):\n" + indented("\n".join(lines))


def scheduler_by_hand(optimizer: Any, recipe: Recipe) -> Any:
    """The scheduler of the recipes here, as their reader would write it."""
    if recipe.schedule == "CyclicLR":
        return lr_scheduler.CyclicLR(optimizer, 0.01, 0.2, step_size_up=4)
    steps = recipe.warmup_steps
    warmup = lr_scheduler.LinearLR(optimizer, start_factor=1 / (steps + 1), total_iters=steps)
    if recipe.schedule == "constant":
        return warmup
    after = lr_scheduler.CosineAnnealingLR(optimizer, T_max=recipe.updates - steps)
    return lr_scheduler.SequentialLR(optimizer, [warmup, after], milestones=[steps])


class Direct:
    """The run written out: model, optimizer and batches by hand, statements by plain exec."""

    def __init__(self, problem: Problem, recipe: Recipe) -> None:
        x, y = problem.data
        torch.manual_seed(recipe.seed)
        self.model = problem.model()
        self.parts: dict[str, list[Tensor]] = {}
        built = self.built(recipe)
        self.optimizers = built if isinstance(built, list) else [built]
        kind = "optimizers" if isinstance(built, list) else "optimizer"
        self.names = {"math": math, "torch": torch, "F": F, "model": self.model, kind: built}
        if recipe.schedule != "constant" or recipe.warmup_steps:
            self.names["scheduler"] = scheduler_by_hand(built, recipe)
        self.names |= {"x": x, "y": y, "losses": [], "edits": recipe.edits}
        self.order = torch.Generator().manual_seed(recipe.seed)
        self.recipe = recipe
        self.left: list[Tensor] = []
        self.error: Exception | None = None

    def built(self, recipe: Recipe) -> Any:
        kind: Any = recipe.optimizer
        if inspect.isfunction(kind):
            return kind(self.model, recipe.lr, **recipe.options)
        kind = kind if inspect.isclass(kind) else getattr(torch.optim, kind)
        return kind(self.parameters(recipe), lr=recipe.lr, **recipe.options)

    def parameters(self, recipe: Recipe) -> Any:
        """All parameters; or one group that is frozen until some update, after the rest."""
        self.parts = {}
        for pattern, given in recipe.groups.items():
            named = dict(self.model.named_parameters())
            part = [p for name, p in named.items() if fnmatchcase(name, pattern)]
            rest = [p for name, p in named.items() if not fnmatchcase(name, pattern)]
            self.parts = {pattern: part}
            if given["freeze_by"] == "requires_grad":
                for p in part:
                    p.requires_grad_(False)
            lr = 0.0 if given["freeze_by"] == "lr" else given["lr"]
            left_out = given["freeze_by"] == "left out"
            return [{"params": rest}] + [{"params": part, "lr": lr}] * (not left_out)
        return self.model.parameters()

    def draw(self) -> None:
        if self.parts:
            self.names |= {"parts": self.parts, "update": self.names.get("update", -1) + 1}
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
        visits = 0

        def stop(at: int) -> None:
            nonlocal visits
            visits += 1
            if visits == at + 1:
                raise Reached

        self.names["stop"] = stop
        try:
            exec(text_with_stop(program, shot), self.names)
        except Reached:
            pass
        except Exception as error:
            self.error = error


def assert_direct(engine: StepperEngine, past: list[Program]) -> None:
    """The state is that of executing the lines that are on directly, from the start."""
    shot = engine.snapshot
    with torch.random.fork_rng():
        direct = Direct(engine.problem, engine.recipe)
        direct.execute(past, engine.statements, shot)
        there = whole_state(direct.model, direct.optimizers, direct.names, torch.get_rng_state())
    assert state_of(engine) == there
    expected = (type(direct.error).__name__, str(direct.error)) if direct.error else None
    assert ((shot.failure.kind, shot.failure.message) if shot.failure else None) == expected
