"""Homework functions judged by what they do, on numbers that belong to each student.

The judge and its oracle are here. A student's code runs in a process of its own,
`gradwidgets_worker`, which gets questions as data and answers with data.
"""

from gradwidgets.grading.check import Task, Verdict, total
from gradwidgets.grading.judge import TASKS, Result, grade, judge
from gradwidgets.grading.notebook import (
    CellRun,
    Report,
    Submission,
    files_beside,
    grade_notebook,
    judge_submission,
)
from gradwidgets.grading.process import Workers
from gradwidgets.grading.sandbox import Limits, isolation

__all__ = [
    "CellRun",
    "Limits",
    "Report",
    "Result",
    "Submission",
    "TASKS",
    "Task",
    "Verdict",
    "Workers",
    "files_beside",
    "grade",
    "grade_notebook",
    "isolation",
    "judge",
    "judge_submission",
    "total",
]
