"""The locked solutions: opened by the word alone, and what students get is what they release."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="the extra `homework` is not installed")
from gradwidgets_homework import lock, unlock
from gradwidgets_notebooks.__main__ import main
from tests.grading.right import right_sources
from tests.homework.opened import ARCHIVE, HOMEWORK, ROOT, WORD, opened, released, write

HERE = "tests/homework/"


def test_students_get_what_the_locked_sources_release(tmp_path):
    found = released(write(tmp_path))
    assert set(found) == {path.name for path in HOMEWORK.glob("*.ipynb")}
    for name, content in found.items():
        assert (HOMEWORK / name).read_bytes() == content, "python develop.py homework-lock"


def test_what_students_get_holds_no_solution_and_no_hidden_test():
    for path in HOMEWORK.glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert not any(word in text for word in ("SOLUTION", "HIDDEN", "gradwidgets"))
        assert text.count("# your lines") >= 2


def test_no_file_of_the_repository_holds_a_solution():
    """No notebook has a cell with one, and no test has a long line of one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no clone")
    names = [name for name in listed.stdout.split("\0") if name.endswith((".ipynb", ".py"))]
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in names}
    notebooks = [text for name, text in texts.items() if name.endswith(".ipynb")]
    assert len(notebooks) > 20
    assert not any("BEGIN SOLUTION" in text or "BEGIN HIDDEN" in text for text in notebooks)
    lines = {line.strip() for source in right_sources() for line in source.splitlines()[1:]}
    long = {line for line in lines if len(line) > 40}
    assert len(long) > 10
    tests = [text for name, text in texts.items() if name.startswith(("tests/grading/", HERE))]
    assert not {line for line in long if any(line in text for text in tests)}


def test_the_archive_shows_nothing_and_opens_with_the_word_alone():
    content = ARCHIVE.read_bytes()
    assert not any(word in content for word in (b"hw1", b"source", b"SOLUTION", WORD.encode()))
    assert "source/hw1/hw1.ipynb" in unlock(content, WORD)
    for word in ("", WORD.upper(), WORD + " "):
        with pytest.raises(ValueError, match="the word does not open it"):
            unlock(content, word)


def test_a_damaged_archive_and_another_file_are_refused():
    content = bytearray(ARCHIVE.read_bytes())
    content[-100] ^= 1
    with pytest.raises(ValueError, match="does not open it, or the file is damaged"):
        unlock(bytes(content), WORD)
    with pytest.raises(ValueError, match="no archive of homework"):
        unlock(b"PK", WORD)


@pytest.mark.parametrize("name", ["../source/hw1/hw1.ipynb", "/source/a/b.ipynb", "a.py", "x/y/z"])
def test_only_files_of_homework_are_locked(name):
    with pytest.raises(ValueError, match="is no file of homework"):
        lock({name: b""}, "word")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADWIDGETS_COURSE_WORD", WORD)
    return tmp_path


def test_unlock_makes_a_course_and_lock_an_archive_of_it_with_another_word(
    home, monkeypatch, capsys
):
    assert main(["course", "unlock"]) == 0
    source = (home / "course/source/hw1/hw1.ipynb").read_bytes()
    assert source == (opened() / "source/hw1/hw1.ipynb").read_bytes()
    names = {path.name for path in (home / "course").iterdir()}
    assert names >= {"nbgrader_config.py", "course.toml", "INSTRUCTORS.md", "source"}
    (home / "course/submitted/ada").mkdir(parents=True)
    (home / "course/submitted/ada/secret.ipynb").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("GRADWIDGETS_COURSE_WORD", "ours")
    assert main(["course", "lock", "course"]) == 0
    assert main(["course", "unlock", "again", "--archive", "course.locked"]) == 0
    assert (home / "again/source/hw1/hw1.ipynb").read_bytes() == source
    assert not (home / "again/submitted").exists()
    monkeypatch.setenv("GRADWIDGETS_COURSE_WORD", WORD)
    assert main(["course", "unlock", "more", "--archive", "course.locked"]) == 1
    assert "the word does not open it" in capsys.readouterr().err
    assert not (home / "more").exists()


def test_unlock_overwrites_nothing_and_says_where_the_archive_is(home, capsys):
    (home / "course").mkdir()
    (home / "course/mine.txt").write_text("mine", encoding="utf-8")
    assert main(["course", "unlock"]) == 1
    assert "course is there already" in capsys.readouterr().err
    assert main(["course", "unlock", "new", "--archive", "nowhere"]) == 1
    assert "the repository of gradwidgets has it" in capsys.readouterr().err


def test_the_word_is_asked_for_and_for_a_lock_twice(home, monkeypatch, capsys):
    monkeypatch.delenv("GRADWIDGETS_COURSE_WORD")
    said = iter([WORD, "ours", "oars"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(said))
    assert main(["course", "unlock", "course", "--language", "es"]) == 0
    assert 'language = "es"' in (home / "course/course.toml").read_text(encoding="utf-8")
    assert main(["course", "lock", "course"]) == 1
    assert "the two words are not the same" in capsys.readouterr().err
    assert not (home / "course.locked").exists()
