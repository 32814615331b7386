"""`Predict`: commit to an answer first; then the experiment runs and says what is right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from gradwidgets.components import StaticFallback, script_of, style_of
from gradwidgets.core import Flag, Text, not_allowed
from gradwidgets.lessons.outcome import Outcome, as_text, measured, verdict


class Predict(StaticFallback, anywidget.AnyWidget):
    """A question whose answer is measured, and only after the learner has committed to a choice.

    Where no widgets can live it shows as text: the question, the choices and where it stands.

    Args:
        question: what to predict; words between backticks are set as code.
        choices: at least two different texts.
        answer: runs the experiment and returns the right choice, or (right choice, a sentence
            with the figures measured). Called once, when it is first needed.
        why: for any of the choices, why it is right or what is wrong with it.
        tally: ask a room: the hands for each choice are counted and typed in, and the choice with
            most of them is committed to.

    Raises:
        ValueError: an argument is not usable; names it and what would be right.
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    question = traitlets.Unicode().tag(sync=True)
    choices: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    tally = traitlets.Bool(False).tag(sync=True)
    votes: traitlets.List[int] = traitlets.List(traitlets.Int(min=0)).tag(sync=True)
    chosen = traitlets.Int(-1).tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        question: str,
        choices: Sequence[str],
        answer: Callable[[], str | tuple[str, str]],
        why: Mapping[str, str] | None = None,
        tally: bool = False,
    ) -> None:
        _check(question, choices, answer, why or {})
        Flag()("tally", tally)
        votes = [0] * len(choices)
        super().__init__(question=question, choices=list(choices), tally=tally, votes=votes)
        self._answer = answer
        self._why = dict(why or {})
        self._outcome: Outcome | None = None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self.on_msg(self._received)

    @property
    def choice(self) -> str | None:
        """What the learner committed to, or None."""
        return self.choices[self.chosen] if self.chosen >= 0 else None

    @property
    def answered(self) -> bool:
        """Whether the learner has committed to a choice."""
        return self.chosen >= 0

    @property
    def right(self) -> bool | None:
        """Whether the learner's choice is what was measured; None before one is made."""
        return bool(self.shown["right"]) if self.answered else None

    def commit(self, choice: str) -> None:
        """Commit to a choice, run the experiment and show what it says. The first choice counts.

        Raises:
            ValueError: there is no such choice, or the experiment found none of the choices.
        """
        if choice not in self.choices:
            raise not_allowed("choice", choice, f"one of {list(self.choices)}")
        if self.answered:
            return
        outcome = self._measured()
        with self.hold_sync():
            self.error = ""
            self.shown = {
                "right": choice == outcome.choice,
                "answer": self.choices.index(outcome.choice),
                "verdict": " ".join(filter(None, [verdict(outcome, choice), self._hands(outcome)])),
                "why": [self._why.get(each, "") for each in self.choices],
            }
            self.chosen = self.choices.index(choice)

    def reveal(self) -> str:
        """What the experiment says, as text; a question that is open stays open.

        Before the commitment this explains every choice; after it the page does.
        """
        why = {} if self.answered else self._why
        return as_text(self._measured(), self.choice, why)

    def close(self) -> None:
        """Remove the widget."""
        self.layout.close()
        super().close()

    def _hands(self, outcome: Outcome) -> str:
        """How much of the room was right; "" if nobody has been counted."""
        right = self.votes[self.choices.index(outcome.choice)]
        return f"{right} of {sum(self.votes)} hands were right." if sum(self.votes) else ""

    def _measured(self) -> Outcome:
        self._outcome = self._outcome or measured(self._answer, self.choices)
        return self._outcome

    def _received(self, _: Any, message: Any, __: Any) -> None:
        """Front ends deliver this on other threads too; experiments run on the kernel's own."""
        if not isinstance(message, dict) or message.get("kind") != "commit":
            return
        said = message.get("choice"), message.get("votes")
        if self._loop is None:
            self._try(*said)
        else:
            self._loop.call_soon_threadsafe(self._try, *said)

    def _try(self, choice: Any, votes: Any) -> None:
        try:
            if votes:
                self.votes = votes
            self.commit(choice)
        except Exception as error:  # the experiment may raise anything; the question stays open
            self.error = ""  # the same error again must reach the page again
            self.error = f"The experiment failed: {type(error).__name__}: {error}"

    def __repr__(self) -> str:
        """The question, the choices, and where it stands."""
        marks = ["(x)" if each == self.choice else "( )" for each in self.choices]
        hands = [f": {votes}" if any(self.votes) else "" for votes in self.votes]
        lines = [self.question, *map("  {} {}{}".format, marks, self.choices, hands)]
        if not self.answered:
            return "\n".join([*lines, "Not answered yet."])
        return "\n".join([*lines, as_text(self._measured(), self.choice, self._why)])

    @property
    def widget(self) -> anywidget.AnyWidget:
        """Itself."""
        return self


def _check(question: object, choices: Sequence[str], answer: object, why: Any) -> None:
    Text()("question", question)
    texts = [] if isinstance(choices, str) else list(choices)
    if len(texts) < 2 or len(set(map(str, texts))) < len(texts):
        raise not_allowed("choices", choices, "at least two different texts")
    for text in texts:
        Text()("choices", text)
    if not callable(answer):
        raise not_allowed("answer", answer, "a function that runs the experiment")
    for choice in why:
        if choice not in texts:
            raise not_allowed("why", choice, f"reasons for the choices {texts} only")
