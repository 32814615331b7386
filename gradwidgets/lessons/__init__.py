"""What teaching adds: predictions to commit to, scenes for a lecture, and homework checks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradwidgets.lessons import grading
    from gradwidgets.lessons.predict import Predict
    from gradwidgets.lessons.scene import Scene
    from gradwidgets.lessons.walkthrough import Walkthrough

__all__ = ["Predict", "Scene", "Walkthrough", "grading"]

_LATER = {"Predict": "predict", "Scene": "scene", "Walkthrough": "walkthrough"}


def __getattr__(name: str) -> Any:
    if name in _LATER:  # homework is graded without widgets
        return getattr(importlib.import_module(f"gradwidgets.lessons.{_LATER[name]}"), name)
    if name == "grading":
        return importlib.import_module("gradwidgets.grading")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
