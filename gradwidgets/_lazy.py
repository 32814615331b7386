"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for a package's face: keeps `import` quick, and views unloaded.

    Args:
        package: the face's own `__name__`.
        places: for each name the module that has it; a name that is itself a module has "".
    """

    def __getattr__(name: str) -> Any:  # noqa: N807, it becomes the module's own
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(places[name] or f"{package}.{name}")
        return getattr(module, name) if places[name] else module

    return __getattr__
