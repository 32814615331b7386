"""Find functions that are not the ones that their files define: they have been replaced.

A replaced `torch.optim.SGD.step` or `torch.allclose` may make wrong code look right. No list of
what was there before is needed: a function is genuine if its code is in the file that it names,
and code typed into a notebook is in no file.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib.machinery
import math
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

HOLDERS = (
    *(torch, torch.Tensor, torch.autograd, torch.autograd.graph),
    *(nn.functional, nn.utils, nn.Module, nn.Parameter),
    *(nn.Linear, nn.LayerNorm, nn.Tanh, nn.Sequential),
    *(torch.optim, torch.optim.Optimizer, torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW),
    *(sys.modules[f"torch.optim.{name}"] for name in ("optimizer", "sgd", "adam")),
    *(np, np.linalg, math, random, builtins),
)
"""Modules and classes that the checks rely on, or that students might think they rely on."""


def replaced_functions(holders: Iterable[Any] = HOLDERS) -> list[str]:
    """The names of all functions in these modules and classes that are not genuine."""
    files: dict[str, set[CodeType]] = {}
    found = set()
    for holder in holders:
        module = f"{holder.__module__}." if isinstance(holder, type) else ""
        for name, value in list(vars(holder).items()):
            if not all(_is_genuine(each, files) for each in _functions(value)):
                found.add(f"{module}{holder.__name__}.{name}")
    return sorted(found)


def replaced_in(modules: Mapping[str, Any]) -> list[str]:
    """The same for loaded modules by their names, of which none may be anything else."""
    objects = [name for name, module in modules.items() if type(module) is not ModuleType]
    genuine = [module for module in modules.values() if type(module) is ModuleType]
    return objects + replaced_functions(genuine)


def hooks_and_modes() -> list[str]:
    """Global hooks and modes, by which torch itself lets code stand between it and its callers."""
    hooks = [
        f"what every module or optimizer does ({name.strip('_')})"
        for module in (sys.modules["torch.optim.optimizer"], sys.modules["torch.nn.modules.module"])
        for name, value in vars(module).items()
        if name.startswith("_global_") and isinstance(value, dict) and value
    ]
    modes = torch._C._len_torch_function_stack() + torch._C._len_torch_dispatch_stack()
    return hooks + ["what every function of torch does (a mode)"] * bool(modes)


def _functions(value: Any, depth: int = 4) -> Iterator[Any]:
    """A function and what it wraps, whatever it is wrapped in."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, functools.partial):
        value = value.func
    if "__main__" in (type(value).__module__, isinstance(value, type) and value.__module__):
        yield value
    if not isinstance(value, FunctionType):
        return
    yield value
    for cell in value.__closure__ or () if depth else ():
        with contextlib.suppress(ValueError):  # an empty cell
            yield from _functions(cell.cell_contents, depth - 1)


def _is_genuine(value: Any, files: dict[str, set[CodeType]]) -> bool:
    """True for a function of a file that has its code; `files` keeps the code of each."""
    if not isinstance(value, FunctionType):
        return False
    path = value.__code__.co_filename
    if path.startswith("<frozen "):
        return True
    if path not in files:
        files[path] = _codes(path)
    return value.__code__ in files[path]


def _codes(path: str) -> set[CodeType]:
    """Every piece of code in a file."""
    try:
        code = importlib.machinery.SourceFileLoader("file", path).get_code("file")
    except (OSError, ImportError, SyntaxError, ValueError):
        return set()
    found, waiting = set(), [code] if code else []
    while waiting:
        piece = waiting.pop()
        found.add(piece)
        waiting += [each for each in piece.co_consts if isinstance(each, CodeType)]
    return found
