"""Pieces for teaching: predictions to commit to, scenes for a lecture, a table of tested claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily

if TYPE_CHECKING:
    from gradwidgets.lessons.claims import VERDICTS
    from gradwidgets.lessons.fact_check import FactCheck
    from gradwidgets.lessons.lesson import Lesson
    from gradwidgets.lessons.predict import Predict
    from gradwidgets.lessons.settled import Settled
    from gradwidgets.lessons.table import Table
    from gradwidgets.lessons.walkthrough import Scene, Walkthrough

__all__ = ["Predict", "Lesson", "Table", "Scene", "Walkthrough", "FactCheck", "Settled", "VERDICTS"]

__getattr__ = lazily(  # old homework imports `lessons.grading`, and is graded without widgets
    __name__,
    {
        "Predict": "gradwidgets.lessons.predict",
        "Lesson": "gradwidgets.lessons.lesson",
        "Table": "gradwidgets.lessons.table",
        "Scene": "gradwidgets.lessons.walkthrough",
        "Walkthrough": "gradwidgets.lessons.walkthrough",
        "FactCheck": "gradwidgets.lessons.fact_check",
        "Settled": "gradwidgets.lessons.settled",
        "VERDICTS": "gradwidgets.lessons.claims",
    },
)
