"""The step of nbgrader's release that applies `course.toml`: language, texts and points."""

from __future__ import annotations

from typing import Any

from nbgrader.preprocessors import NbGraderPreprocessor

from gradwidgets_homework.language import course_settings, gettext
from gradwidgets_homework.release import translated, with_points
from gradwidgets_homework.settings import FILE, course, load


class CourseFile(NbGraderPreprocessor):  # type: ignore[misc]
    """Puts a notebook into the course's language, and gives its tasks the course's points."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Change the notebook's texts, and the points of its graded cells."""
        from gradwidgets.grading import TASKS

        load(course() / FILE, {*TASKS, "why"})  # refuses a task that there is not
        translated(nb.cells, gettext)
        with_points(nb.cells, course_settings())
        return nb, resources
