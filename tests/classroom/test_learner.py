"""What a learner's kernel sends: nothing without an address, and never in the way of a lesson."""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from front_ends.ports import free_port
from gradwidgets import course
from gradwidgets.lessons import Predict, classroom
from tests.classroom.service import LECTURER, ROOM, running
from tests.front_end import send
from tests.lessons.sums import a_lesson

PROGRAM = """
import socket, threading
asked = []
def listen(name):
    def heard(*args, **kwargs):
        asked.append(name)
        raise OSError("no network in this test")
    return heard
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, listen(name))
socket.getaddrinfo = listen("getaddrinfo")
socket.create_connection = listen("create_connection")
from gradwidgets import Predict, course
from gradwidgets.course import start_here
from gradwidgets.lessons import classroom
question = start_here.scale_100()
question.commit(question.choices[0])
room = start_here.scale_100(tally=True)
room._received(None, {"kind": "class"}, [])
room.commit(room.choices[0])
for each in (classroom.on, classroom.off, classroom.delete, classroom.status, classroom.members):
    each()
classroom.name("Ada"), classroom.delete_everybody(), course.class_progress()
start_here.lesson.exercise(lambda: "Right.")()
assert room.class_button == room.class_line == question.class_line == question.class_button == ""
print(asked, threading.active_count())
"""


def test_without_an_address_nothing_is_asked_of_any_machine(tmp_path):
    env = {
        **os.environ,
        "GRADWIDGETS_PROGRESS": "progress.json",
        "JUPYTERHUB_API_TOKEN": "of a hub",
    }
    env.pop("GRADWIDGETS_CLASS", None)
    run = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "[] 1\n", done.stderr
    assert "class" not in json.loads((tmp_path / "progress.json").read_text(encoding="utf-8"))


def test_choices_and_exercises_arrive_under_a_number(learner, capsys):
    lesson = a_lesson()
    question = lesson.questions["more"]()
    assert question.class_line == (
        f"Your choices and solved exercises are sent to the class at {classroom.place()}, "
        "without your name."
    )
    question.commit("no")
    lesson.exercises["check_sum"](5)
    lesson.exercises["check_sum"](4)
    classroom.SENDER.wait()
    assert learner.lecturer("GET", "api/class") == [
        {"learner": "learner 1", "answered": ["sums.more"], "passed": ["sums.check_sum"]}
    ]
    said = capsys.readouterr().out
    assert said.count("are sent to the class at") == 1
    assert "classroom.off()" in said
    again = lesson.questions["more"]()  # answered before: not sent again
    classroom.SENDER.wait()
    assert again.choice == "no"


def test_a_learner_declines_at_any_question_and_takes_it_back(learner):
    question = a_lesson().questions["more"]()
    assert question.class_button == "Do not send"
    send(question, {"kind": "class"})
    assert question.class_line == f"Nothing is sent to the class at {classroom.place()}."
    question.commit("yes")
    a_lesson().exercises["check_sum"](4)
    assert not [each for each in threading.enumerate() if each.name == "gradwidgets-class"]
    assert learner.lecturer("GET", "api/class") == []
    send(question, {"kind": "class"})
    a_lesson().exercises["check_sum"](4)
    classroom.SENDER.wait()
    assert [each["passed"] for each in learner.lecturer("GET", "api/class")] == [["sums.check_sum"]]


@pytest.mark.usefixtures("learner")
def test_who_declines_has_declined_in_every_lesson(tmp_path):
    classroom.off()
    program = "from gradwidgets.lessons import classroom; print(classroom.sends())"
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert classroom.on() == classroom.status()
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_name_is_seen_if_it_is_given_and_all_is_deleted_if_asked(learner):
    a_lesson().questions["more"]().commit("yes")
    classroom.SENDER.wait()
    assert '"Ada"' in classroom.name("Ada")
    assert classroom.kept()["answers"] == {"sums.more": "yes"}
    assert learner.lecturer("GET", "api/class")[0]["learner"] == "Ada"
    assert classroom.delete().startswith("Nothing is sent")
    assert learner.lecturer("GET", "api/class") == []
    assert classroom.kept()["answers"] == {}


def test_two_kernels_of_a_learner_are_one(learner, tmp_path):
    a_lesson().questions["more"]().commit("yes")
    classroom.SENDER.wait()
    program = (
        "from gradwidgets.lessons import classroom; "
        "classroom.send_choice('sums.less', 'no'); classroom.SENDER.wait()"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert len(learner.lecturer("GET", "api/class")) == 1
    assert classroom.kept()["answers"] == {"sums.more": "yes", "sums.less": "no"}


@pytest.fixture
def silent(told, monkeypatch):  # noqa: ARG001, it is clean
    """A class that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setenv("GRADWIDGETS_CLASS", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setattr(classroom, "TIMEOUT", 1.0)
        yield


@pytest.mark.usefixtures("silent")
def test_a_class_that_never_answers_keeps_no_lesson_waiting(caplog):
    question = a_lesson().questions["more"]()
    with caplog.at_level(logging.WARNING):
        question.commit("yes")
        assert question.right  # long before the second that the class may take
        (sender,) = [each for each in threading.enumerate() if each.name == "gradwidgets-class"]
        a_lesson().exercises["check_sum"](4)
        assert sender.is_alive()
        classroom.SENDER.wait()
        assert "Your choice is not sent: the class at" in question.class_line
        a_lesson().exercises["check_sum"](4)
        classroom.SENDER.wait()
    (record,) = caplog.records  # noted once
    assert "Your lesson goes on" in record.getMessage()
    with pytest.raises(classroom.ClassError, match="does not answer"):
        classroom.name("Ada")


@pytest.mark.usefixtures("told")
def test_what_could_not_be_sent_goes_with_what_is_sent_next(tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setenv("GRADWIDGETS_CLASS", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("GRADWIDGETS_CLASS_TOKEN", ROOM)
    a_lesson().questions["more"]().commit("yes")
    classroom.SENDER.wait()
    with running(tmp_path, port) as service:
        a_lesson().exercises["check_sum"](4)
        classroom.SENDER.wait()
        assert service.lecturer("GET", "api/class") == [
            {"learner": "learner 1", "answered": ["sums.more"], "passed": ["sums.check_sum"]}
        ]


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("wrong", ["file:///etc/passwd", "ftp://127.0.0.1/", "here", " "])
def test_an_address_that_is_none_is_no_class(monkeypatch, wrong):
    monkeypatch.setenv("GRADWIDGETS_CLASS", wrong)
    assert classroom.status() == classroom.NO_CLASS
    a_lesson().questions["more"]().commit("yes")
    assert not [each for each in threading.enumerate() if each.name == "gradwidgets-class"]


@pytest.mark.usefixtures("told")
def test_the_token_follows_no_redirection(monkeypatch):
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
            each.listen()
            each.settimeout(5)
        monkeypatch.setenv("GRADWIDGETS_CLASS", f"http://127.0.0.1:{first.getsockname()[1]}")
        elsewhere = f"http://127.0.0.1:{second.getsockname()[1]}/"
        answer = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n"

        def redirect():
            with contextlib.closing(first.accept()[0]) as connection:
                connection.recv(10_000)
                connection.sendall(answer.encode())

        thread = threading.Thread(target=redirect)
        thread.start()
        with pytest.raises(classroom.ClassError, match="status 302"):
            classroom.kept()
        thread.join()
        second.settimeout(0.2)
        with pytest.raises(TimeoutError):
            second.accept()


def test_the_lecturer_asks_and_the_votes_come(learner, monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_CLASS_TOKEN", LECTURER)
    room = a_lesson().questions["more"](tally=True)
    assert room.class_button == "Ask the class"
    send(room, {"kind": "class"})
    wait_until(lambda: learner.ask("GET", "api/asked")[1])
    for name, choice in (("ada", "no"), ("bob", "no"), ("eve", "yes")):
        learner.ask("PUT", "api/answers/sums.more", {"choice": choice}, learner=name)
    wait_until(lambda: room.class_votes == [1, 2])
    assert room.class_line == (
        f"The class answers. Phones: {learner.address}vote with the word {ROOM}."
    )
    room.votes = [3, 0]  # hands of those without a machine
    assert repr(room).endswith("( ) yes: 4\n  ( ) no: 2\nNot answered yet.")
    room.commit("yes")
    assert room.shown["verdict"].endswith("It is 4. 4 of 6 answers were right.")
    assert room.class_button == ""
    wait_until(lambda: not polls())


@pytest.mark.usefixtures("learner")
def test_who_is_not_the_lecturer_cannot_ask():
    room = Predict("Is it?", ["yes", "no"], lambda: "yes", tally=True)
    send(room, {"kind": "class"})
    wait_until(lambda: "only the lecturer may do that" in room.class_line)
    assert room.class_line.startswith("The class at")
    wait_until(lambda: not polls())


def test_one_question_at_a_time_is_asked_and_a_closed_one_no_more(learner, monkeypatch):
    monkeypatch.setenv("GRADWIDGETS_CLASS_TOKEN", LECTURER)
    first, second = (
        Predict(text, ["yes", "no"], lambda: "yes", tally=True) for text in ("One?", "Two?")
    )
    for each in (first, second):
        send(each, {"kind": "class"})
    wait_until(lambda: learner.ask("GET", "api/asked")[1].get("question") == "Two?")
    wait_until(lambda: len(polls()) == 1)
    second.close()
    wait_until(lambda: not polls())


@pytest.mark.usefixtures("learner")
def test_a_learner_s_own_answer_is_not_that_of_a_room():
    a_lesson().questions["more"]().commit("no")
    room = a_lesson().questions["more"](tally=True)
    assert not room.answered
    room.commit("yes")
    assert a_lesson().questions["more"]().choice == "no"


def test_the_lecturer_sees_who_has_done_which_lesson(learner, monkeypatch):
    from gradwidgets.course import start_here, the_training_loop

    lesson = start_here.lesson
    for each in lesson.questions.values():
        learner.ask("PUT", f"api/answers/{each.key}", {"choice": "any"})
    for name in lesson.exercises:
        learner.ask("PUT", f"api/passed/{lesson.name}.{name}", {})
    key = next(iter(the_training_loop.lesson.questions.values())).key
    learner.ask("PUT", f"api/answers/{key}", {"choice": "any"}, learner="bob")
    with pytest.raises(classroom.ClassError, match="only the lecturer"):
        course.class_progress()
    monkeypatch.setenv("GRADWIDGETS_CLASS_TOKEN", LECTURER)
    rows = course.class_progress().rows
    assert rows == [["learner 1", "00", "-"], ["learner 2", "-", "08"]]


def polls():
    return [each for each in threading.enumerate() if each.name == "gradwidgets-poll"]


def wait_until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
