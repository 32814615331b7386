"""The course: for each lesson the questions it asks and the exercises it checks, and `progress`.

The notebooks hold the text and the code that a learner reads. What they call stands here, one
module a lesson: `from gradwidgets.course import start_here`, then `start_here.scale_100()` asks a
question, and `start_here.check_train_step(train_step)` checks an exercise.
"""

from __future__ import annotations

import importlib

from gradwidgets.lessons import Lesson, Table

__all__ = ["LESSONS", "progress"]

LESSONS = (
    "start_here",
    "autograd_and_grad",
    "clearing_gradients",
    "scaling_gradients",
    "masking_gradients",
    "penalties",
    "accumulation",
    "inside_the_optimizer",
    "the_training_loop",
    "why_do_my_parameters_not_update",
    "watching_convergence",
    "fact_check",
    "beyond_one_process",
    "schedules",
    "hooks",
    "fine_tuning",
    "batch_and_bits",
)
"""The modules of this folder in the order of the course."""


def progress() -> Table:
    """Table of the questions answered and the exercises solved in each lesson.

    >>> progress().head
    ['lesson', 'questions', 'exercises']
    """
    return Table(["lesson", "questions", "exercises"], [_row(name) for name in LESSONS])


def _row(name: str) -> tuple[str, str, str]:
    lesson: Lesson = importlib.import_module(f"{__name__}.{name}").lesson
    answered, solved = lesson.done()
    asked, set_ = len(lesson.questions), len(lesson.exercises)
    return name, f"{answered} of {asked}", f"{solved} of {set_}"
