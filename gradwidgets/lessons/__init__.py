"""What teaching adds: predictions to commit to, scenes for a lecture, a table of tested claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradwidgets._lazy import lazily

if TYPE_CHECKING:
    from gradwidgets.lessons.predict import Predict
    from gradwidgets.lessons.scene import Scene
    from gradwidgets.lessons.walkthrough import Walkthrough

__all__ = ["Predict", "Scene", "Walkthrough"]


__getattr__ = lazily(  # old homework imports `lessons.grading`, and is graded without widgets
    __name__,
    {
        "Predict": "gradwidgets.lessons.predict",
        "Scene": "gradwidgets.lessons.scene",
        "Walkthrough": "gradwidgets.lessons.walkthrough",
    },
)
