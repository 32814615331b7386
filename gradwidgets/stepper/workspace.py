"""What a loop works on, and how to put it back to where it was, to the last bit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradwidgets.core import Buffers, IsolatedRun, Problem, Recipe, build_optimizer, groups, is_pair
from gradwidgets.script import Sources, batches, hidden

Names = dict[str, Any]
PLAIN = (bool, int, float, str, type(None), Tensor)


@dataclass(frozen=True)
class Checkpoint:
    """Copies of everything that a statement may change, but for graphs.

    Args:
        tensors: of each parameter its value, gradient (or None) and `requires_grad`.
        buffers: every buffer.
        attributes: of each module its plain attributes, such as `training` or a counter.
        state: of each parameter what the optimizer keeps for it.
        generators: what the random number generators hold.
        names: what the statements have assigned.
        graphs: those names whose value hung on a graph, which no copy can hold.
    """

    tensors: list[tuple[Tensor, Tensor | None, bool]]
    buffers: Buffers
    attributes: list[Names]
    state: list[Names | None]
    generators: list[Any]
    names: Names
    graphs: frozenset[str]

    @property
    def nbytes(self) -> int:
        """Memory held by parameters, gradients, buffers and optimizer state, in bytes."""
        held = [t for value, grad, _ in self.tensors for t in (value, grad) if t is not None]
        kept = [v for entries in self.state if entries for v in entries.values()]
        tensors = [*held, *self.buffers.copies, *kept]
        return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, Tensor))


class Workspace:
    """Model, optimizer, data and names of one run; call its methods within `world.inside()`."""

    def __init__(self, problem: Problem, recipe: Recipe) -> None:
        data = problem.batches()
        self.world = IsolatedRun(data, recipe.seed)
        with self.world.inside():
            self.model = problem.build()
            self.optimizer = build_optimizer(
                recipe.optimizer, self.model, recipe.lr, recipe.options
            )
            self.world.choose_threads(self.model)
            self.names: Names = _names(problem, recipe, self.model, self.optimizer)
        self._draws = _draws(data, recipe, self.names)
        self._drawn: list[tuple[list[Any], Names, list[Any]]] = []
        self._given = {*self.names, "__builtins__"}
        self.names["losses"] = []

    def draw(self, update: int) -> None:
        """Assign the batch of an update, which stays the same however often it is drawn."""
        now = self.world.state()
        if update == len(self._drawn):
            self._drawn.append((now, next(self._draws), self.world.state()))
        before, names, after = self._drawn[update]
        if all(map(_same, now, before)):
            self.world.restore(after)
        self.names.update(names)

    def assigned(self) -> Names:
        """What the statements have assigned so far."""
        return {name: value for name, value in self.names.items() if name not in self._given}

    def remember(self) -> Checkpoint:
        """Copy everything as it is now."""
        assigned = self.assigned()
        hung = {n for n, v in assigned.items() if isinstance(v, Tensor) and v.grad_fn is not None}
        state = self.optimizer.state
        parameters = list(self.model.parameters())
        return Checkpoint(
            tensors=[(_copy(p), _copy(p.grad), p.requires_grad) for p in parameters],
            buffers=Buffers(self.model),
            attributes=[_plain(module) for module in self.model.modules()],
            state=copy.deepcopy([dict(state[p]) if p in state else None for p in parameters]),
            generators=self.world.state(),
            names={name: _held(value) for name, value in assigned.items()},
            graphs=frozenset(hung),
        )

    def recall(self, point: Checkpoint) -> None:
        """Put everything back to a checkpoint, which stays good for another time."""
        for p, (value, grad, requires_grad) in zip(
            self.model.parameters(), point.tensors, strict=True
        ):
            p.requires_grad_(requires_grad)
            p.data.copy_(value)
            p.grad = _copy(grad)
        point.buffers.restore()
        for module, attributes in zip(self.model.modules(), point.attributes, strict=True):
            for name in _plain(module).keys() - attributes.keys():
                del vars(module)[name]
            vars(module).update({name: _held(value) for name, value in attributes.items()})
        self.optimizer.state.clear()
        for p, entries in zip(self.model.parameters(), copy.deepcopy(point.state), strict=True):
            if entries is not None:
                self.optimizer.state[p] = entries
        self.world.restore(point.generators)
        for name in self.assigned():
            del self.names[name]
        self.names.update({name: _held(value) for name, value in point.names.items()})


def _names(
    problem: Problem, recipe: Recipe, model: nn.Module, optimizer: torch.optim.Optimizer
) -> Names:
    """The names that a program has before its loop, as `script` gives them."""
    sources = Sources(problem)
    data = problem.batches()
    names: Names = {"torch": torch, "nn": nn, "F": functional}
    names |= {"model": model, "optimizer": optimizer, "edits": recipe.edits}
    names |= {sources.loss: problem.loss}
    if is_pair(data):
        names |= dict(zip(("x", "y"), data, strict=True))
    exec("\n".join(line.text for line in hidden(recipe)), names)
    return names


def _draws(data: Any, recipe: Recipe, names: Names) -> Iterator[Names]:
    """What the head of the loop assigns, update after update."""
    if not is_pair(data):
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


def _held(value: Any) -> Any:
    """A value that nothing done to the original changes; a graph is left behind."""
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        return _copy(value) if value.grad_fn is not None else value
    return list(value) if type(value) is list else value


def _plain(module: nn.Module) -> Names:
    attributes = vars(module).items()
    return {n: _copy(v) if isinstance(v, Tensor) else v for n, v in attributes if _is_plain(v)}


def _is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return all(map(_same, one, other))
    return torch.equal(one, other)
