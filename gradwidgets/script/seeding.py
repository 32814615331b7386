"""The generators of Python and of NumPy in a program whose functions draw from them."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

CALLS = {
    "random": ("{}.seed({})", "{}.getstate()", "{}.setstate({})"),
    "numpy": ("{}.random.seed({})", "{}.random.get_state()", "{}.random.set_state({})"),
}
"""By module: what seeds its generator, reads its state, and puts one back."""
MODULES: dict[str, ModuleType] = {"random": random, "numpy": np}
USUAL = {"random": ("random", "python_random"), "numpy": ("np", "numpy")}
"""Names for a module that a program has not imported: the second where the first is taken."""


@dataclass(frozen=True)
class OtherGenerator:
    """A global generator that is not torch's.

    Args:
        module: "random" or "numpy".
        name: the module's name in the program.
        imported: the line that imports it; "" where the program does so anyway.

    >>> OtherGenerator("numpy", "np").seed(3), OtherGenerator("random", "random").state
    ('np.random.seed(3)', 'random.getstate()')
    """

    module: str
    name: str
    imported: str = ""

    def seed(self, seed: int) -> str:
        """The statement that seeds it as `train` does."""
        number = seed % 2**32 if self.module == "numpy" else seed
        return CALLS[self.module][0].format(self.name, number)

    @property
    def state(self) -> str:
        """The text of its state."""
        return CALLS[self.module][1].format(self.name)

    def restore(self, state: str) -> str:
        """The statement that puts it back to a state of this name."""
        return CALLS[self.module][2].format(self.name, state)

    @property
    def names(self) -> dict[str, ModuleType]:
        """The module by its name in the program."""
        return {self.name: MODULES[self.module]}


def other_generators(imports: Sequence[str], texts: Sequence[str]) -> tuple[OtherGenerator, ...]:
    """The generators of Python and of NumPy that a program draws from, as far as its text tells.

    Args:
        imports: the first lines of the program.
        texts: its functions and classes.

    >>> other_generators(["import numpy as np"], ["noise = lambda: np.random.rand()"])
    (OtherGenerator(module='numpy', name='np', imported=''),)
    >>> other_generators(["import numpy as np"], ["one = lambda: np.ones(3)"])
    ()
    """
    first = ast.parse("\n".join(imports))
    everything = [node for text in texts for node in ast.walk(ast.parse(text))]
    everything += ast.walk(first)
    above = {module: alias for module, alias in _imported(ast.walk(first)) if alias}
    taken = {alias for _, alias in _imported(ast.walk(first))} | _names(first)
    modules = {module for module, _ in _imported(everything)}
    arrays = {alias for module, alias in _imported(everything) if module == "numpy"}
    drawn = {"random": "random" in modules, "numpy": "numpy.random" in modules}
    drawn["numpy"] |= any(_is_random(node, arrays) for node in everything)
    found = []
    for module in [name for name, draws in drawn.items() if draws]:
        if module in above:
            found.append(OtherGenerator(module, above[module]))
            continue
        name = next(name for name in USUAL[module] if name not in taken)
        alias = "" if name == module else f" as {name}"
        found.append(OtherGenerator(module, name, f"import {module}{alias}"))
    return tuple(found)


def _imported(nodes: Any) -> Iterator[tuple[str, str]]:
    """The modules that are imported, each with its name; "" where only parts of it have names."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                own = alias.asname or ("" if "." in alias.name else alias.name)
                yield alias.name, own
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                part = f"{node.module}.{alias.name}"
                yield (part if part == "numpy.random" else node.module), ""


def _names(tree: ast.AST) -> set[str]:
    """The names that imports define."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def _is_random(node: ast.AST, arrays: set[str]) -> bool:
    """Tell whether a node is `np.random`, by one of NumPy's names."""
    own = isinstance(node, ast.Attribute) and node.attr == "random" and node.value
    return isinstance(own, ast.Name) and own.id in arrays
