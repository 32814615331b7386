"""`Predict`: commit to an answer first; then the experiment runs and says what is right."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import anywidget
import torch
import traitlets

from gradwidgets.components import LoopScheduler, StaticFallback, script_of, style_of
from gradwidgets.core import not_allowed, validate
from gradwidgets.lessons import classroom, progress

LINE = 92
"""Characters in a line of text."""

OPEN = "Commit to an answer first."


@dataclass(frozen=True)
class Outcome:
    """The choice that an experiment found right, and a sentence with what it measured."""

    choice: str
    sentence: str = ""

    def verdict(self, choice: str | None) -> str:
        """Right or not (nothing if no choice is made), what the experiment says, its figures."""
        judged = "" if choice is None else "Right. " if choice == self.choice else "Not so. "
        return f"{judged}The experiment says: {self.choice}. {self.sentence}".strip()


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
            most of them is committed to. Where there is a class (`gradwidgets class`), a button
            asks it, too, and its answers are drawn as they come. Nothing is kept in the file.
        key: the name under which the learner's choice is kept in `progress.json`, and sent to a
            class if there is one. A question with a key that was answered before is made with
            that answer. Empty: not kept, and not sent.

    Raises:
        ValueError: an argument is not usable; names it and what would be right.

    >>> question = Predict("Is `2 + 2` more than 3?", ["yes", "no"], lambda: ("yes", "It is 4."))
    >>> question.commit("yes")
    >>> question
    Is `2 + 2` more than 3?
      (x) yes
      ( ) no
    Right. The experiment says: yes. It is 4.
    """

    _esm = script_of(__file__, "presenter", "lecture")
    _css = style_of(__file__, "lecture")
    question = traitlets.Unicode().tag(sync=True)
    choices: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    tally = traitlets.Bool(False).tag(sync=True)
    votes: traitlets.List[int] = traitlets.List(traitlets.Int(min=0)).tag(sync=True)
    chosen = traitlets.Int(-1).tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    class_votes: traitlets.List[int] = traitlets.List(traitlets.Int(min=0)).tag(sync=True)
    class_line = traitlets.Unicode().tag(sync=True)
    class_button = traitlets.Unicode().tag(sync=True)
    _poll: classroom.Poll | None = None

    def __init__(
        self,
        question: str,
        choices: Sequence[str],
        answer: Callable[[], str | tuple[str, str]],
        why: Mapping[str, str] | None = None,
        tally: bool = False,
        key: str = "",
    ) -> None:
        _check(question, choices, answer, why or {})
        validate.Flag()("tally", tally)
        votes = [0] * len(choices)
        super().__init__(question=question, choices=list(choices), tally=tally, votes=votes)
        self._answer = answer
        self._why = dict(why or {})
        self._outcome: Outcome | None = None
        self._scheduler = LoopScheduler()
        self._key = ""
        self.on_msg(self._received)
        if not tally and (before := progress.choice(key)) in self.choices:
            self._try(before, [])
        self._key = key or (_key_of(question, choices) if tally else "")
        self._show_class()

    @property
    def choice(self) -> str | None:
        """The choice that the learner committed to, or None."""
        return self.choices[self.chosen] if self.answered else None

    @property
    def answered(self) -> bool:
        """True if the learner has committed to a choice."""
        return self.chosen >= 0

    @property
    def right(self) -> bool | None:
        """True if the learner's choice is what was measured; None before one is made."""
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
        answer, verdict = self.choices.index(outcome.choice), outcome.verdict(choice)
        if voters := sum(votes := self._all_votes()):
            kind = "answers" if any(self.class_votes) else "hands"
            verdict += f" {votes[answer]} of {voters} {kind} were right."
        with self.hold_sync():
            self.error = ""
            self.shown = {
                "right": choice == outcome.choice,
                "answer": answer,
                "verdict": verdict,
                "why": [self._why.get(each, "") for each in self.choices],
                "experiment": _body_of(self._answer),
            }
            self.chosen = self.choices.index(choice)
        if self.tally:
            self._end_poll()
        elif self._key:
            progress.keep_choice(self._key, choice)
            classroom.send_choice(self._key, choice, self._not_sent)
        self.show_static_again()

    def reveal(self, show: bool = False) -> str:
        """Return what the experiment says; before the commitment only that one has to commit.

        Args:
            show: say it before the commitment too, with a reason for every choice, as a lecturer
                does. The question stays open.

        Raises:
            ValueError: the experiment found none of the choices.
        """
        if not (self.answered or show):
            return OPEN
        return self._explained({} if self.answered else self._why)

    def close(self) -> None:
        """Remove the widget."""
        if self._poll:
            self._poll.end()
        self.layout.close()
        super().close()

    def _measured(self) -> Outcome:
        if self._outcome is None:
            with torch.random.fork_rng(devices=[]):  # the learner's draws stay as they are
                found = self._answer()
            pair = isinstance(found, tuple) and len(found) == 2
            outcome = Outcome(*found) if pair else Outcome(str(found))
            if outcome.choice not in self.choices:
                allowed = f"one of {list(self.choices)}, or (one of them, a sentence)"
                raise not_allowed("answer()", found, allowed)
            self._outcome = outcome
        return self._outcome

    def _explained(self, why: Mapping[str, str]) -> str:
        """The verdict, and why each choice is right or wrong, as lines of plain text."""
        reasons = [f"- {choice}: {reason}" for choice, reason in why.items()]
        lines = [self._measured().verdict(self.choice), *reasons]
        return "\n".join(textwrap.fill(line, LINE, subsequent_indent="  ") for line in lines)

    def _received(self, _: Any, message: Any, __: Any) -> None:
        """Front ends deliver this on other threads too; experiments run on the kernel's own."""
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind == "commit":
            said = message.get("choice"), message.get("votes")
            self._scheduler.soon(partial(self._try, *said))
        elif kind == "class":
            self._scheduler.soon(self._press_class)
        elif kind == "ask":
            self._scheduler.soon(self._ask_class)

    def _press_class(self) -> None:
        """The button beside the line on the class: ask it or stop that; decline or take it back."""
        if not classroom.address():
            return
        if not self.tally:
            (classroom.off if classroom.sends() else classroom.on)()
        elif self._poll and self._poll.goes_on:
            self._end_poll()
        else:
            self._ask_class()
        self._show_class()

    def _ask_class(self) -> None:
        """Ask the class, unless it is being asked or the answer is known."""
        asks = self._poll and self._poll.goes_on
        if self.tally and classroom.address() and not (asks or self.answered):
            self._poll = classroom.Poll(self._key, self.question, self.choices, self._heard)
            self._show_class()

    def _end_poll(self) -> None:
        if self._poll:
            self._poll.end()
            self._show_class()

    def _heard(self, said: classroom.Votes | classroom.ClassError) -> None:
        """Show what the class says; called on a thread of its own."""
        self._scheduler.soon(partial(self._show_votes, self._poll, said))

    def _show_votes(
        self, poll: classroom.Poll | None, said: classroom.Votes | classroom.ClassError
    ) -> None:
        if self.answered or poll is not self._poll:
            return
        if isinstance(said, classroom.Votes):
            phones = f" Phones: {said.phones} with the word {said.word}." if said.phones else ""
            self.class_votes = said.counts
            self._show_class(f"The class answers.{phones}")
        else:
            self._show_class(f"{str(said)[:1].upper()}{str(said)[1:]}.")

    def _not_sent(self, why: str) -> None:
        self._scheduler.soon(partial(self._show_class, f"Your choice is not sent: {why}."))

    def _show_class(self, line: str = "") -> None:
        """Say on the page what the class does, and offer what can be done, where there is one."""
        if not (self._key and classroom.address()):
            return
        if self.tally:
            asks = bool(self._poll and self._poll.goes_on)
            button = "" if self.answered else "Stop asking" if asks else "Ask the class"
        else:
            line = line or classroom.status()
            button = "Do not send" if classroom.sends() else "Send again"
        with self.hold_sync():
            self.class_line, self.class_button = line, button

    def _all_votes(self) -> list[int]:
        """Hands and answers of the class, for each choice."""
        answers = self.class_votes or [0] * len(self.votes)
        return [hands + others for hands, others in zip(self.votes, answers, strict=True)]

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
        all_votes = self._all_votes()
        hands = [f": {votes}" if any(all_votes) else "" for votes in all_votes]
        lines = [self.question, *map("  {} {}{}".format, marks, self.choices, hands)]
        stands = self._explained(self._why) if self.answered else "Not answered yet."
        return "\n".join([*lines, stands])

    @property
    def widget(self) -> anywidget.AnyWidget:
        """Itself."""
        return self


def _key_of(question: str, choices: Sequence[str]) -> str:
    """A key for a question that is asked in a room only."""
    asked = "\n".join([question, *choices])
    return f"room.{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def _body_of(experiment: Callable[[], object]) -> str:
    """The lines of an experiment, without decorators; empty if Python does not have them."""
    try:
        lines = textwrap.dedent(inspect.getsource(inspect.unwrap(experiment)))
        node = next(iter(ast.parse(lines).body), None)
    except (OSError, TypeError, SyntaxError):  # typed at a prompt, a builtin, part of a line
        return ""
    if node is None or not _defines(node, inspect.unwrap(experiment).__name__):
        return ""  # Python found other lines than those that it runs
    return "\n".join(lines.splitlines()[node.lineno - 1 :])


def _defines(node: ast.stmt, name: str) -> bool:
    """Tell whether a statement defines a function or a class of this name."""
    if name == "<lambda>":
        return any(isinstance(each, ast.Lambda) for each in ast.walk(node))
    return isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name


def _check(question: object, choices: Sequence[str], answer: object, why: Any) -> None:
    validate.Text()("question", question)
    texts = [] if isinstance(choices, str) else list(choices)
    if len(texts) < 2 or len(set(map(str, texts))) < len(texts):
        raise not_allowed("choices", choices, "at least two different texts")
    for text in texts:
        validate.Text()("choices", text)
    if not callable(answer):
        raise not_allowed("answer", answer, "a function that runs the experiment")
    for choice in why:
        if choice not in texts:
            raise not_allowed("why", choice, f"reasons for the choices {texts} only")
