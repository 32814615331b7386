"""The course: for each lesson the questions it asks and the exercises it checks, and `progress`.

The notebooks hold the text and the code that a learner reads. What they call stands here, one
module a lesson: `from gradwidgets.course import start_here`, then `start_here.scale_100()` asks a
question, and `start_here.check_train_step(train_step)` checks an exercise.
"""

from __future__ import annotations

import importlib
from typing import Any

from gradwidgets.lessons import Lesson, Table, classroom

__all__ = ["LESSONS", "progress", "class_progress"]

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


def class_progress() -> Table:
    """Table of the learners of a class, and the lessons that each has done or begun.

    A lesson is done if all its questions are answered and all its exercises solved. Only the
    lecturer of a class (`gradwidgets class`) may see it; where there is no class, it is empty.

    Raises:
        ClassError: you are not the lecturer, or the class does not answer.

    >>> class_progress()
    learner  done  begun
    """
    return Table(["learner", "done", "begun"], map(_learner, classroom.members()))


def _learner(member: dict[str, Any]) -> tuple[str, str, str]:
    """The numbers of the lessons that a learner has done, and that they have begun."""
    solved = {*member["answered"], *member["passed"]}
    done, begun = [], []
    for number, name in enumerate(LESSONS):
        asked = _keys(name)
        if asked and asked <= solved:
            done.append(f"{number:02}")
        elif asked & solved:
            begun.append(f"{number:02}")
    return member["learner"], " ".join(done) or "-", " ".join(begun) or "-"


def _keys(name: str) -> set[str]:
    """The keys of all that a lesson asks and sets."""
    lesson: Lesson = importlib.import_module(f"{__name__}.{name}").lesson
    return {*(each.key for each in lesson.questions.values())} | {
        f"{name}.{exercise}" for exercise in lesson.exercises
    }


def _row(name: str) -> tuple[str, str, str]:
    lesson: Lesson = importlib.import_module(f"{__name__}.{name}").lesson
    answered, solved = lesson.done()
    asked, set_ = len(lesson.questions), len(lesson.exercises)
    return name, f"{answered} of {asked}", f"{solved} of {set_}"
