"""A watch of a script that knows nothing of it: models are found by the optimizers it makes."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gradwidgets.checkup.report import Report
from gradwidgets.checkup.watch import Watch, checkup
from gradwidgets.checkup.wrapping import Call, wrapped


class ScriptWatch:
    """Begins a checkup when an optimizer is made, and again with all models when another is.

    Attributes:
        reports: one report, or several if optimizers were made after others had stepped.
    """

    def __init__(self, max_steps: int | None = None) -> None:
        self.reports: list[Report] = []
        self._max_steps = max_steps
        self._watch: Watch | None = None
        self._models: list[nn.Module] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the block; the reports are there when it ends, by an error too."""
        error: BaseException | None = None
        try:
            with wrapped(Optimizer, "__init__", self._on_made):
                yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._stop(error)

    def _on_made(self, call: Call, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        result = call(optimizer, *args, **kwargs)
        held = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
        found = [m for m in roots_of(held) if not any(m is known for known in self._models)]
        if found:
            self._stop(None)
            self._models = outermost([*self._models, *found])
            self._watch = checkup(self._models, max_steps=self._max_steps)
            self._watch.start()
        return result

    def _stop(self, error: BaseException | None) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            report = watch.stop(error)
            if report.events or error is not None:
                self.reports.append(report)


def roots_of(tensors: set[int]) -> list[nn.Module]:
    """The outermost modules alive that hold any of these parameters, given by their ids."""
    modules = [thing for thing in gc.get_objects() if issubclass(type(thing), nn.Module)]
    modules = [module for module in modules if "_parameters" in vars(module)]
    holders = [m for m in modules if any(id(p) in tensors for p in _own(m, "_parameters"))]
    parents: dict[int, list[nn.Module]] = {}
    for module in modules:
        for child in _own(module, "_modules"):
            parents.setdefault(id(child), []).append(module)
    found: dict[int, nn.Module] = {}
    waiting, seen = holders, {id(module) for module in holders}
    while waiting:
        module = waiting.pop()
        above = parents.get(id(module), [])
        if not above:
            found[id(module)] = module
        waiting += [parent for parent in above if id(parent) not in seen]
        seen |= {id(parent) for parent in above}
    return list(found.values())


def outermost(modules: list[nn.Module]) -> list[nn.Module]:
    """Those that are within no other: a model may have been wrapped in the meantime."""
    return [
        module
        for module in modules
        if not any(module is inner for other in modules for inner in _below(other))
    ]


def _below(module: nn.Module) -> Iterator[nn.Module]:
    for child in _own(module, "_modules"):
        if child is not None:
            yield child
            yield from _below(child)


def _own(module: nn.Module, kind: str) -> Iterable[Any]:
    """The things that a module holds, read from its dict: its methods may be the user's own."""
    values: Iterable[Any] = vars(module)[kind].values()
    return values
