"""Downloads of Moodle and Canvas: everybody is collected or named, and nothing lands elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gradwidgets_homework import Table, collect, roster, submissions
from gradwidgets_notebooks.__main__ import main
from tests.homework.downloads import (
    CANVAS,
    CANVAS_TAKEN,
    GRADEBOOK,
    MOODLE,
    MOODLE_TAKEN,
    WORKSHEET,
    link,
    notebook,
    packed,
)


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "release" / "hw1").mkdir(parents=True)
    return tmp_path


def words(course: Path) -> dict[str, str]:
    """The word in each notebook that was collected."""
    found = course.glob("submitted/*/hw1/hw1.ipynb")
    return {path.parts[-3]: json.loads(path.read_bytes())["cells"][0]["source"] for path in found}


@pytest.mark.parametrize(
    ("files", "taken"), [(MOODLE, MOODLE_TAKEN), (CANVAS, CANVAS_TAKEN)], ids=["moodle", "canvas"]
)
@pytest.mark.parametrize("above", ["", "hw1-download/"])
def test_every_form_of_name_is_collected(course, files, taken, above):
    whole = {f"{above}{name}": content for name, content in files.items()}
    whole |= {"__MACOSX/._hw1.ipynb": b"", ".DS_Store": b""}
    report = collect("hw1", packed(course / "a.zip", whole), course)
    assert words(course) == taken
    assert set(report.taken) == set(taken)
    assert report.left_out == {}


def test_what_is_beside_the_notebook_is_said(course, capsys):
    assert main(["collect", "hw1", str(packed(course / "a.zip", MOODLE))]) == 0
    said = capsys.readouterr().out
    assert "collected: 7\n" in said
    folder = course / "submitted" / "jean-luc-le-goff" / "hw1"
    assert sorted(path.name for path in folder.iterdir()) == ["helpers.py", "hw1.ipynb"]
    for note in (
        "helpers.py is put beside it",
        "onlinetext/onlinetext.html left out: no file of the homework",
        "is called my_homework.ipynb",
    ):
        assert f"- {note}\n" in said


def test_files_beside_the_notebook_keep_the_names_that_it_imports(course):
    files = {
        "ada_1_51_hw1.ipynb": notebook(),
        "ada_1_52_helpers.py": b"old = True",
        "ada_1_53_helpers-1.py": b"old = False",
        "Bob M_2_assignsubmission_file/work/hw1.ipynb": notebook(),
        "Bob M_2_assignsubmission_file/work/helpers.py": b"mine = True",
        "Bob M_2_assignsubmission_file/helpers.py": b"mine = False",
    }
    collect("hw1", packed(course / "a.zip", files), course)
    read = {path.parts[-3]: path.read_bytes() for path in course.rglob("helpers.py")}
    assert read == {"ada-1": b"old = False", "bob-m": b"mine = True"}


def test_canvas_late_newest_and_typed_texts(course, capsys):
    assert main(["collect", "hw1", str(packed(course / "a.zip", CANVAS))]) == 1
    said = capsys.readouterr().out
    assert "- late\n" in said
    assert "- hw1.ipynb left out: another notebook (the newest counts)\n" in said
    assert "ruizmaríadelmar-104: there is no notebook, only a text or a link" in said


def test_a_roster_gives_the_names_and_tells_who_is_missing(course):
    people = roster(Table("worksheet.csv", WORKSHEET.encode()))
    files = {**MOODLE, "Ada Lovelace_9_assignsubmission_file/hw1.ipynb": notebook("another")}
    del files["Ada Lovelace_1000001_assignsubmission_file/hw1.ipynb"]
    del files["Siobhán OBrien_1000003_assignsubmission_file_hw1.ipynb"]
    report = collect("hw1", packed(course / "a.zip", files), course, people)
    assert words(course)["j.mueller@uni.example"] == "jörg"
    assert report.missing == ["obrien@uni.example"]


def test_a_roster_tells_two_of_one_name_apart(course):
    both = {
        f"Ada Lovelace_{number}_assignsubmission_file/hw1.ipynb": notebook(number)
        for number in ("7", "8")
    }
    archive = packed(course / "a.zip", both)
    report = collect("hw1", archive, course)
    assert report.taken == {}
    assert "numbers 7, 8" in report.refused["ada-lovelace"]
    table = b"student,name,moodle\nada1,Ada Lovelace,7\nada2,Ada Lovelace,8\n"
    collect("hw1", archive, course, roster(Table("roster.csv", table)))
    assert words(course) == {"ada1": "7", "ada2": "8"}


def test_canvas_numbers_lead_to_the_roster(course):
    people = roster(Table("gradebook.csv", GRADEBOOK.encode()))
    collect("hw1", packed(course / "a.zip", CANVAS), course, people)
    assert words(course).items() >= {"ada": "ada", "jm77": "jörg", "obrien": "siobhán"}.items()


BAD = {
    "not JSON": (b"PK\3\4 this was a zip", "it is not a notebook: its content is not JSON"),
    "no cells": (b'{"a": 1}', "it is not a notebook: it has no cells"),
    "a list": (b"[]", "it is not a notebook: it has no cells"),
    "nested": (b"[" * 200_000, "it is not a notebook: its content is not JSON"),
    "old": (b'{"worksheets": []}', "it is a notebook of an old format"),
    "empty": (b"", "it is not a notebook"),
    "large": (b" " * (submissions.FILE_LIMIT + 1), "it is larger than 20 MB"),
}


@pytest.mark.parametrize("kind", BAD)
def test_one_bad_file_is_named_and_the_others_go_on(course, kind):
    content, reason = BAD[kind]
    files = {**MOODLE, "Eve Bad_13_assignsubmission_file/hw1.ipynb": content}
    report = collect("hw1", packed(course / "a.zip", files), course)
    assert reason in report.refused["eve-bad"]
    assert words(course) == MOODLE_TAKEN


@pytest.mark.parametrize(
    "name",
    [
        "../../Eve Bad_13_assignsubmission_file/hw1.ipynb",
        "/etc/Eve Bad_13_assignsubmission_file/hw1.ipynb",
        "C:\\Eve Bad_13_assignsubmission_file\\hw1.ipynb",
        "Eve Bad_13_assignsubmission_file/../../../hw1.ipynb",
        "..\\Eve Bad_13_assignsubmission_file\\hw1.ipynb",
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_left_out(course, name):
    before = {path for path in course.parent.rglob("*") if "submitted" not in path.parts}
    report = collect("hw1", packed(course / "a.zip", {**MOODLE, name: notebook()}), course)
    assert "leads out" in report.left_out[name.replace("\\", "/")]
    assert words(course) == MOODLE_TAKEN
    after = {path for path in course.parent.rglob("*") if "submitted" not in path.parts}
    assert after - before == {course / "a.zip"}


@pytest.mark.parametrize(
    "name", [".._13_assignsubmission_file/hw1.ipynb", "...._13_54_hw1.ipynb", "_/_13_2_hw1.ipynb"]
)
def test_a_student_cannot_be_called_like_a_folder_above(course, name):
    collect("hw1", packed(course / "a.zip", {name: notebook()}), course)
    inside = {path.name for path in course.iterdir()}
    assert inside <= {"release", "a.zip", "submitted"}
    assert not (course / "submitted" / "hw1").exists()


def test_links_bombs_and_damage(course):
    path = packed(course / "a.zip", MOODLE)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(*link("Eve Link_12_assignsubmission_file/hw1.ipynb", "/etc/passwd"))
        archive.writestr("Eve Bomb_13_assignsubmission_file/hw1.ipynb", b"0" * 60_000_000)
        archive.writestr("Eve Torn_14_assignsubmission_file/hw1.ipynb", notebook("torn"), 0)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"source": "torn"', b'"source": "TORN"'))
    assert path.stat().st_size < 200_000
    report = collect("hw1", path, course)
    assert set(report.refused) == {"eve-bomb", "eve-torn"}
    assert "cannot be unpacked" in report.refused["eve-torn"]
    assert "link" in report.left_out["Eve Link_12_assignsubmission_file/hw1.ipynb"]
    assert words(course) == MOODLE_TAKEN


def test_two_files_of_one_student_are_refused_if_it_is_not_clear_which_counts(course):
    files = {
        "Ada L_1_assignsubmission_file/hw1.ipynb": notebook("one"),
        "Ada L_1_assignsubmission_file/hw1 (1).ipynb": notebook("two"),
        "Bob M_2_assignsubmission_file/a.ipynb": notebook("one"),
        "Bob M_2_assignsubmission_file/b.ipynb": notebook("two"),
        "Eve N_3_assignsubmission_file/hw1.ipynb": notebook("right"),
        "Eve N_3_assignsubmission_file/draft.ipynb": notebook("wrong"),
        "cat_4_55_c.ipynb": notebook("one"),
        "cat_4_56_d.ipynb": notebook("two"),
    }
    report = collect("hw1", packed(course / "a.zip", files), course)
    assert set(report.refused) == {"ada-l", "bob-m", "cat-4"}
    assert words(course) == {"eve-n": "right"}
    assert report.notes["eve-n"] == ["draft.ipynb left out: another notebook"]


def test_names_without_the_mark_of_utf8_are_read(course):
    path = packed(course / "a.zip", {"J__rg M_5_assignsubmission_file/hw1.ipynb": notebook("j")})
    path.write_bytes(path.read_bytes().replace(b"J__rg", "Jörg".encode()))
    collect("hw1", path, course)
    assert words(course) == {"jörg-m": "j"}


def test_a_group_is_collected_once(course):
    files = {
        "Group A_17_assignsubmission_file/hw1.ipynb": notebook("a"),
        "Default group_assignsubmission_file/hw1.ipynb": notebook("rest"),
    }
    collect("hw1", packed(course / "a.zip", files), course)
    assert words(course) == {"group-a": "a", "default-group": "rest"}


def test_a_second_download_replaces_and_says_what_to_grade_again(course, capsys):
    files = {"Ada L_1_assignsubmission_file/hw1.ipynb": notebook("first")}
    archive = str(packed(course / "a.zip", files))
    assert main(["collect", "hw1", archive]) == main(["collect", "hw1", archive]) == 0
    assert "replaces" not in capsys.readouterr().out
    files = {"Ada L_1_assignsubmission_file/hw1.ipynb": notebook("second")}
    assert main(["collect", "hw1", str(packed(course / "b.zip", files))]) == 0
    said = capsys.readouterr().out
    assert "nbgrader autograde hw1 --student ada-l --force, then the same with generate_f" in said
    assert words(course) == {"ada-l": "second"}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "holds no file"),
        ({"hw1.ipynb": b"{}", "notes/readme.txt": b""}, "collected: 0\nleft out: 2\n  hw1.ipynb"),
    ],
)
def test_nothing_collected_is_never_a_success(course, files, says, capsys):
    assert main(["collect", "hw1", str(packed(course / "a.zip", files))]) == 1
    said = capsys.readouterr()
    assert says in said.out + said.err


def test_what_cannot_be_done_is_said(course, capsys):
    (course / "a.zip").write_bytes(b"no zip")
    assert main(["collect", "hw1", "a.zip"]) == 1
    assert "a.zip is no zip archive" in capsys.readouterr().err
    assert main(["collect", "hw7", "a.zip"]) == 1
    assert "there is no homework 'hw7'" in capsys.readouterr().err


def test_the_commands_load_no_torch():
    program = "import sys, gradwidgets_notebooks.__main__; print('torch' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"
