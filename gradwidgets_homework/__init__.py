"""Homework for those who teach: solutions under lock, downloads in, marks out, languages.

It stands outside `gradwidgets` and loads no PyTorch, so that its commands answer at once. The
judge of homework is `gradwidgets.grading`.
"""

from gradwidgets_homework.archive import files_of, lock, unlock
from gradwidgets_homework.collect import Collected, collect
from gradwidgets_homework.language import course_settings, gettext, languages, marked
from gradwidgets_homework.marks import (
    Filled,
    Mark,
    canvas,
    fill,
    from_gradebook,
    from_table,
    moodle,
)
from gradwidgets_homework.people import Person, roster
from gradwidgets_homework.release import translated, with_points
from gradwidgets_homework.settings import Settings, load
from gradwidgets_homework.table import Table, read

__all__ = [
    "lock",
    "unlock",
    "files_of",
    "collect",
    "Collected",
    "Table",
    "read",
    "Person",
    "roster",
    "Mark",
    "from_gradebook",
    "from_table",
    "moodle",
    "canvas",
    "fill",
    "Filled",
    "Settings",
    "load",
    "course_settings",
    "gettext",
    "marked",
    "languages",
    "translated",
    "with_points",
]
