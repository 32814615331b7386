"""The model, the optimizer and the variables of a loop, and how to restore them to the last bit."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradwidgets.core import (
    PLATEAU,
    Buffers,
    IsolatedRun,
    Precision,
    Problem,
    Recipe,
    build_optimizer,
    build_scheduler,
    each_of,
    groups,
    is_pair,
    not_allowed,
    phases_of,
    step_groups,
)
from gradwidgets.script import Sources, WrittenPrecision, batches, early_setup, edit_setup, parts
from gradwidgets.stepper.program import Program, reads_before_assigning

Names = dict[str, Any]
PLAIN = (bool, int, float, str, type(None), Tensor)
"""The types of the attributes of a module that a checkpoint holds."""
MEMORY = 256 * 2**20
"""Bytes that checkpoints may hold together; beyond, every other one is dropped."""


@dataclass(frozen=True)
class Checkpoint:
    """Copies of everything that a statement may change, except graphs.

    Args:
        tensors: of each parameter its value, gradient (or None) and `requires_grad`.
        buffers: every buffer.
        attributes: of each module its plain attributes, such as `training` or a counter.
        optimizers: of each optimizer its attributes: its state, its groups, and all it counts.
        scheduler: the state of the learning rate's scheduler, if there is one.
        generators: the states of the random number generators.
        names: the variables that the statements have assigned.
        graphs: those of them whose value has a graph, which cannot be copied.
        scaler: the attributes of the `GradScaler`, if there is one.
    """

    tensors: list[tuple[Tensor, Tensor | None, bool]]
    buffers: Buffers
    attributes: list[Names]
    optimizers: list[Names]
    scheduler: Names | None
    generators: list[Any]
    names: Names
    graphs: frozenset[str]
    scaler: Names

    @property
    def nbytes(self) -> int:
        """Memory held by parameters, gradients, buffers and optimizer state, in bytes."""
        held = [t for value, grad, _ in self.tensors for t in (value, grad) if t is not None]
        states = [entries for own in self.optimizers for entries in own["state"].values()]
        kept = [v for entries in states if isinstance(entries, dict) for v in entries.values()]
        tensors = [*held, *self.buffers.copies, *kept]
        return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, Tensor))


class Checkpoints:
    """Checkpoints by the update at whose start they were made; the first is never dropped."""

    def __init__(self) -> None:
        self._kept: dict[int, Checkpoint] = {}
        self._stride = 1

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, update: int) -> Checkpoint:
        return self._kept[update]

    def keep(self, update: int, take: Callable[[], Checkpoint]) -> None:
        """Keep what `take` returns for the start of an update, unless it is kept or left out."""
        if update in self._kept or update % self._stride:
            return
        self._kept[update] = take()
        size = self._kept[update].nbytes
        while update in self._kept and len(self._kept) > 2 and size * len(self._kept) > MEMORY:
            self._stride *= 2
            self._kept = {at: one for at, one in self._kept.items() if at % self._stride == 0}

    def forget_after(self, update: int) -> None:
        """Drop the start of every update later than `update`."""
        self._kept = {at: one for at, one in self._kept.items() if at <= update}

    def sound_start(self, programs: Sequence[Program]) -> int:
        """The latest update from which these programs, one an update, can be executed again.

        No statement from there on reads a graph of before, which no checkpoint holds.
        """
        start = len(programs) - 1
        while start and (
            start not in self._kept
            or reads_before_assigning(programs[start], self._kept[start].graphs)
        ):
            start -= 1
        return start


class Workspace:
    """Model, optimizer, data and names of one run.

    Its methods are called within `isolation.inside()`.

    Attributes:
        isolation: the run's own random number generators and threads.
        model: the model that is trained, built for this run alone.
        precision: how it is stored and rounded.
        stepped: the module whose parameters the optimizer steps: the model, or a copy of it.
        optimizers: its optimizer, or all of them.
        scheduler: that of the optimizer's learning rate, or None.
        names: the variables of the program by name, such as `loss` and `losses`.
    """

    def __init__(self, problem: Problem, recipe: Recipe) -> None:
        data = problem.batches()
        measures = recipe.patience or recipe.schedule == PLATEAU
        held_out = problem.held_out_data() if measures else None
        self.isolation = IsolatedRun(data, recipe.seed, held_out)
        with self.isolation.inside():
            self.model = problem.build()
            phases = phases_of(recipe, self.model)
            self.precision = Precision(recipe, self.model)
            self.stepped = self.precision.stepped
            built = self.precision.optimizer(lambda model: build_optimizer(recipe, model, phases))
            self.optimizers = each_of(built)
            self.scheduler = build_scheduler(built, recipe, problem.higher_is_better)
            self.isolation.choose_threads(self.model)
            self.names = _names_before_loop(problem, recipe, self.precision, built)
            if self.scheduler is not None:
                self.names["scheduler"] = self.scheduler
        self._recipe = recipe
        self._batches = _batches(problem, recipe, self.names)
        self._drawn: list[tuple[list[Any], Names, list[Any]]] = []
        self._given = {*self.names, "__builtins__"} - {"best", "waited"}
        self.names["losses"] = []

    def assign_batch(self, update: int) -> None:
        """Assign the batch of an update; it is drawn once, and the same ever after."""
        now = self.isolation.state()
        if update == len(self._drawn):
            self._drawn.append((now, next(self._batches), self.isolation.state()))
        before, names, after = self._drawn[update]
        if all(map(_same, now, before)):
            self.isolation.restore(after)
        self.names.update(names)
        if self._recipe.groups:
            self.names["update"] = update  # its phases begin and end at stated ones

    def assigned(self) -> Names:
        """The variables that the statements have assigned so far."""
        return {name: value for name, value in self.names.items() if name not in self._given}

    def take_checkpoint(self) -> Checkpoint:
        """Copy everything as it is now."""
        assigned = self.assigned()
        graphs = {n for n, v in assigned.items() if isinstance(v, Tensor) and v.grad_fn is not None}
        parameters = self._parameters()
        scaler = self.precision.scaler
        return Checkpoint(
            tensors=[(_copy(p), _copy(p.grad), p.requires_grad) for p in parameters],
            buffers=Buffers(self.model),
            attributes=[_plain_attributes(module) for module in self.model.modules()],
            optimizers=self._copied([vars(optimizer) for optimizer in self.optimizers]),
            scheduler=copy.deepcopy(self.scheduler.state_dict()) if self.scheduler else None,
            generators=self.isolation.state(),
            names={name: _detached(value) for name, value in assigned.items()},
            graphs=frozenset(graphs),
            scaler=copy.deepcopy(vars(scaler)) if scaler else {},
        )

    def _parameters(self) -> list[Tensor]:
        """Those of the model, and of the copy that the optimizer steps, if there is one."""
        copied = [] if self.stepped is self.model else self.stepped.parameters()
        return [*self.model.parameters(), *copied]

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put everything back to a checkpoint, which can be restored more than once."""
        for p, (value, grad, requires_grad) in zip(
            self._parameters(), checkpoint.tensors, strict=True
        ):
            p.requires_grad_(requires_grad)
            p.data.copy_(value)
            p.grad = _copy(grad)
        checkpoint.buffers.restore()
        for module, attributes in zip(self.model.modules(), checkpoint.attributes, strict=True):
            for name in _plain_attributes(module).keys() - attributes.keys():
                del vars(module)[name]
            vars(module).update({name: _detached(value) for name, value in attributes.items()})
        copies = self._copied(checkpoint.optimizers)
        for optimizer, attributes in zip(self.optimizers, copies, strict=True):
            vars(optimizer).clear()
            vars(optimizer).update(attributes)
        if self.precision.scaler:
            vars(self.precision.scaler).update(copy.deepcopy(checkpoint.scaler))
        if self.scheduler is not None:
            self.scheduler.load_state_dict(copy.deepcopy(checkpoint.scheduler or {}))
        self.isolation.restore(checkpoint.generators)
        for name in self.assigned():
            del self.names[name]
        self.names.update({name: _detached(value) for name, value in checkpoint.names.items()})

    def _copied(self, attributes: list[Names]) -> list[Names]:
        """Copies of optimizers' attributes; the model and its parameters in them stay the same.

        Raises:
            ValueError: one cannot be copied.
        """
        modules = [*self.model.modules(), *self.stepped.modules()]
        same = [*self.optimizers, *modules, *self._parameters()]
        try:
            return copy.deepcopy(attributes, {id(thing): thing for thing in same})
        except Exception as error:
            wish = f"one that copy.deepcopy can copy, for going back ({error})"
            raise not_allowed("Recipe.optimizer", self._recipe.optimizer, wish) from error


def _names_before_loop(
    problem: Problem,
    recipe: Recipe,
    precision: Precision,
    built: torch.optim.Optimizer | list[torch.optim.Optimizer],
) -> Names:
    """The names that a program has before its loop, as `script` gives them."""
    data = problem.batches()
    names: Names = {"math": math, "torch": torch, "nn": nn, "F": functional}
    names |= {"model": precision.model, "edits": recipe.edits}
    names["optimizers" if isinstance(built, list) else "optimizer"] = built
    sources = Sources(problem, recipe)
    names |= {WrittenPrecision(recipe, sources).stepped: precision.stepped}
    names |= precision.names
    groups_of_recipe = parts(recipe, sources)
    if groups_of_recipe:
        names["parts"] = {
            g.pattern: [precision.model.get_parameter(n) for n in g.names] for g in groups_of_recipe
        }
    names |= sources.step.names(problem) if sources.step else {sources.loss: problem.loss}
    if held := sources.measured:
        names |= held.names(problem)
    for generator in sources.drawn:
        names |= generator.names
    if is_pair(data):
        names |= dict(zip(("x", "y"), data, strict=True))
    setup = [*edit_setup(recipe, sources), *early_setup(recipe, sources)]
    exec("\n".join(line.text for line in setup), names)
    return names


def _batches(problem: Problem, recipe: Recipe, names: Names) -> Iterator[Names]:
    """The variables that the head of the loop assigns, update after update."""
    data = problem.batches()
    if problem.step is not None:
        whole = problem.split is not None or recipe.accumulation_steps == 1
        drawn = step_groups(data, recipe.replace(accumulation_steps=1) if whole else recipe, None)
        yield from ({"batch": group[0]} if whole else {"group": group} for group in drawn)
    if not is_pair(data) and recipe.accumulation_steps == 1:
        yield from ({"xb": x, "yb": y} for [(x, y)] in groups(data, recipe))
    elif not is_pair(data):
        yield from ({"group": group} for group in groups(data, recipe))
    elif recipe.batch_size is None:
        while True:
            yield {}
    else:
        program = dict(names)
        exec("\n".join(line.text for line in batches(recipe, pair=True)), program)
        yield from ({"xb": x, "yb": y} for x, y in program["batches"]())


def _copy(tensor: Any) -> Any:
    return None if tensor is None else tensor.detach().clone()


def _detached(value: Any) -> Any:
    """A value that nothing done to the original changes; a graph is left behind."""
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        return _copy(value) if value.grad_fn is not None else value
    return list(value) if type(value) is list else value


def _plain_attributes(module: nn.Module) -> Names:
    attributes = {n: v for n, v in vars(module).items() if isinstance(v, PLAIN)}
    return {n: _copy(v) if isinstance(v, Tensor) else v for n, v in attributes.items()}


def _same(one: Any, other: Any) -> bool:
    """Compare states of generators: tensors, or sequences of numbers and arrays."""
    if isinstance(one, (list, tuple)):
        return all(map(_same, one, other))
    return torch.equal(one, other) if isinstance(one, Tensor) else bool(np.all(one == other))
