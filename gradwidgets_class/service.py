"""The HTTP service of a class: who may ask for what, and the answers.

The package's docstring holds the table of all requests.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tornado import httpserver, ioloop, web

from gradwidgets_class.store import FullError, Store

ID = re.compile(r"[A-Za-z0-9-]{16,80}")
MOST_CHOICES = 12
TEXTS = {"key": 100, "choice": 300, "name": 60, "question": 1_000}
"""The most characters that each may have."""

MOST_BYTES = 16_384
"""Of the body of a request."""

MOST_CALLERS = 10_000
"""Callers whose requests are counted: whoever knows the room's word can give themselves new ids."""

ASKED_FOR = 30.0
"""Seconds that a question counts as asked, unless the lecturer's side repeats it."""

RATE, BURST = 10.0, 40.0
"""Requests that one learner may make: a second, and at once."""

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of a word that is read from a slide and typed on a phone."""

NOTHING_ELSE = ("default-src", "base-uri", "form-action", "frame-ancestors")
"""What the page for phones may not load, or be loaded by."""

PAGE = Path(__file__).with_name("vote.html")


@dataclass(frozen=True)
class Caller:
    """Who makes a request: a name that is theirs alone, and whether they are the lecturer."""

    name: str
    lecturer: bool = False


@dataclass
class Words:
    """Lets in who knows a word.

    Args:
        room: the word for learners; empty lets none in.
        lecturer: the word for the lecturer; empty lets none in.
    """

    room: str = ""
    lecturer: str = ""

    def invitation(self, address: str) -> list[str]:
        """Lines that say how to come in."""
        start = f"GRADWIDGETS_CLASS={address} GRADWIDGETS_CLASS_TOKEN="
        return [
            f"Your own kernel:  {start}{self.lecturer}",
            f"Learners' kernels:  {start}{self.room}",
            f"Phones:  {address}vote  with the word  {self.room}",
        ]

    async def caller(self, token: str, learner: str) -> Caller | None:
        """Who has this token, and calls themselves so; None if nobody may."""
        if self.lecturer and _same(token, self.lecturer):
            return Caller("the lecturer", True)
        if self.room and _same(token, self.room) and ID.fullmatch(learner):
            return Caller(f"id {learner}")
        return None


class Hub:
    """Lets in the users of a JupyterHub that its roles give access to this service.

    Args:
        lecturers: the group of the hub's that may see the class.
        words: lets in others, such as phones.
    """

    def __init__(self, lecturers: str, words: Words) -> None:
        from jupyterhub.services.auth import HubAuth

        self._auth = HubAuth()
        self._lecturers = lecturers
        self._words = words
        self.room = words.room

    def invitation(self, address: str) -> list[str]:
        """Lines that say how to come in."""
        phones = f"{address}vote, with the word {self.room}" if self.room else "none"
        return [f"Lecturers:  the hub's group {self._lecturers}", f"Phones:  {phones}"]

    async def caller(self, token: str, learner: str) -> Caller | None:
        """The user that a token belongs to, as the hub says; None if nobody may."""
        if caller := await self._words.caller(token, learner):
            return caller
        user = await self._auth.user_for_token(token, sync=False) if token else None
        if not user or not self._auth.check_scopes(self._auth.access_scopes, user):
            return None
        return Caller(f"user {user['name']}", self._lecturers in user.get("groups", ()))


def _same(given: str, word: str) -> bool:
    return hmac.compare_digest(given.encode(), word.encode())


@dataclass
class Room:
    """All that the handlers share.

    Args:
        store: what is kept.
        door: who is let in.
        address: of the service, as phones reach it; ends with "/".
        word: what phones have to know; empty if none may vote.
    """

    store: Store
    door: Words | Hub
    address: str
    word: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)
    asked_at: float = -ASKED_FOR
    left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def spend(self, name: str) -> bool:
        """Take one from what a caller may still ask; False if nothing is left."""
        now = time.monotonic()
        if len(self.left) >= MOST_CALLERS:
            self.forget_idle()
        left, at = self.left.get(name, (BURST, now))
        left = min(BURST, left + RATE * (now - at))
        self.left[name] = (max(left - 1, 0.0), now)
        return left >= 1

    def forget_idle(self) -> None:
        """Forget who may ask as much as anybody again."""
        full = time.monotonic() - BURST / RATE
        self.left = {name: each for name, each in self.left.items() if each[1] > full}


class Api(web.RequestHandler):
    """Knows the caller, and speaks JSON."""

    room: Room
    caller: Caller
    lecturers_only: Sequence[str] = ()
    """The methods that are the lecturer's alone."""

    def initialize(self, room: Room) -> None:
        """Keep what all handlers share."""
        self.room = room

    def set_default_headers(self) -> None:
        """Have nothing kept on the way."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def prepare(self) -> None:
        """Refuse who may not ask this, or asks too often."""
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        learner = self.request.headers.get("X-Learner", "")
        known = kind.lower() in ("token", "bearer")
        caller = await self.room.door.caller(token.strip(), learner) if known else None
        if caller is None:
            raise web.HTTPError(401, reason="no valid token, or no valid X-Learner with the word")
        if not caller.lecturer and not self.room.spend(caller.name):
            raise web.HTTPError(429, reason="too many requests; wait a second")
        if self.request.method in self.lecturers_only and not caller.lecturer:
            raise web.HTTPError(403, reason="only the lecturer may do that")
        self.caller = caller

    def said(self) -> dict[str, Any]:
        """The body, which must be an object in JSON."""
        try:
            said = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise web.HTTPError(400, reason="the body must be an object in JSON")
        return said

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say in JSON what is wrong."""
        problem = kwargs.get("exc_info", (None, None))[1]
        if isinstance(problem, FullError):
            self.set_status(507, str(problem))
        self.finish({"error": self._reason if status_code < 500 else str(problem)})


def text(said: Mapping[str, Any], name: str, least: int = 1) -> str:
    """A text of the body that is not too long, and can be printed.

    Args:
        said: the body.
        name: of the text; one of `TEXTS`.
        least: characters that it must have.
    """
    found, most = said.get(name), TEXTS[name]
    if isinstance(found, str) and least <= len(found) <= most and found.isprintable():
        return found
    raise web.HTTPError(400, reason=f"{name} must be a text of {least} to {most} characters")


class Answers(Api):
    """A learner's choice."""

    def put(self, key: str) -> None:
        """Keep it, if it is the first for this question."""
        asked, choice = text({"key": key}, "key"), text(self.said(), "choice")
        self.finish({"kept": self.room.store.answer(self.caller.name, asked, choice)})


class Passed(Api):
    """An exercise that a learner has solved."""

    def put(self, key: str) -> None:
        """Keep it."""
        self.finish({"kept": self.room.store.passed(self.caller.name, text({"key": key}, "key"))})


class Me(Api):
    """All that is kept of a learner."""

    def get(self) -> None:
        """Tell them."""
        self.finish(self.room.store.of(self.caller.name))

    def put(self) -> None:
        """Give them a name."""
        self.room.store.name(self.caller.name, text(self.said(), "name", least=0))
        self.finish({})

    def delete(self) -> None:
        """Forget them."""
        self.room.store.forget(self.caller.name)
        self.finish({})


class Asked(Api):
    """The question that the lecturer asks now."""

    lecturers_only = ("PUT",)

    def get(self) -> None:
        """Tell learners the question."""
        asks = time.monotonic() - self.room.asked_at < ASKED_FOR
        self.finish(dict(self.room.asked) if asks else {})

    def put(self) -> None:
        """Ask it, and tell the lecturer the votes so far, in the order of the choices."""
        said = self.said()
        choices = said.get("choices")
        if not isinstance(choices, list) or not 2 <= len(choices) <= MOST_CHOICES:
            raise web.HTTPError(400, reason=f"choices must be 2 to {MOST_CHOICES} texts")
        texts = [text({"choice": each}, "choice") for each in choices]
        if len(set(texts)) < len(texts):
            raise web.HTTPError(400, reason="choices must differ")
        key = text(said, "key")
        self.room.asked = {"key": key, "question": text(said, "question"), "choices": texts}
        self.room.asked_at = time.monotonic()
        votes = self.room.store.votes(key)
        phones = f"{self.room.address}vote" if self.room.word else ""
        counts = [votes.get(each, 0) for each in texts]
        self.finish({"votes": counts, "phones": phones, "word": self.room.word})


class Class(Api):
    """The whole class, for the lecturer."""

    lecturers_only = ("GET", "DELETE")

    def get(self) -> None:
        """Tell who has done what."""
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(json.dumps(self.room.store.everybody()))

    def delete(self) -> None:
        """Forget everybody."""
        self.room.store.forget_all()
        self.finish({})


class Vote(web.RequestHandler):
    """The page for phones."""

    def initialize(self, room: Room) -> None:
        """Keep what all handlers share."""
        self.room = room

    def get(self) -> None:
        """Serve the page, where phones may vote; it may run its own script and nothing else."""
        if not self.room.word:
            raise web.HTTPError(404, reason="phones cannot vote here")
        nonce = secrets.token_urlsafe(16)
        own = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'"
        none = "".join(f"{each} 'none'; " for each in NOTHING_ELSE)
        self.set_header("Content-Security-Policy", none + own)
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.finish(PAGE.read_text(encoding="utf-8").replace("NONCE", nonce))


def application(room: Room, prefix: str = "/") -> web.Application:
    """The service below a path that begins and ends with "/"."""
    below = re.escape(prefix)
    handlers: list[tuple[str, type[web.RequestHandler]]] = [
        (rf"{below}api/answers/([^/]+)", Answers),
        (rf"{below}api/passed/([^/]+)", Passed),
        (rf"{below}api/me", Me),
        (rf"{below}api/asked", Asked),
        (rf"{below}api/class", Class),
        (rf"{below}(?:vote)?", Vote),
    ]
    return web.Application([(path, kind, {"room": room}) for path, kind in handlers])


@dataclass(frozen=True)
class Place:
    """Where the service listens, and how others reach it.

    Args:
        ip: the address of this machine's that it listens on.
        port: the same.
        prefix: the path that it answers below.
        address: how phones reach it.
    """

    ip: str
    port: int
    prefix: str
    address: str


def place(ip: str, port: int, address: str, env: Mapping[str, str]) -> Place:
    """As a hub says in the environment, or as the command line says."""
    prefix = env.get("JUPYTERHUB_SERVICE_PREFIX", "/")
    if url := env.get("JUPYTERHUB_SERVICE_URL", ""):
        told = urlsplit(url)
        ip, port = told.hostname or ip, told.port or port
    host = socket.gethostname() if ip in ("0.0.0.0", "::") else ip
    here = address or env.get("JUPYTERHUB_PUBLIC_URL") or f"http://{host}:{port}{prefix}"
    return Place(ip, port, prefix, here.rstrip("/") + "/")


def door(lecturers: str, env: Mapping[str, str]) -> Words | Hub:
    """Words of the environment or new ones; on a hub its users, and phones only with a word."""
    room = env.get("GRADWIDGETS_CLASS_WORD", "")
    lecturer = env.get("GRADWIDGETS_CLASS_LECTURER_WORD", "")
    if "JUPYTERHUB_SERVICE_PREFIX" in env:
        return Hub(lecturers, Words(room))
    new = "".join(secrets.choice(LETTERS) for _ in range(8))
    return Words(room or new, lecturer or secrets.token_urlsafe(16))


async def serve(store: Store, days: float, here: Place, way_in: Words | Hub) -> None:
    """Answer requests until the process ends; delete what is older than so many days.

    Raises:
        OSError: the place is taken.
    """
    room = Room(store, way_in, here.address, way_in.room)

    def tidy() -> None:
        store.forget_before(time.time() - days * 86_400)
        room.forget_idle()

    tidy()
    ioloop.PeriodicCallback(tidy, 3_600_000).start()
    server = httpserver.HTTPServer(
        application(room, here.prefix), max_body_size=MOST_BYTES, idle_connection_timeout=60
    )
    server.listen(here.port, here.ip)
    await asyncio.Event().wait()
