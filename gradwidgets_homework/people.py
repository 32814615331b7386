"""Who is who: the names of one student in a download, in a learning management system, in nbgrader.

A name is compared by its letters and digits alone, because downloads squeeze it: "O'Brien, Zoë"
is in Canvas's file names `obrienzoë`, and in Moodle's `Zoë OBrien`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gradwidgets_homework.table import Table

STUDENT_COLUMNS = ("student", "SIS Login ID", "Username", "Email address", "Full name")
"""A roster's column that has a student's name in nbgrader: the first of these that is filled."""


def key(text: str) -> str:
    """The letters and digits of a name, in small letters.

    >>> key("O'Brien, Zoë"), key("obrienzoë")
    ('obrienzoë', 'obrienzoë')
    """
    composed = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(letter for letter in composed if unicodedata.category(letter)[0] in "LMN")


def name_keys(name: str) -> set[str]:
    """The same for a name whose family name may stand first or last.

    >>> sorted(name_keys("Müller, Jörg"))
    ['jörgmüller', 'müllerjörg']
    """
    words = [part for part in map(key, re.split(r"[\s,]+", name)) if part]
    return {"".join(words[cut:] + words[:cut]) for cut in range(len(words))}


def folder_name(name: str) -> str:
    """A name as nbgrader's name of a student, which is the name of a folder.

    >>> folder_name("Müller, Jörg"), folder_name("../../zoe@uni.example")
    ('müller-jörg', 'zoe@uni.example')
    """
    composed = unicodedata.normalize("NFC", name).lower()
    words = re.sub(r"[^\w.@-]+", "-", re.sub("[\"'\u2019`]", "", composed))
    return words.strip("-.")[:100]


@dataclass(frozen=True)
class Person:
    """One student.

    Args:
        student: the name in nbgrader.
        keys: every name, number and address by which others may call the student, see `key`.

    >>> Person("zoe", frozenset({"zoëobrien", "4711"})).student
    'zoe'
    """

    student: str
    keys: frozenset[str]


def keys_of(cells: Iterable[str]) -> frozenset[str]:
    """The keys of what stands in one row: names, numbers, addresses and the part before their @."""
    found: set[str] = set()
    for index, cell in enumerate(cells):
        found |= name_keys(cell)
        if "@" in cell:
            found.add(key(cell.partition("@")[0]))
        number = re.fullmatch(r"\D+(\d+)", cell.strip())
        if number and not index:  # Moodle's "Participant 1234567"
            found.add(number[1])
    return frozenset(found)


def roster(table: Table) -> list[Person]:
    r"""The students of a roster: Moodle's worksheet, Canvas's gradebook, or a table of yours.

    Raises:
        ValueError: two rows have the same student, or no column names one.

    >>> rows = b"student,name\nzoe,Zo\xc3\xab O'Brien\n"
    >>> sorted(roster(Table("roster.csv", rows))[0].keys)
    ['obrienzoë', 'zoe', 'zoëobrien']
    """
    people = []
    for row in table.records():
        if row.get("Student", "").strip() == "Points Possible":  # Canvas's second row
            continue
        student = _student(row)
        if student:
            cells = [cell for name, cell in row.items() if name not in ("Section", "Status")]
            people.append(Person(student, keys_of(cells) | {key(student)}))
    names = [person.student for person in people]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{table.name} has two rows for {', '.join(doubled)}")
    if not people:
        raise ValueError(
            f"{table.name} names no student: it needs a column {' or '.join(STUDENT_COLUMNS)}"
        )
    return people


def _student(row: Mapping[str, str]) -> str:
    for column in STUDENT_COLUMNS:
        if row.get(column, "").strip():
            return folder_name(row[column])
    return ""
