"""Homework functions judged by what they do, on numbers that belong to each student."""

from gradwidgets.grading.grade import TASKS, grade, judge
from gradwidgets.grading.verdict import Check, Task, Verdict, Wrong, total

__all__ = ["grade", "judge", "total", "Verdict", "Check", "Task", "Wrong", "TASKS"]
