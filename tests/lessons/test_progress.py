"""Answers and solved exercises are kept in one file, and come back; nothing else is touched."""

import json
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from gradwidgets.lessons import Lesson, Predict, progress
from tests.lessons.sums import WHY, a_lesson


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_PROGRESS", str(tmp_path / "kept.json"))
    return tmp_path / "kept.json"


def test_a_question_comes_back_as_it_was_answered(file):
    question = a_lesson().questions["more"]
    assert not question().answered
    assert not file.exists()
    question().commit("no")
    again = a_lesson().questions["more"]()
    assert (again.choice, again.right) == ("no", False)
    assert "Count again" in repr(again)


def test_an_exercise_is_kept_once_it_passes(file):
    lesson = a_lesson()
    lesson.exercises["check_sum"](5)
    assert lesson.done() == (0, 0)
    for _ in range(2):
        assert lesson.exercises["check_sum"](4) == "Right."
    lesson.exercises["check_sum"](5)  # what has passed stays passed
    lesson.questions["more"]().commit("yes")
    assert a_lesson().done() == (1, 1)
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "answers": {"sums.more": "yes"},
        "passed": ["sums.check_sum"],
    }


@pytest.mark.usefixtures("file")
def test_a_question_and_a_check_leave_the_random_numbers_as_they_are():
    lesson = Lesson("draws")
    lesson.question("?", WHY)(drawn)
    lesson.exercise(check_drawn)
    before = torch.random.get_rng_state()
    lesson.questions["drawn"]().commit("yes")
    assert lesson.exercises["check_drawn"](4).startswith("Right")
    assert torch.equal(torch.random.get_rng_state(), before)


def drawn():
    torch.manual_seed(5)
    return "yes", f"It is {torch.rand(1).item():.2f}."


def check_drawn(total):
    torch.manual_seed(total)
    return f"Right. {torch.rand(1).item():.2f}."


def test_threads_that_keep_things_at_once_lose_none(file):
    """The class is told on a thread of its own, which keeps an id meanwhile."""

    def keep(number):
        progress.keep_choice(f"question {number}", "yes")
        progress.keep_passed(f"exercise {number}")
        progress.tell_class(f"word {number}", "said")

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(keep, range(100)))
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert [len(kept[part]) for part in ("answers", "passed", "class")] == [100, 100, 100]
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_kernels_that_keep_things_at_once_lose_none_and_are_one_learner(file):
    """A learner has a kernel for each notebook that is open."""
    program = """
import sys
from gradwidgets.lessons import progress
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    progress.keep_choice(f"{sys.argv[1]} {number}", "yes")
print(progress.tell_class_once("id", sys.argv[1]))
"""
    kernels = [
        subprocess.Popen(
            [sys.executable, "-c", program, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    assert [kernel.stdout.readline() for kernel in kernels] == ["ready\n"] * 2
    for kernel in kernels:
        kernel.stdin.write("\n")
        kernel.stdin.flush()
    said = {kernel.communicate()[0] for kernel in kernels}
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert len(kept["answers"]) == 100
    assert said == {f"{kept['class']['id']}\n"}
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_deleting_the_file_begins_again(file):
    a_lesson().questions["more"]().commit("yes")
    file.unlink()
    assert not a_lesson().questions["more"]().answered
    assert a_lesson().done() == (0, 0)


def test_an_answer_that_is_no_choice_any_more_leaves_the_question_open(file):
    file.write_text(
        json.dumps({"answers": {"sums.more": "perhaps"}, "passed": []}), encoding="utf-8"
    )
    assert not a_lesson().questions["more"]().answered


@pytest.mark.parametrize("text", ["", "[1]", '{"mine": 1}', "\x00", '{"answers": 3, "passed": 4}'])
def test_a_file_that_is_not_ours_is_left_alone_and_said(file, text):
    file.write_text(text, encoding="utf-8")
    with pytest.warns(UserWarning, match="progress is not kept"):
        a_lesson().questions["more"]().commit("yes")
    assert file.read_text(encoding="utf-8") == text
    assert list(file.parent.iterdir()) == [file]


def test_a_folder_that_cannot_be_written_to_stops_no_lesson(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_PROGRESS", str(tmp_path / "none" / "kept.json"))
    question = a_lesson().questions["more"]()
    with pytest.warns(UserWarning, match="progress is not kept"):
        question.commit("yes")
    assert question.right


def test_nothing_is_kept_where_the_variable_is_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADWIDGETS_PROGRESS", "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a_lesson().questions["more"]().commit("yes")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("GRADWIDGETS_PROGRESS")
    assert progress.path().name == "progress.json"


def test_a_question_without_a_key_is_not_kept(file):
    Predict("Is it?", ["yes", "no"], lambda: "yes").commit("yes")
    assert not file.exists()
