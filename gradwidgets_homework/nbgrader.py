"""The parts of the course's `nbgrader_config.py` that outlive it.

Formgrader is one process for hours. It runs that file again at each visit, perhaps for another
course, and in whatever folder it was started.
"""

from __future__ import annotations

import atexit
import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any

from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor

from gradwidgets_homework.language import course_settings, gettext
from gradwidgets_homework.release import translated, with_points
from gradwidgets_homework.settings import FILE, course, load

if TYPE_CHECKING:
    from gradwidgets.grading import Workers

WIDTH = 96
"""Letters in a line: in Formgrader and in feedback what is longer is cut off at the right."""


class CourseFile(NbGraderPreprocessor):  # type: ignore[misc]
    """Puts a notebook into the course's language, and gives its tasks the course's points."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Change the notebook's texts, and the points of its graded cells."""
        from gradwidgets.grading import TASKS

        load(course() / FILE, {*TASKS, "why"})  # refuses a task that there is not
        translated(nb.cells, gettext)
        with_points(nb.cells, course_settings())
        return nb, resources


class ClearToStubs(ClearSolutions):  # type: ignore[misc]
    """Takes the solutions out; what stands in their place is in the course's language."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Choose the language now: nbgrader is in the course's folder only while it converts."""
        self.code_stub = {"python": gettext("...  # your lines")}
        self.text_stub = gettext("Your answer.")
        nb, resources = super().preprocess(nb, resources)
        return nb, resources


@cache
def workers() -> Workers:
    """The judge's workers of this process, of which one at most waits for the next notebook."""
    from gradwidgets.grading import Workers

    supply = Workers(ahead=1)
    atexit.register(supply.end)
    return supply


def in_lines(text: str) -> str:
    """The text with no line longer than `WIDTH`, as far as its words allow; indents stay.

    >>> print(in_lines("  It moves. " + "Where is " * 10 + "it?"))
      It moves. Where is Where is Where is Where is Where is Where is Where is Where is Where is
      Where is it?
    """
    return "\n".join(part for line in text.split("\n") for part in _parts(line))


def _parts(line: str) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    parts = textwrap.wrap(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return parts or [""]
