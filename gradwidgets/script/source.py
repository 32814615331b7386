"""Parts of a program: lines that know their settings, and the source texts of a problem."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor
from torch.nn import functional

from gradwidgets.core import (
    EDITS,
    PLATEAU,
    IsolatedRun,
    OptimizerKind,
    Problem,
    Recipe,
    WrittenModel,
    build_optimizer,
    each_of,
    generators,
    has_schedule,
    is_pair,
    is_small,
    kinds_of,
    lrs_of,
    may_lack_gradients,
    needs_closure,
    patience_of,
    phases_of,
    problems,
    reduction,
)
from gradwidgets.script.held_out import HeldOutText, held_out_text
from gradwidgets.script.own_step import StepText
from gradwidgets.script.seeding import other_generators


@dataclass(frozen=True)
class Line:
    """One line of a program, and the settings it belongs to.

    >>> Line("optimizer.step()", ("optimizer",)).settings
    ('optimizer',)
    """

    text: str
    settings: tuple[str, ...] = ()


def lines_of(text: str, *settings: str) -> list[Line]:
    """The lines of a text, less the indentation they share and one blank line at each end."""
    body = textwrap.dedent(text)
    body = body.removeprefix("\n").removesuffix("\n")
    return [Line(line, settings if line.strip() else ()) for line in body.split("\n")]


def indented(lines: Iterable[Line]) -> list[Line]:
    """The lines one level further in."""
    return [replace(line, text=f"    {line.text}" if line.text else "") for line in lines]


# fmt: off
USED = {
    "after", "batch", "batches", "best", "closure", "copy", "edit", "edits", "evaluated", "group",
    "grouped", "groups", "held_out", "held_x", "held_y", "index", "loader", "loss", "losses",
    "master", "mean", "measure", "model", "optimizer", "optimizers", "order", "p", "part",
    "parts", "rest", "right", "scaler", "scheduler", "seen", "stochastic", "total", "update",
    "value", "w", "waited", "warmup", "wide", "x", "xb", "xk", "y", "yb", "yk",
    *(name for entry in EDITS for name in entry.names),
}
# fmt: on
"""Names that a program gives to its own things: a function of this name gets another."""
KNOWN = {"math", "torch", "nn", "F", "Tensor", *vars(builtins)}
"""Names that every program can import."""


class Sources:
    """Names of a problem's data, model and loss in a program, and the texts that define them.

    Args:
        problem: what is trained.
        recipe: whose optimizer it is; None takes the problem's own.

    Attributes:
        problem: whose names these are.
        imports: the first lines of the program.
        texts: functions, classes and numbers in full, with those of the same module that they use.
        missing: names that its reader has to bring.
        generators: random number generators of the loader's own, as its attributes.
        kinds: the types and devices of the model's parameters.
        summed: whether the loss adds up over the samples, and is no mean.
        held_out: a call that returns the held-out data of a built-in problem, or nothing.
        metric: the name of what is measured on it.
        optimizer: the name of its class, or of the function that builds it.
        lrs: the learning rate of each parameter group, at the start.
        several: whether that function gives a list of optimizers.
        closure: whether `optimizer.step` needs a closure.
        step: the problem's own step, or None.
        measured: the held-out data and its metric where the recipe measures it, or None.
        drawn: the generators of Python and NumPy that its functions draw from.

    >>> sources = Sources(problems.moons)
    >>> sources.data, sources.model, sources.loss, sources.missing
    ('moons_data', 'moons_model', 'F.cross_entropy', [])
    """

    def __init__(self, problem: Problem, recipe: Recipe | None = None) -> None:
        self.problem = problem
        self.texts: list[str] = []
        self.missing: list[str] = []
        self._homes: dict[str, tuple[str, str]] = {}
        self._seen: set[str] = set()
        self.built_in = problems.is_built_in(problem)
        self._batches = problem.batches()
        self.pair = is_pair(self._batches)
        self.generators = [f"loader.{path}" for path in generators(self._batches)]
        self.summed = reduction(problem.loss) == "sum"
        self.step: StepText | None = None
        recipe = recipe or problem.recipe
        optimizer, frozen = recipe.optimizer, may_lack_gradients(recipe.groups)
        self.lrs = [recipe.lr]
        built: Any = optimizer
        with IsolatedRun(problem.data, seed=0).inside():
            model = problem.build()
            if inspect.isroutine(optimizer):
                built = build_optimizer(recipe, model)
                self.lrs = lrs_of(each_of(built))
            elif recipe.groups and has_schedule(recipe):
                other = problem.build()
                grouped = build_optimizer(recipe, other, phases_of(recipe, other))
                self.lrs = lrs_of(each_of(grouped))
        self.several, self.closure = isinstance(built, list), needs_closure(built)
        self.small = is_small(model)
        self.kinds = kinds_of(model)
        parameters = tuple(name for name, _ in model.named_parameters())
        self.written = WrittenModel(
            parameters,
            regular=self.built_in
            and all(p.requires_grad for p in model.parameters())
            and not frozen,
            sparse=any(getattr(module, "sparse", False) is True for module in model.modules()),
            sign="sgn" if any(p.is_complex() for p in model.parameters()) else "sign",
        )
        if problem.step is not None:
            self.step = self._own_step(problem)
        loader = self.step.data if self.step else "loader"
        self.data = self._name(problem.data, "make_data", "x, y" if self.pair else loader)
        self.model = self._name(problem.model, "make_model")
        self.loss = self.step.step if self.step else self._name(problem.loss, "loss_fn")
        self.optimizer = self._optimizer(optimizer)
        self.has_data_function = self.data not in ("x, y", loader)
        self.held_out = _call(problem.held_out) if self.built_in else ""
        self.metric = problem.metric_name() if self.held_out else ""
        self.measured: HeldOutText | None = None
        follows = recipe.schedule == PLATEAU and problem.held_out is not None
        if follows or patience_of(problem, recipe):
            self.measured = held_out_text(
                problem,
                model,
                self._name,
                self.step or self.loss,
                "" if self.step else _samples(problem.held_out_data()),
                self.held_out,
            )
        used, defined = _names(self.texts)
        self.missing += sorted(used - defined - KNOWN - self._homes.keys())
        named = [self.loss, self.measured.metric_function if self.measured else ""]
        self.imports = _imports(used | {name.split(".")[0] for name in named})
        for home in sorted({home for home, _ in self._homes.values()}):
            names = sorted(name for where, name in self._homes.values() if where == home)
            self.imports += [f"from {home} import {', '.join(names)}" if names[0] else home]
        self.drawn = other_generators(self.imports, self.texts)
        self.imports += [each.imported for each in self.drawn if each.imported]

    def _optimizer(self, optimizer: OptimizerKind) -> str:
        if isinstance(optimizer, str):
            return f"torch.optim.{optimizer}"
        name = optimizer.__name__
        if _is_installed(optimizer) and (home := _home(name, optimizer)):
            self._homes[name] = (home, name)
            return name
        return self._name(optimizer, "make_optimizer", name if name.isidentifier() else None)

    def _own_step(self, problem: Problem) -> StepText:
        split = self._name(problem.split, "split") if problem.split else ""
        count = self._name(problem.samples, "samples") if problem.samples else ""
        data = problem.batches()
        with IsolatedRun(data, 0).inside():
            first = next(iter(data))
        one = getattr(data, "one", False)
        step = self._name(problem.step, "step")
        return StepText(step, split, one, count, lambda name: _length(first, name) or "1")

    def seeding(self, seed: int, why: str, *settings: str) -> list[Line]:
        """The lines that seed the generators that a run draws from."""
        lines = [Line(f"torch.manual_seed({seed})  # {why}", settings)]
        return lines + [Line(each.seed(seed), settings) for each in self.drawn]

    def samples(self) -> str:
        """The number of samples of a micro-batch (xk, yk), as text: see `samples` in `core`."""
        return _samples(self._batches)

    def batch(self) -> tuple[Any, Any]:
        """The first x and y: all data, or a loader's first batch."""
        if self.pair:
            return self._batches  # type: ignore[return-value]
        return _first(self._batches)

    def _name(self, thing: Any, alias: str, fallback: str | None = None) -> str:
        name = getattr(thing, "__name__", "")
        if name and getattr(functional, name, None) is thing:
            return f"F.{name}"
        written = inspect.isfunction(thing) or inspect.isclass(thing)
        if written and name.isidentifier() and self._write(thing):
            if name not in USED or name == alias:
                return name
            self.texts.append(f"{alias} = {name}")
            return alias
        self.missing.append(fallback or alias)
        return fallback or alias

    def _write(self, thing: Any) -> bool:
        """Add the text of a function or class, after what it uses; False if it has none."""
        try:
            text = _source(thing)
            used, defined = _names([text])
        except (OSError, TypeError, SyntaxError):
            return False
        if thing.__name__ not in defined:  # Python found other lines than those that it runs
            return False
        if text in self.texts:
            return True
        inner = getattr(inspect.unwrap(thing), "__code__", None)
        names = used - defined - KNOWN - USED - set(inner.co_freevars if inner else ())
        home = getattr(sys.modules.get(thing.__module__), "__dict__", {})
        scope = getattr(inspect.unwrap(thing), "__globals__", home)
        for name in sorted(names & scope.keys() - self._seen):
            self._seen.add(name)
            self._provide(name, scope[name], thing.__module__)
        self.texts.append(text)
        return True

    def _provide(self, name: str, value: Any, module: str) -> None:
        """Import, write or set what a function of this module calls by this name, if possible."""
        if isinstance(value, ModuleType):
            alias = "" if value.__name__ == name else f" as {name}"
            self._homes[name] = (f"import {value.__name__}{alias}", "")
        elif type(value) in (bool, int, str) or (type(value) is float and isfinite(value)):
            self.texts.append(f"{name} = {value!r}")
        elif getattr(value, "__module__", None) == module:
            if getattr(value, "__name__", None) == name:
                self._write(value)
        elif home := _home(name, value):
            self._homes[name] = (home, name)


def _samples(data: Any) -> str:
    """The number of samples of a batch (xk, yk) of this data, as text."""
    if is_pair(data):
        return "len(yk)"
    x, y = _first(data)
    counted = _length(y, "yk") or _length(x, "xk")
    return counted or ("len(yk)" if isinstance(y, Sized) else "1")


def _first(batches: Any) -> tuple[Any, Any]:
    """The first batch."""
    with IsolatedRun(batches, 0).inside():
        x, y = next(iter(batches))
    return x, y


def _length(value: Any, text: str) -> str:
    """The length of the first tensor in a value of this name, as text; "" if there is none."""
    if isinstance(value, Tensor):
        return f"len({text})" if value.ndim else "1"
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, (tuple, list)):
        parts = enumerate(value)
    found = (_length(part, f"{text}[{key!r}]") for key, part in parts)
    return next(filter(None, found), "")


def _source(thing: Any) -> str:
    """The text of a function or class, not indented.

    Raises:
        OSError, TypeError: there is none.
    """
    methods = [each for each in vars(thing).values() if inspect.isfunction(each)]
    if not inspect.isclass(thing) or thing.__module__ != "__main__" or not methods:
        return textwrap.dedent(inspect.getsource(thing)).rstrip()
    # Python looks for a class in its module's file, which a notebook has not: its methods know
    lines = linecache.getlines(methods[0].__code__.co_filename)
    place = methods[0].__code__.co_firstlineno
    for node in ast.walk(ast.parse("".join(lines))):
        if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first <= place <= (node.end_lineno or first):
                return textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip()
    raise OSError(f"no text of {thing!r}")


def _is_installed(thing: Any) -> bool:
    """Tell whether the text of a function or class belongs to an installed library."""
    file = getattr(sys.modules.get(thing.__module__), "__file__", None)
    return bool(file and {"site-packages", "dist-packages"} & set(Path(file).parts))


def _home(name: str, value: Any) -> str:
    """The outermost package of a function or class that has it by this name, or nothing."""
    parts = str(getattr(value, "__module__", "")).split(".")
    packages = (".".join(parts[: count + 1]) for count in range(len(parts)))
    having = (each for each in packages if getattr(sys.modules.get(each), name, None) is value)
    return next(having, "")


def _call(function: Any) -> str:
    """The call that a partial function stands for, as text."""
    if not isinstance(function, partial):
        return ""
    options = ", ".join(f"{name}={value!r}" for name, value in function.keywords.items())
    return f"{function.func.__name__}({options})"


def _imports(used: set[str]) -> list[str]:
    """The imports of a program whose functions use these names."""
    lines = ["import math", "", "import torch"]
    if names := ", ".join(name for name in ("Tensor", "nn") if name in used):
        lines += [f"from torch import {names}"]
    return [*lines, *(["from torch.nn import functional as F"] if "F" in used else [])]


def _names(texts: list[str]) -> tuple[set[str], set[str]]:
    """Names that the texts read, and names that they define."""
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    defined = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    defined |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    defined |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            defined |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return {node.id for node in names}, defined
