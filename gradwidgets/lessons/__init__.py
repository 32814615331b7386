"""What teaching adds: predictions to commit to before the experiment runs, and homework checks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradwidgets.lessons import grading
    from gradwidgets.lessons.predict import Predict

__all__ = ["Predict", "grading"]


def __getattr__(name: str) -> Any:
    if name == "Predict":  # homework is graded without widgets
        return importlib.import_module("gradwidgets.lessons.predict").Predict
    if name == "grading":
        return importlib.import_module("gradwidgets.lessons.grading")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
