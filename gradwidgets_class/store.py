"""The answers of a class and the exercises that it has solved, in one SQLite file."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import time
from pathlib import Path
from typing import Any, TypedDict

MOST_LEARNERS = 5_000
MOST_RECORDS = 1_000
"""Of each kind, for one learner; the course has less than 200."""

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = ON;
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS secret (value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS learners (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    learner INTEGER NOT NULL REFERENCES learners ON DELETE CASCADE,
    key TEXT NOT NULL, choice TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (learner, key));
CREATE INDEX IF NOT EXISTS by_key ON answers (key, choice);
CREATE TABLE IF NOT EXISTS passed (
    learner INTEGER NOT NULL REFERENCES learners ON DELETE CASCADE,
    key TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (learner, key));
"""


class FullError(Exception):
    """There are more learners or records than a class can have."""


class Learner(TypedDict):
    """A learner as the lecturer sees them: their name or number, and keys of the course."""

    learner: str
    answered: list[str]
    passed: list[str]


class Store:
    """The answers and solved exercises of a class.

    A learner is known by a keyed hash of what they are called elsewhere, and to the lecturer by a
    number, until they give a name. What is deleted is overwritten in the file.

    Args:
        path: the file; made, readable by its owner only, if it is not there.

    Raises:
        sqlite3.DatabaseError: the file holds something else.

    >>> store = Store(Path("class.sqlite"))
    >>> store.answer("ada", "start_here.scale_100", "it gets faster")
    True
    >>> store.answer("ada", "start_here.scale_100", "it stops")  # the first counts
    False
    >>> store.votes("start_here.scale_100")
    {'it gets faster': 1}
    >>> store.everybody()
    [{'learner': 'learner 1', 'answered': ['start_here.scale_100'], 'passed': []}]
    >>> store.forget("ada")
    >>> store.votes("start_here.scale_100")
    {}
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.executescript(TABLES)
        if not self._rows("SELECT value FROM secret"):
            self._base.execute("INSERT INTO secret VALUES (?)", (secrets.token_bytes(32),))
        self._secret: bytes = self._rows("SELECT value FROM secret")[0][0]

    def answer(self, who: str, key: str, choice: str) -> bool:
        """Keep a choice; False if that learner has answered the question before.

        Raises:
            FullError: the class is.
        """
        values = (self._number(who), key, choice, time.time())
        return self._insert("answers", values)

    def passed(self, who: str, key: str) -> bool:
        """Keep that an exercise is solved; False if that is known.

        Raises:
            FullError: the class is.
        """
        return self._insert("passed", (self._number(who), key, time.time()))

    def name(self, who: str, name: str) -> None:
        """Call a learner by a name; by their number again if it is empty.

        Raises:
            FullError: the class is.
        """
        number = self._number(who)
        self._base.execute("UPDATE learners SET name = ? WHERE number = ?", (name, number))

    def votes(self, key: str) -> dict[str, int]:
        """Number of learners for each choice that somebody has made."""
        query = "SELECT choice, count(*) FROM answers WHERE key = ? GROUP BY choice"
        return dict(self._rows(query, key))

    def of(self, who: str) -> dict[str, object]:
        """All that is kept of a learner."""
        found = self._rows("SELECT number, name FROM learners WHERE id = ?", self._id(who))
        number, name = found[0] if found else (None, "")
        choices = "SELECT key, choice FROM answers WHERE learner = ?"
        solved = "SELECT key FROM passed WHERE learner = ?"
        return {
            "number": number,
            "name": name,
            "answers": dict(self._rows(choices, number)),
            "passed": [key for (key,) in self._rows(solved, number)],
        }

    def everybody(self) -> list[Learner]:
        """Each learner, with the keys of what they have answered and solved."""
        query = "SELECT number, name FROM learners ORDER BY number"
        found: dict[int, Learner] = {
            number: {"learner": name or f"learner {number}", "answered": [], "passed": []}
            for number, name in self._rows(query)
        }
        for number, key in self._rows("SELECT learner, key FROM answers ORDER BY key"):
            found[number]["answered"].append(key)
        for number, key in self._rows("SELECT learner, key FROM passed ORDER BY key"):
            found[number]["passed"].append(key)
        return list(found.values())

    def forget(self, who: str) -> None:
        """Delete all that is kept of a learner."""
        self._delete("DELETE FROM learners WHERE id = ?", self._id(who))

    def forget_all(self) -> None:
        """Delete all that is kept."""
        self._delete("DELETE FROM learners")

    def forget_before(self, at: float) -> None:
        """Delete what was kept before a time, in seconds since 1970, and who has nothing left."""
        self._delete("DELETE FROM answers WHERE at < ?", at)
        self._delete("DELETE FROM passed WHERE at < ?", at)
        kept = "SELECT learner FROM answers UNION SELECT learner FROM passed"
        self._delete(f"DELETE FROM learners WHERE number NOT IN ({kept})")

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _id(self, who: str) -> str:
        return hmac.new(self._secret, who.encode(), hashlib.sha256).hexdigest()

    def _number(self, who: str) -> int:
        """The learner's number; a new one for somebody who has none."""
        query, id_ = "SELECT number FROM learners WHERE id = ?", self._id(who)
        if not (found := self._rows(query, id_)):
            if self._rows("SELECT count(*) FROM learners")[0][0] >= MOST_LEARNERS:
                raise FullError(f"the class has {MOST_LEARNERS} learners already")
            self._base.execute("INSERT INTO learners (id, name) VALUES (?, '')", (id_,))
            found = self._rows(query, id_)
        number: int = found[0][0]
        return number

    def _insert(self, table: str, values: tuple[object, ...]) -> bool:
        count = self._rows(f"SELECT count(*) FROM {table} WHERE learner = ?", values[0])
        if count[0][0] >= MOST_RECORDS:
            raise FullError(f"{MOST_RECORDS} of them are kept already")
        marks = ", ".join("?" * len(values))
        done = self._base.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)
        return done.rowcount == 1

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self._base.execute(query, values).fetchall()

    def _delete(self, query: str, *values: object) -> None:
        self._base.execute(query, values)
        self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log holds it no longer either
