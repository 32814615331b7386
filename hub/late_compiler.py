"""PyTorch's compiler, loaded when something is compiled and not at the first optimizer step.

`torch.optim` imports `torch._dynamo` only to tell it what not to compile. That takes 70 MB and a
second in every kernel. After `install()` a stand-in listens, until it is asked for anything else.
`ipython_config.py` beside this file makes it an extension of IPython that every kernel loads.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


def load_ipython_extension(_: object) -> None:
    """Install it in a kernel: IPython calls this."""
    install()


def install() -> None:
    """Give the stand-in to `import torch._dynamo` from now on, unless the compiler is there."""
    if COMPILER not in sys.modules:
        sys.meta_path.insert(0, LateLoader())


class StandIn(ModuleType):
    """What `torch._dynamo` is until it is needed."""

    def graph_break(self, *_: Any, **__: Any) -> None:
        """Nothing is being compiled, so there is nothing to interrupt."""

    def disable(self, fn: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Nothing compiles an optimizer's function yet; any other is a matter for the compiler."""
        if not str(getattr(fn, "__module__", "")).startswith("torch.optim."):
            return load().disable(fn, *args, **kwargs)
        vars(self).setdefault("_functions", []).append(fn)
        return fn

    def forget(self) -> None:
        """Have torch ask the compiler itself about the functions it has asked about so far."""
        for fn in vars(self).get("_functions", []):
            vars(fn).pop("__dynamo_disable", None)  # where torch keeps the answer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python asks every module
            raise AttributeError(f"module {COMPILER!r} has no attribute {name!r}")
        return getattr(load(), name)


class LateLoader(MetaPathFinder, Loader):
    """Finds the stand-in; loads the compiler when one of its own modules is imported."""

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """The stand-in, or a module of the compiler that has just been loaded."""
        if name == COMPILER:
            return ModuleSpec(name, self, is_package=True)
        if not name.startswith(COMPILER + "."):
            return None
        load()
        found = importlib.import_module(name)
        return ModuleSpec(name, self, loader_state=(found, found.__spec__))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A new stand-in; what has been loaded is not made again."""
        return spec.loader_state[0] if spec.loader_state else StandIn(COMPILER)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do, but to give a loaded module its own spec back."""
        if module.__spec__ and module.__spec__.loader_state:
            module.__spec__ = module.__spec__.loader_state[1]


def load() -> Any:
    """The compiler itself, now in the place of its stand-in."""
    stand_in = sys.modules.get(COMPILER)
    if isinstance(stand_in, StandIn):
        sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, LateLoader)]
        del sys.modules[COMPILER]
        importlib.import_module(COMPILER)
        stand_in.forget()
    return sys.modules[COMPILER]
