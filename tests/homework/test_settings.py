"""The instructor's file: what it changes, and what it says of a mistake."""

from __future__ import annotations

import json

import pytest

from gradwidgets_homework import Settings, gettext, load, translated, with_points
from gradwidgets_homework.release import is_graded, task
from tests.homework.opened import HOMEWORK, opened

TASKS = ("train_step", "loop_a")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("[point]\ntrain_step = 3", "there is no setting 'point'; there are language, points"),
        ("points = 3", r"\[points\] should be a table"),
        ("[points]\ntrain_stop = 3", r"\[points\] train_stop: there are loop_a, train_step"),
        ("[points]\ntrain_step = -1", "train_step = -1 should be a number >= 0"),
        ("[points]\ntrain_step = true", "train_step = True should be a number"),
        ("[points]\ntrain_step = '3'", "train_step = '3' should be a number"),
        ("[points]\ntrain_step = inf", "train_step = inf should be a number"),
        ("[points]\ntrain_step = ", "cannot be read: Invalid value"),
        ("[numbers]\nclip = 1", r"\[numbers\] clip: there are rounding"),
        ('language = "fr"', "language = 'fr'; there are de, en"),
        ("[texts]\nhello = 3", r"\[texts\] should have lines such as"),
        ('[texts]\n"It is {a}." = "Es ist {b}."', r"'Es ist {b}.' has {b}, 'It is {a}.' not"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_mistake_is_named(tmp_path, told, says):
    path = tmp_path / "course.toml"
    path.write_bytes(told.encode("latin-1"))
    with pytest.raises(ValueError, match=says):
        load(path, TASKS, ("rounding",), ("de", "en"))


def test_the_file_as_it_comes_changes_nothing():
    assert load(HOMEWORK / "course.toml") == Settings()


def cells_of(homework: str):
    path = opened() / "source" / homework / f"{homework}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        cell["source"] = "".join(cell["source"])
    return cells


@pytest.mark.parametrize("language", ["en", "de", "es"])
@pytest.mark.parametrize("homework", ["hw1", "hw2", "hw3", "hw4"])
def test_points_are_the_courses_in_cells_and_texts_of_every_language(
    homework, language, monkeypatch
):
    monkeypatch.setenv("GRADWIDGETS_LANGUAGE", language)
    cells = cells_of(homework)
    names = [task(cell) for cell in cells if is_graded(cell)]
    changed = {name: 40.0 if name.startswith("loop_") else 21.0 + n for n, name in enumerate(names)}
    translated(cells, gettext)
    before = [cell["source"] for cell in cells]
    with_points(cells, Settings(points=changed))
    assert {task(c): c["metadata"]["nbgrader"]["points"] for c in cells if is_graded(c)} == changed
    assert f"{sum(changed.values()):g} " in cells[0]["source"]
    headlines = [c["source"].split("\n")[0] for c in cells if c["source"].startswith("## ")]
    each = dict.fromkeys(f"{changed[name]:g}" for name in names)
    for headline, number in zip(headlines, each, strict=True):
        assert number in headline.rpartition("(")[2]
    after = [cell["source"] for cell in cells]
    assert sum(old != new for old, new in zip(before, after, strict=True)) == len(headlines) + 1


def test_points_that_a_headline_gives_to_each_must_be_equal():
    with pytest.raises(ValueError, match="give loop_a, loop_b, loop_c the same points each"):
        with_points(cells_of("hw1"), Settings(points={"loop_a": 3}))


def test_nothing_changes_without_points():
    cells, same = cells_of("hw1"), cells_of("hw1")
    with_points(cells, Settings(points={"accumulate": 3}))
    assert cells == same
