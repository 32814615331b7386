"""A learner's side of a class: sends answers, where a hub or a lecturer has given the address.

Nothing is sent, and nobody is asked for anything, unless the environment variable
`GRADWIDGETS_CLASS` holds the address of a class (`gradwidgets class`). Then the choices that a
learner commits to and the exercises that they solve go there, under a number, and without a name
unless `name` gives one. Every question says so, with a button that stops it; so does `off`.

`GRADWIDGETS_CLASS_TOKEN` holds the room's word, or the lecturer's. On a JupyterHub it is not
needed: there the server's own token of the hub tells the class who asks.

Sending happens on a thread of its own, and what fails stops no lesson. What could not be sent goes
with what is sent next.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from gradwidgets.lessons import progress

ADDRESS, TOKEN, HUB_TOKEN = "GRADWIDGETS_CLASS", "GRADWIDGETS_CLASS_TOKEN", "JUPYTERHUB_API_TOKEN"
TIMEOUT = 3.0
"""Seconds that the class may take to answer."""
EVERY = 0.5
"""Seconds between two looks at the votes."""
MOST_WAITING = 500
MOST_BYTES = 5_000_000
"""Of an answer: the whole class, with all that each learner has done."""

STOP = "To stop it: from gradwidgets.lessons import classroom; classroom.off()"
NO_CLASS = "There is no class: nothing is sent."


class ClassError(Exception):
    """The class does not do what it is asked for; the text says why."""


def address() -> str:
    """Where the class is; empty if there is none."""
    given = os.environ.get(ADDRESS, "").strip()
    return f"{given.rstrip('/')}/" if urlsplit(given).scheme in ("http", "https") else ""


def place() -> str:
    """The machine that the class is on."""
    return urlsplit(address()).netloc.rpartition("@")[2]


def sends() -> bool:
    """True if answers are sent: there is a class, and the learner has not declined."""
    return bool(address()) and not progress.told_class("off")


def status() -> str:
    """A sentence on what is sent, and to whom.

    >>> status()
    'There is no class: nothing is sent.'
    """
    if not address():
        return NO_CLASS
    if not sends():
        return f"Nothing is sent to the class at {place()}."
    name = progress.told_class("name")
    known = f'as "{name}"' if name else "without your name"
    return f"Your choices and solved exercises are sent to the class at {place()}, {known}."


def off() -> str:
    """Send nothing more; the class keeps what it has.

    >>> off()
    'There is no class: nothing is sent.'
    """
    if address():
        progress.tell_class("off", "yes")
        SENDER.drop()
    return status()


def on() -> str:
    """Send again what comes from now on.

    >>> on()
    'There is no class: nothing is sent.'
    """
    if address():
        progress.tell_class("off", "")
    return status()


def name(text: str) -> str:
    """Let the lecturer see this name instead of a number; empty text takes it back.

    Raises:
        ClassError: the class does not take it, or does not answer.

    >>> name("Ada")
    'There is no class: nothing is sent.'
    """
    if address():
        ask("PUT", "me", {"name": text})
        progress.tell_class("name", text)
    return status()


def kept() -> dict[str, Any]:
    """All that the class keeps of you; nothing where there is none.

    Raises:
        ClassError: the class does not answer.

    >>> kept()
    {}
    """
    found = ask("GET", "me") if address() else {}
    return dict(found)


def delete() -> str:
    """Delete all that the class keeps of you, and send nothing more.

    Raises:
        ClassError: the class does not answer.

    >>> delete()
    'There is no class: nothing is sent.'
    """
    off()
    if address():
        SENDER.wait(2 * TIMEOUT)  # what is on its way must not come later
        ask("DELETE", "me")
        progress.tell_class("name", "")
    return status()


def delete_everybody() -> None:
    """Delete all that the class keeps of everybody, as its lecturer.

    Raises:
        ClassError: you are not the lecturer, or the class does not answer.
    """
    if address():
        ask("DELETE", "class")


def members() -> list[dict[str, Any]]:
    """Each learner with the keys of what they have answered and passed, as the lecturer sees them.

    Raises:
        ClassError: you are not the lecturer, or the class does not answer.

    >>> members()
    []
    """
    found = ask("GET", "class") if address() else []
    return list(found)


def send_choice(key: str, choice: str, failed: Callable[[str], object] = lambda _: None) -> None:
    """Send a choice in the background, if the learner has a class and has not declined."""
    if sends():
        SENDER.send(Message(f"answers/{quote(key, safe='')}", {"choice": choice}, failed))


def send_passed(key: str) -> None:
    """Send that an exercise is solved, and say so the first time."""
    if sends():
        SENDER.say_once(f"{status()} {STOP}")
        SENDER.send(Message(f"passed/{quote(key, safe='')}", {}))


def ask(method: str, path: str, body: object = None) -> Any:
    """Ask the class for something now, and return what it says.

    Raises:
        ClassError: it says no, or nothing that makes sense in time.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request

    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{address()}api/{path}", data, _headers(), method=method)
    try:
        with _opener().open(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read(MOST_BYTES))
    except HTTPError as problem:
        with problem:
            raise ClassError(_reason(problem)) from None
    except (OSError, ValueError, HTTPException) as problem:
        raise NoAnswerError(f"the class at {place()} does not answer: {problem}") from None


class NoAnswerError(ClassError):
    """The class cannot be reached; it may be, later."""


def _reason(problem: Any) -> str:
    """The reason that the class gives for saying no."""
    try:
        why = str(json.loads(problem.read(1_000))["error"])
    except (OSError, ValueError, TypeError, KeyError):
        why = f"status {problem.code}"
    return f"the class at {place()} says no: {why}"


def _opener() -> Any:
    """Follows no redirection: the token is for the class alone."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return build_opener(Stay)


def _headers() -> dict[str, str]:
    word = os.environ.get(TOKEN, "")
    token = word or os.environ.get(HUB_TOKEN, "")
    known = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    return known | ({"X-Learner": _id()} if word else {})


def _id() -> str:
    """A random id of this learner's, kept with their progress; for a room without accounts."""
    return progress.told_class("id") or progress.tell_class_once("id", uuid.uuid4().hex)


@dataclass(frozen=True)
class Message:
    """Something to be kept by the class.

    Args:
        path: where.
        body: what.
        failed: told on the sender's thread why it could not be sent.
    """

    path: str
    body: dict[str, str]
    failed: Callable[[str], object] = lambda _: None


class Sender:
    """Sends one message after another on a thread that lives as long as there are any."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._noted = False
        self._said = False

    def send(self, message: Message) -> None:
        """Send a message after those that wait. Returns at once."""
        with self._lock:
            self._waiting.append(message)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="gradwidgets-class", daemon=True
                )
                self._thread.start()

    def drop(self) -> None:
        """Forget what waits."""
        with self._lock:
            self._waiting.clear()

    def wait(self, seconds: float = 10.0) -> None:
        """Return when nothing is on its way."""
        if thread := self._thread:
            thread.join(seconds)

    def say_once(self, line: str) -> None:
        """Write a line under the learner's cell, the first time."""
        if not self._said:
            self._said = True
            sys.stdout.write(f"{line}\n")

    def _run(self) -> None:
        while (message := self._next()) and self._deliver(message):
            pass

    def _next(self) -> Message | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._thread = None
            return None

    def _deliver(self, message: Message) -> bool:
        """Send it; False if the class cannot be reached, and it waits for the next."""
        try:
            ask("PUT", message.path, message.body)
        except NoAnswerError as problem:
            with self._lock:
                if sends():  # the learner may have declined meanwhile
                    self._waiting.appendleft(message)
                self._thread = None
            self._note(message, problem)
            return False
        except ClassError as problem:
            self._note(message, problem)
        return True

    def _note(self, message: Message, problem: ClassError) -> None:
        """Tell the question each time, and the log once."""
        message.failed(str(problem))
        if not self._noted:
            self._noted = True
            logging.getLogger(__name__).warning("Your lesson goes on, but %s.", problem)


SENDER = Sender()


@dataclass(frozen=True)
class Votes:
    """The answers of the class so far.

    Args:
        counts: learners for each choice.
        phones: where phones vote; empty if they cannot.
        word: what they have to know.
    """

    counts: list[int]
    phones: str = ""
    word: str = ""


class Poll:
    """Asks the class a question, and hears the votes, until it is ended or another one begins.

    Args:
        key: of the question.
        question: its text.
        choices: its choices.
        heard: called on another thread with the votes, again and again, or with what went wrong.
    """

    _latest: Poll | None = None

    def __init__(
        self,
        key: str,
        question: str,
        choices: Sequence[str],
        heard: Callable[[Votes | ClassError], object],
    ) -> None:
        self._body = {"key": key, "question": question, "choices": list(choices)}
        self._heard = heard
        self._over = threading.Event()
        if Poll._latest:
            Poll._latest.end()
        Poll._latest = self
        threading.Thread(target=self._run, name="gradwidgets-poll", daemon=True).start()

    @property
    def goes_on(self) -> bool:
        """True until it is ended."""
        return not self._over.is_set()

    def end(self) -> None:
        """Ask no more."""
        self._over.set()
        if Poll._latest is self:
            Poll._latest = None

    def _run(self) -> None:
        while self.goes_on:
            try:
                said = ask("PUT", "asked", self._body)
                self._tell(Votes(said["votes"], said["phones"], said["word"]))
            except NoAnswerError as problem:
                self._tell(problem)
            except ClassError as problem:
                self._tell(problem)
                self.end()
            self._over.wait(EVERY)

    def _tell(self, said: Votes | ClassError) -> None:
        if self.goes_on:
            self._heard(said)
