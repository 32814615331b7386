"""Pieces for teaching: predictions to commit to, scenes for a lecture, a table of tested claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily

if TYPE_CHECKING:
    from gradwidgets.lessons import classroom
    from gradwidgets.lessons.claims import VERDICTS
    from gradwidgets.lessons.fact_check import FactCheck
    from gradwidgets.lessons.lecture import handout
    from gradwidgets.lessons.lesson import Lesson
    from gradwidgets.lessons.predict import Predict
    from gradwidgets.lessons.settled import Settled
    from gradwidgets.lessons.table import Table
    from gradwidgets.lessons.walkthrough import Scene, Walkthrough

__all__ = [
    "Predict",
    "Lesson",
    "Table",
    "Scene",
    "Walkthrough",
    "handout",
    "FactCheck",
    "Settled",
    "VERDICTS",
    "classroom",
]

__getattr__ = lazily(
    __name__,
    {
        "Predict": "gradwidgets.lessons.predict",
        "Lesson": "gradwidgets.lessons.lesson",
        "Table": "gradwidgets.lessons.table",
        "Scene": "gradwidgets.lessons.walkthrough",
        "Walkthrough": "gradwidgets.lessons.walkthrough",
        "handout": "gradwidgets.lessons.lecture",
        "FactCheck": "gradwidgets.lessons.fact_check",
        "Settled": "gradwidgets.lessons.settled",
        "VERDICTS": "gradwidgets.lessons.claims",
        "classroom": "",
    },
)
