"""Homework functions judged by what they do, on numbers that belong to each student."""

from gradwidgets.grading.check import Verdict, total
from gradwidgets.grading.grade import TASKS, grade, judge

__all__ = ["grade", "judge", "total", "Verdict", "TASKS"]
