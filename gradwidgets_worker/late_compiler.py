"""PyTorch's compiler, loaded only if something asks for it.

`torch.optim` imports `torch._dynamo` at the first step, to tell it what not to compile: two seconds
of each worker, for nothing. The stand-in is that of `hub/late_compiler.py`, for a process that is
short-lived.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAME = "torch._dynamo"


def install() -> None:
    """Give the stand-in to `import torch._dynamo` from now on, unless the compiler is there."""
    if NAME not in sys.modules:
        sys.meta_path.insert(0, LateLoader())


class StandIn(ModuleType):
    """Stands for the compiler until something of it is needed."""

    def graph_break(self) -> None:
        """Nothing is being compiled, so there is nothing to interrupt."""

    def disable(self, fn: Any = None, *args: Any, **options: Any) -> Any:
        """Nothing compiles an optimizer's function; any other is a matter for the compiler."""
        if str(getattr(fn, "__module__", "")).startswith("torch.optim."):
            return fn
        return load().disable(fn, *args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python asks every module
            raise AttributeError(f"module {NAME!r} has no attribute {name!r}")
        return getattr(load(), name)


class LateLoader(MetaPathFinder, Loader):
    """Finds the stand-in; loads the compiler when one of its own modules is imported."""

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """The stand-in, or a module of the compiler that has just been loaded."""
        if name == NAME:
            return ModuleSpec(name, self, is_package=True)
        if not name.startswith(f"{NAME}."):
            return None
        load()
        found = importlib.import_module(name)
        return ModuleSpec(name, self, loader_state=(found, found.__spec__))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A new stand-in; what has been loaded is not made again."""
        return spec.loader_state[0] if spec.loader_state else StandIn(NAME)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do, but to give a loaded module its own spec back."""
        if module.__spec__ and module.__spec__.loader_state:
            module.__spec__ = module.__spec__.loader_state[1]


def load() -> Any:
    """The compiler itself, now in the place of its stand-in."""
    if isinstance(sys.modules.get(NAME), StandIn):
        sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, LateLoader)]
        del sys.modules[NAME]
        importlib.import_module(NAME)
    return sys.modules[NAME]
