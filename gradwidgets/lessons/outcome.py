"""What an experiment answered to a question, and how that is said to the learner."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gradwidgets.core import not_allowed

WIDTH = 92
"""Characters in a line of text."""


@dataclass(frozen=True)
class Outcome:
    """The choice that an experiment found right, and a sentence with what it measured."""

    choice: str
    sentence: str = ""


def measured(answer: Callable[[], str | tuple[str, str]], choices: Sequence[str]) -> Outcome:
    """Run the experiment.

    Raises:
        ValueError: it returned neither one of the choices nor (choice, sentence).
    """
    found = answer()
    outcome = (
        Outcome(*found) if isinstance(found, tuple) and len(found) == 2 else Outcome(str(found))
    )
    if outcome.choice not in choices:
        raise not_allowed(
            "answer()", found, f"one of {list(choices)}, or (one of them, a sentence)"
        )
    return outcome


def verdict(outcome: Outcome, choice: str | None) -> str:
    """Right or not, what the experiment says, and its figures."""
    says = f"The experiment says: {outcome.choice}."
    if choice is not None:
        says = "Right. " + says if choice == outcome.choice else f"Not so. {says}"
    return f"{says} {outcome.sentence}".strip()


def as_text(outcome: Outcome, choice: str | None, why: Mapping[str, str]) -> str:
    """The verdict, and why each choice is right or wrong, as lines of plain text."""
    reasons = [f"- {each}: {reason}" for each, reason in why.items()]
    lines = [verdict(outcome, choice), *reasons]
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)
