"""Marks in Moodle's and Canvas's own tables: the right rows, and no other byte changed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from gradwidgets_homework import Mark, Table, canvas, fill, from_table, moodle, roster
from gradwidgets_notebooks.__main__ import main
from tests.grading.right import solutions
from tests.homework.downloads import GRADEBOOK, WORKSHEET
from tests.homework.opened import opened

MARKS = "student,assignment,task,points,max_points\n" + "".join(
    f"{student},hw1,{task},{points},{of}\n"
    for student, parts in (
        ("ada-lovelace", (5, 2, 2.5)),
        ("jörg-müller", (0, 0, 0)),
        ("siobhán-obrien", (4, 2, 0)),
    )
    for task, points, of in zip(("train_step", "loop_a", "why"), parts, (5, 4, 4), strict=True)
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "marks.csv").write_text(MARKS, encoding="utf-8")
    return tmp_path


def changed(before: bytes, after: bytes) -> list[tuple[int, str, str]]:
    """(row, column, value) of each cell that differs, as Python's csv module reads them."""
    one, other = (
        list(csv.reader(io.StringIO(each.decode("utf-8-sig"), newline="")))
        for each in (before, after)
    )
    header = one[0]
    assert [len(row) for row in one] == [len(row) for row in other]
    return [
        (n, header[i], new)
        for n, (row, again) in enumerate(zip(one, other, strict=True))
        for i, (old, new) in enumerate(zip(row, again, strict=True))
        if old != new
    ]


def test_moodles_worksheet_gets_grades_and_nothing_else(folder, capsys):
    before = b"\xef\xbb\xbf" + WORKSHEET.encode()
    (folder / "Grades.csv").write_bytes(before)
    assert main(["marks", "hw1", "--moodle", "Grades.csv", "--from", "marks.csv"]) == 0
    after = (folder / "Grades_marked.csv").read_bytes()
    assert (folder / "Grades.csv").read_bytes() == before
    assert changed(before, after) == [
        (1, "Grade", "9.50"),
        (2, "Grade", "0.00"),
        (3, "Grade", "6.00"),
    ]
    for old, new in (
        (b"Red,,13", b"Red,9.50,13"),
        (b"Blue,,13", b"Blue,0.00,13"),
        (b'"4.00"', b'"6.00"'),
    ):
        before = before.replace(old, new)
    assert after == before
    assert "filled: 3\n" in capsys.readouterr().out


def test_moodles_comments_have_the_points_of_each_task_if_asked_for(folder):
    (folder / "g.csv").write_bytes(WORKSHEET.encode())
    words = ["--moodle", "g.csv", "--from", "marks.csv", "--comments", "--to", "out.csv"]
    assert main(["marks", "hw1", *words]) == 0
    row = Table("out.csv", (folder / "out.csv").read_bytes()).records()[0]
    assert row["Feedback comments"] == "train_step 5/5, loop_a 2/4, why 2.5/4"


def test_canvas_gets_its_column_and_keeps_excused_ones(folder, capsys):
    (folder / "book.csv").write_text(GRADEBOOK, encoding="utf-8")
    assert main(["marks", "HW1", "--canvas", "book.csv", "--from", "marks.csv"]) == 1
    assert "marks.csv holds no marks of 'HW1'" in capsys.readouterr().err
    assert main(["marks", "hw1", "--canvas", "book.csv", "--from", "marks.csv"]) == 1
    after = (folder / "book_marked.csv").read_bytes()
    assert changed(GRADEBOOK.encode(), after) == [
        (3, "HW1 (5501)", "9.50"),
        (4, "HW1 (5501)", "0.00"),
    ]
    assert "siobhán-obrien: the cell says EX" in capsys.readouterr().out


def test_canvas_gets_what_the_judge_says_without_nbgrader(folder):
    """One function of hw4 is right: it is worth 4 of 17 points."""
    right = solutions(opened() / "source" / "hw4" / "hw4.ipynb")["learning-rate"]
    (folder / "ada.py").write_text(right, encoding="utf-8")
    assert main(["grade", "ada.py", "--csv", "judged.csv"]) == 0
    before = GRADEBOOK.replace("14.00", "17.00").encode()
    (folder / "book.csv").write_bytes(before)
    assert main(["marks", "hw4", "--canvas", "book.csv", "--from", "judged.csv"]) == 1
    words = ["--canvas", "book.csv", "--from", "judged.csv", "--column", "HW2 (5502)"]
    assert main(["marks", "hw4", *words]) == 0
    assert changed(before, (folder / "book_marked.csv").read_bytes()) == [(3, "HW2 (5502)", "4.00")]


@pytest.mark.parametrize(
    "student", ["lovelaceada-101", "ada", "s101", "ADA", "ada-lovelace", "lovelace_ada", "101"]
)
def test_a_row_of_canvas_is_found_by_each_name(student):
    table = Table("book.csv", GRADEBOOK.encode())
    report = fill(table, canvas(table, "hw1"), {student: Mark(3, 13)})
    assert changed(GRADEBOOK.encode(), table.content()) == [(3, "HW1 (5501)", "3.00")]
    assert report.unmatched == {}


@pytest.mark.parametrize("student", ["ada@uni.example", "ada", "ada-lovelace", "lovelaceada"])
def test_a_row_of_moodle_is_found_by_each_name(student):
    table = Table("g.csv", WORKSHEET.encode())
    fill(table, moodle(table), {student: Mark(3, 13)})
    assert changed(WORKSHEET.encode(), table.content()) == [(1, "Grade", "3.00")]


def test_a_groups_mark_goes_to_all_of_its_members_and_to_nobody_else():
    table = Table("g.csv", WORKSHEET.encode())
    fill(table, moodle(table), {"blue": Mark(3, 13)})
    assert changed(WORKSHEET.encode(), table.content()) == [
        (2, "Grade", "3.00"),
        (3, "Grade", "3.00"),
    ]


def test_two_of_one_name_get_nothing_until_a_roster_tells_them_apart():
    sheet = WORKSHEET.replace("Jörg Müller", "Ada Lovelace")
    table = Table("g.csv", sheet.encode())
    report = fill(table, moodle(table), {"ada-lovelace": Mark(3, 13)})
    assert report.unmatched == {"ada-lovelace": "2 rows have this name; see --roster"}
    assert table.content() == sheet.encode()
    people = roster(Table("r.csv", b"student,address\ns1,j.mueller@uni.example\n"))
    fill(table, moodle(table), {"s1": Mark(3, 13)}, people)
    assert changed(sheet.encode(), table.content()) == [(2, "Grade", "3.00")]


def test_who_has_no_row_or_waits_for_a_mark_by_hand_is_named():
    table = Table("g.csv", WORKSHEET.encode())
    marks = {"eve": Mark(1, 13), "ada": Mark(1, 13, waiting=True)}
    report = fill(table, moodle(table), marks)
    assert "no row" in report.unmatched["eve"]
    assert "by hand" in report.unmatched["ada"]
    assert table.content() == WORKSHEET.encode()


def test_another_maximum_is_refused_or_scaled():
    hundred = WORKSHEET.replace("13.00", "100.00")
    table = Table("g.csv", hundred.encode())
    with pytest.raises(ValueError, match=r"maximum of 100, the homework 13 points.*--scale"):
        fill(table, moodle(table), {"ada": Mark(9.5, 13)})
    fill(table, moodle(table), {"ada": Mark(9.5, 13)}, scale=True)
    assert changed(hundred.encode(), table.content()) == [(1, "Grade", "73.08")]


def test_a_german_worksheet_from_a_spreadsheet():
    sheet = (
        'ID;"Vollständiger Name";E-Mail-Adresse;Status;Bewertung;Bestwertung\r\n'
        '"Teilnehmer/in1000001";"Ada Lovelace";ada@uni.example;"Zur Bewertung abgegeben";;13,00\r\n'
    )
    table = Table("g.csv", sheet.encode("latin-1"))
    report = fill(table, moodle(table), {"ada-lovelace": Mark(9.5, 13)})
    assert report.filled == {"ada-lovelace": "9,50"}
    assert table.content() == sheet.replace('abgegeben";;', 'abgegeben";9,50;').encode("latin-1")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Name,Mark\nAda,1\n", "no column 'Grade', as Moodle's grading worksheet has"),
        (b"Identifier,Grade,Maximum grade\nParticipant 1,,\n", "'' where a number of points"),
        (b"Identifier,Grade,Scale\nParticipant 1,,Fail - Pass\n", "'Fail - Pass' where a number"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_wrong_worksheet_is_refused(content, says, capsys):
    Path("g.csv").write_bytes(content)
    assert main(["marks", "hw1", "--moodle", "g.csv", "--from", "marks.csv"]) == 1
    assert says in capsys.readouterr().err


def test_a_wrong_column_of_canvas_is_refused():
    table = Table("book.csv", GRADEBOOK.encode())
    with pytest.raises(
        ValueError, match=r"no columns called 'hw3'.*'HW1 \(5501\)', 'HW2 \(5502\)'"
    ):
        canvas(table, "hw3")
    assert canvas(table, "hw3", "HW2 (5502)").column == 6
    with pytest.raises(ValueError, match="no column 'ID'"):
        canvas(Table("g.csv", b"a,b\n"), "hw1")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("student,assignment\n", "no column task, points, max_points"),
        (
            MARKS + "ada-lovelace,hw1,why,1,2\n",
            "line 11 of m.csv has why of ada-lovelace for a sec",
        ),
        (MARKS + "eve,hw1,why,nan,2\n", "line 11 of m.csv has 'nan' where a number"),
        (MARKS.replace("hw1", "hw2"), "holds no marks of 'hw1'"),
    ],
)
def test_a_wrong_table_of_marks_is_refused(content, says):
    with pytest.raises(ValueError, match=says):
        from_table(Table("m.csv", content.encode()), "hw1")
