"""`Lesson`: the questions and exercises that a lesson's notebook calls by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, ParamSpec

import torch

from gradwidgets.lessons import classroom, progress
from gradwidgets.lessons.predict import Predict

PASSED = "Right"
"""A check's text begins with this if the exercise is solved, and with "Not yet" if it is not."""

Experiment = Callable[..., tuple[str, str]]
Asked = ParamSpec("Asked")


@dataclass(frozen=True)
class Question:
    """A question of a lesson; calling it shows it, with the learner's earlier answer if kept.

    Args:
        key: lesson and name, under which the answer is kept.
        text: the question itself; words between backticks are set as code.
        why: for each choice, in the order shown, why it is right or what is wrong with it.
        experiment: returns the right choice and a sentence with what was measured. What the
            question is called with is handed to it.
    """

    key: str
    text: str
    why: Mapping[str, str]
    experiment: Experiment

    def __call__(self, *args: Any, tally: bool = False) -> Predict:
        """The question as a widget; with `tally` for a room, as in `Predict`."""
        answer = wraps(self.experiment)(partial(self.experiment, *args))
        return Predict(self.text, list(self.why), answer, self.why, tally=tally, key=self.key)


class Lesson:
    """Collects what one lesson asks, and what its exercises check.

    Args:
        name: the lesson's name, as in its notebook's file name.

    Attributes:
        questions: each `Question` by the name of its experiment.
        exercises: each check by its name.

    >>> lesson = Lesson("arithmetic")
    >>> @lesson.question("Is `2 + 2` more than 3?", {"yes": "It is 4.", "no": "Count again."})
    ... def more() -> tuple[str, str]:
    ...     return "yes" if 2 + 2 > 3 else "no", f"It is {2 + 2}."
    >>> more
    Question(key='arithmetic.more', text='Is `2 + 2` more than 3?', ...
    >>> @lesson.exercise
    ... def check_sum(total: int) -> str:
    ...     return "Right." if total == 4 else f"Not yet: 2 + 2 is not {total}."
    >>> check_sum(5)
    'Not yet: 2 + 2 is not 5.'
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.questions: dict[str, Question] = {}
        self.exercises: dict[str, Callable[..., str]] = {}

    def question(self, text: str, why: Mapping[str, str]) -> Callable[[Experiment], Question]:
        """Make an experiment the answer to a question; see `Question`."""

        def asked(experiment: Experiment) -> Question:
            name = experiment.__name__
            self.questions[name] = Question(f"{self.name}.{name}", text, why, experiment)
            return self.questions[name]

        return asked

    def exercise(self, check: Callable[Asked, str]) -> Callable[Asked, str]:
        """Keep that an exercise has passed when its check says so."""

        @wraps(check)
        def checked(*args: Asked.args, **kwargs: Asked.kwargs) -> str:
            with torch.random.fork_rng(devices=[]):  # the learner's draws stay as they are
                said = check(*args, **kwargs)
            if said.startswith(PASSED):
                key = f"{self.name}.{check.__name__}"
                progress.keep_passed(key)
                classroom.send_passed(key)
            return said

        self.exercises[check.__name__] = checked
        return checked

    def done(self) -> tuple[int, int]:
        """Number of the lesson's questions that are answered, and of its exercises solved."""
        answered = [progress.choice(each.key) for each in self.questions.values()]
        solved = [progress.passed(f"{self.name}.{name}") for name in self.exercises]
        return len(answered) - answered.count(None), sum(solved)
