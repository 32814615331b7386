"""Marks: out of nbgrader's gradebook or a judge's table, into the table that a system takes back.

Moodle's grading worksheet and Canvas's gradebook are filled as they were downloaded: one column
changes and nothing else, so that they can be uploaded again. Moodle reads the columns Identifier,
Grade and Last modified (grade), and skips a grade above the maximum without a word. Canvas reads
the column with an assignment's number in brackets; its second or third row has the points possible.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradwidgets_homework.people import Person, key, keys_of, name_keys
from gradwidgets_homework.table import Table

GRADE = ("Grade", "Bewertung", "Calificación")
"""Moodle's column in English, German and Spanish; the maximum stands behind it."""
COMMENTS = ("Feedback comments", "Feedback als Kommentar", "Comentarios de retroalimentación")
MARKS_COLUMNS = ("student", "assignment", "task", "points", "max_points")
"""The columns of a judge's table: a row for each task of each student."""


@dataclass(frozen=True)
class Mark:
    """The mark of one student.

    Args:
        points: how many there are.
        of: how many there could be.
        tasks: for each task the points and how many there could be.
        waiting: if something is still to be marked by hand.

    >>> Mark(7, 9, {"train_step": (5, 5), "loop_a": (2, 4)}).in_words()
    'train_step 5/5, loop_a 2/4'
    """

    points: float
    of: float
    tasks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    waiting: bool = False

    def in_words(self) -> str:
        """The points of each task, for a column of comments."""
        return ", ".join(f"{name} {got:g}/{of:g}" for name, (got, of) in self.tasks.items())


@dataclass
class Filled:
    """The outcome of filling a table.

    Attributes:
        filled: for each student the mark as it was written.
        unmatched: students whose mark was not written, and why.

    >>> Filled({"ada": "12.5"}).lines()
    ['filled: 1', '  ada                      12.5']
    """

    filled: dict[str, str] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The report: everybody by name."""
        lines = [f"filled: {len(self.filled)}"]
        lines += [f"  {student:24} {mark}" for student, mark in sorted(self.filled.items())]
        if self.unmatched:
            lines.append(f"not filled: {len(self.unmatched)}")
            lines += [f"  {name}: {reason}" for name, reason in sorted(self.unmatched.items())]
        return lines


def from_gradebook(course: Path, assignment: str) -> dict[str, Mark]:
    """The marks of a homework in nbgrader's gradebook, late penalties taken off.

    Args:
        course: the folder that has `gradebook.db`.
        assignment: the homework's name.

    Raises:
        ValueError: there is no gradebook, or nothing of this homework in it.

    >>> from_gradebook(Path("nowhere"), "hw1")
    Traceback (most recent call last):
    ValueError: there is no gradebook at nowhere/gradebook.db: run this in the course's folder
    """
    path = course / "gradebook.db"
    if not path.is_file():
        raise ValueError(
            f"there is no gradebook at {path.as_posix()}: run this in the course's folder"
        )
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(f"sqlite:///{path.resolve()}") as book:
        try:
            submissions = book.find_assignment(assignment).submissions
            found = {each.student.id: _mark(each) for each in submissions}
        except MissingEntry:
            found = {}
    if not found:
        raise ValueError(f"{path} holds no marks of {assignment!r}: grade it first")
    return found


def _mark(submission: Any) -> Mark:
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
    points = max(0.0, submission.score - (submission.late_submission_penalty or 0.0))
    tasks = {
        grade.name.removeprefix("test-"): (float(grade.score), float(grade.max_score))
        for grade in grades
    }
    return Mark(points, float(submission.max_score), tasks, bool(submission.needs_manual_grade))


def from_table(table: Table, assignment: str) -> dict[str, Mark]:
    r"""The marks of a homework in a judge's table, which has a row for each task.

    Raises:
        ValueError: a column is missing, a number is none, or a task stands there twice.

    >>> from gradwidgets_homework.table import Table
    >>> rows = b"student,assignment,task,points,max_points\nada,hw1,loop_a,1,2\n"
    >>> from_table(Table("marks.csv", rows), "hw1")["ada"].points
    1.0
    """
    missing = [name for name in MARKS_COLUMNS if name not in table.header]
    if missing:
        raise ValueError(f"{table.name} has no column {', '.join(missing)}")
    tasks: dict[str, dict[str, tuple[float, float]]] = {}
    for line, row in enumerate(table.records(), 2):
        if row["assignment"] != assignment:
            continue
        where = f"line {line} of {table.name}"
        of_student = tasks.setdefault(row["student"], {})
        if row["task"] in of_student:
            raise ValueError(f"{where} has {row['task']} of {row['student']} for a second time")
        of_student[row["task"]] = _number(row["points"], where), _number(row["max_points"], where)
    if not tasks:
        raise ValueError(f"{table.name} holds no marks of {assignment!r}")
    return {student: Mark(_sum(each, 0), _sum(each, 1), each) for student, each in tasks.items()}


def _sum(tasks: Mapping[str, tuple[float, float]], which: int) -> float:
    return sum(pair[which] for pair in tasks.values())


def _number(text: str, where: str) -> float:
    try:
        number = float(text.strip().replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where} has {text!r} where a number of points should be")
    return number


@dataclass(frozen=True)
class Place:
    """Where a table takes marks.

    Args:
        column: of the marks.
        first: the first row of students.
        most: the text that says how many points there are.
        names: columns that may name a student.
        comments: the column for words, or None.
    """

    column: int
    first: int
    most: str
    names: Sequence[int]
    comments: int | None = None


def moodle(table: Table, column: str = "") -> Place:
    r"""The place in Moodle's grading worksheet.

    Args:
        table: the worksheet.
        column: the column of grades, if it is not called so in English, German or Spanish.

    Raises:
        ValueError: there is no column for grades.

    >>> rows = b"Identifier,Full name,Grade,Maximum grade,Feedback comments\n,,,13.00,\n"
    >>> moodle(Table("worksheet.csv", rows))
    Place(column=2, first=0, most='13.00', names=range(0, 2), comments=4)
    """
    wanted = [column] if column else GRADE
    at = [index for index, name in enumerate(table.header) if name in wanted]
    if len(at) != 1:
        raise ValueError(_no_column(table, "Grade", "Moodle's grading worksheet"))
    behind = next((row[at[0] + 1] for row in table.rows if len(row) > at[0] + 1), "")
    said = [index for index, name in enumerate(table.header) if name in COMMENTS]
    return Place(at[0], 0, behind, range(at[0]), said[0] if said else None)


def canvas(table: Table, assignment: str, column: str = "") -> Place:
    r"""The place in Canvas's gradebook.

    Args:
        table: the gradebook.
        assignment: the homework's name, which an assignment there has, too.
        column: that assignment, if it is called otherwise.

    Raises:
        ValueError: no column, or more than one, has the name; or this is no gradebook.

    >>> rows = b"Student,ID,HW1 (5501)\n    Points Possible,,13.00\n"
    >>> canvas(Table("gradebook.csv", rows), "hw1")
    Place(column=2, first=1, most='13.00', names=[0, 1], comments=None)
    """
    if "ID" not in table.header:
        raise ValueError(_no_column(table, "ID", "Canvas's gradebook"))
    titles = {i: re.sub(r"\s*\(\d+\)$", "", name) for i, name in enumerate(table.header)}
    numbered = [i for i, title in titles.items() if title != table.header[i]]
    at = [i for i in numbered if table.header[i] == column]
    at = at or [i for i in numbered if key(titles[i]) == key(column or assignment)]
    if len(at) != 1:
        there = ", ".join(repr(table.header[i]) for i in numbered) or "none"
        raise ValueError(
            f"{table.name} has {len(at) or 'no'} columns called {column or assignment!r}; "
            f"say which with --column. Assignments there: {there}"
        )
    possible = [n for n, row in enumerate(table.rows) if row[0].strip() == "Points Possible"]
    if not possible:
        raise ValueError(f"{table.name} has no row 'Points Possible': it is no gradebook of Canvas")
    names = [i for i, name in enumerate(table.header) if i < at[0] and name != "Section"]
    return Place(at[0], possible[0] + 1, table.rows[possible[0]][at[0]], names)


def _no_column(table: Table, column: str, kind: str) -> str:
    there = ", ".join(map(repr, table.header))
    return f"{table.name} has no column {column!r}, as {kind} has; say which with --column: {there}"


def fill(
    table: Table,
    place: Place,
    marks: Mapping[str, Mark],
    people: Sequence[Person] = (),
    *,
    scale: bool = False,
    comments: bool = False,
) -> Filled:
    r"""Write each student's mark into the rows that name the student.

    A group's mark is written into the rows of all its members (Moodle's worksheet has a column of
    groups). A row of which it is not clear whose it is, and one that says "EX" or "N/A", stays.

    Args:
        table: what the system gave.
        place: see `moodle` and `canvas`.
        marks: by the students' names in nbgrader.
        people: a roster, where these names are others than the system's.
        scale: for a homework of 13 points in a column of 100.
        comments: write the points of each task into the column of comments, too.

    Raises:
        ValueError: the column's maximum is not the homework's, and `scale` is not given.

    >>> table = Table("worksheet.csv", b"Identifier,Full name,Grade,Maximum grade\n"
    ...     b"Participant 7,Ada L,,13.00\n")
    >>> fill(table, moodle(table), {"ada-l": Mark(11.5, 13)}).filled
    {'ada-l': '11.50'}
    """
    factor = _factor(table, place, marks.values(), scale)
    rows = _rows(table, place)
    report = Filled()
    for student, mark in marks.items():
        known = {key(student)}.union(*(one.keys for one in people if one.student == student))
        found = [row for row in rows if row.keys & known]
        problem = _problem(found, known, mark)
        if problem:
            report.unmatched[student] = problem
            continue
        written = _written(mark.points * factor, place.most)
        for row in found:
            table.put(row.index, place.column, written)
            if comments and place.comments is not None:
                table.put(row.index, place.comments, mark.in_words())
        report.filled[student] = written
    return report


def _factor(table: Table, place: Place, marks: Iterable[Mark], scale: bool) -> float:
    most = _number(place.most, f"the maximum in {table.name}")
    of = max(mark.of for mark in marks)
    if most == of:
        return 1.0
    if not scale:
        raise ValueError(
            f"the column {table.header[place.column]!r} of {table.name} has a maximum of {most:g}, "
            f"the homework {of:g} points: change the maximum there and download it again, "
            "or give --scale"
        )
    return most / of


@dataclass(frozen=True)
class _Row:
    """One row of students: its place, its keys, those that belong to one person, its old mark."""

    index: int
    keys: frozenset[str]
    own: frozenset[str]
    before: str


def _rows(table: Table, place: Place) -> list[_Row]:
    rows = []
    for index, cells in enumerate(table.rows):
        if index >= place.first:
            named = [cells[at] for at in place.names]
            own = keys_of(named[:2])
            both = {name + key(named[1]) for name in name_keys(named[0])} if named[1:] else set()
            rows.append(_Row(index, keys_of(named) | both, own | both, cells[place.column].strip()))
    return rows


def _problem(rows: Sequence[_Row], known: set[str], mark: Mark) -> str:
    """The reason why a mark cannot be written; "" if it can."""
    if mark.waiting:
        return "something is to be marked by hand first: Formgrader > Manual Grading"
    if not rows:
        return "no row has this name, number or address; see --roster"
    if len(rows) > 1 and any(row.own & known for row in rows):
        return f"{len(rows)} rows have this name; see --roster"
    kept = sorted({row.before for row in rows} & {"EX", "N/A"})
    return f"the cell says {kept[0]}" if kept else ""


def _written(points: float, like: str) -> str:
    """A number with two digits, and the comma of the maximum's."""
    text = f"{points:.2f}"
    return text.replace(".", ",") if re.search(r"\d,\d", like) else text
