"""The service over HTTP: who is let in, what is refused, what is kept and deleted."""

import contextlib
import json
import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gradwidgets_class import Store, store
from gradwidgets_class.store import FullError
from tests.classroom.service import LECTURER, running

QUESTION = {"key": "sums.more", "question": "Is `2 + 2` more than 3?", "choices": ["yes", "no"]}


def test_a_class_answers_and_the_lecturer_counts(service):
    for name, choice in (("ada", "yes"), ("bob", "yes"), ("eve", "no"), ("zoe", "who knows")):
        assert service.ask("PUT", "api/answers/sums.more", {"choice": choice}, learner=name) == (
            200,
            {"kept": True},
        )
    again = service.ask("PUT", "api/answers/sums.more", {"choice": "no"})
    assert again == (200, {"kept": False})
    said = service.lecturer("PUT", "api/asked", QUESTION)
    assert said == {"votes": [2, 1], "phones": f"{service.address}vote", "word": "tulips"}
    assert service.ask("GET", "api/asked") == (200, QUESTION)
    service.ask("PUT", "api/passed/sums.check", {}, learner="bob")
    service.ask("PUT", "api/me", {"name": "Bob <b>"}, learner="bob")
    everybody = service.lecturer("GET", "api/class")
    assert everybody[:2] == [
        {"learner": "learner 1", "answered": ["sums.more"], "passed": []},
        {"learner": "Bob <b>", "answered": ["sums.more"], "passed": ["sums.check"]},
    ]
    assert len(everybody) == 4


@pytest.mark.parametrize(
    ("token", "learner", "status"),
    [
        ("", "ada", 401),
        ("tulip", "ada", 401),
        ("tulips", "a b", 401),
        ("tulips", "x" * 81, 401),
        ("tulips", "ada", 403),
        (LECTURER, "ada", 200),
    ],
)
def test_only_the_lecturer_sees_the_class(service, token, learner, status):
    for method, body in (("GET", None), ("DELETE", None)):
        assert service.ask(method, "api/class", body, token, learner)[0] == status
    assert service.ask("PUT", "api/asked", QUESTION, token, learner)[0] == status


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("answers/a", b"{", "object in JSON"),
        ("answers/a", b"[" * 10_000, "object in JSON"),
        ("answers/a", [1], "object in JSON"),
        ("answers/a", {"choice": 3}, "choice must be a text of 1 to 300"),
        ("answers/a", {"choice": ""}, "choice must"),
        ("answers/a", {"choice": "x" * 301}, "choice must"),
        ("answers/a", {"choice": "a\nb"}, "choice must"),
        ("answers/" + "x" * 101, {"choice": "yes"}, "key must"),
        ("passed/%00", {}, "key must"),
        ("me", {"name": "x" * 61}, "name must"),
    ],
)
def test_what_is_no_answer_is_refused_and_not_kept(service, path, body, says):
    status, said = service.ask("PUT", f"api/{path}", body or b"{}")
    assert (status, says in said["error"]) == (400, True)
    assert service.lecturer("GET", "api/class") == []


@pytest.mark.parametrize(
    "change",
    [
        {"choices": ["one"]},
        {"choices": ["a", "a"]},
        {"choices": [str(n) for n in range(13)]},
        {"choices": "ab"},
        {"question": ""},
        {"key": 3},
    ],
)
def test_a_question_that_is_none_is_not_asked(service, change):
    status, _ = service.ask("PUT", "api/asked", {**QUESTION, **change}, LECTURER)
    assert status == 400
    assert service.ask("GET", "api/asked") == (200, {})


def test_a_body_that_is_too_long_is_not_read(service):
    with contextlib.suppress(ConnectionError):  # or it is told so, if it has sent all by then
        assert service.ask("PUT", "api/answers/a", b"{}" + b" " * 100_000)[0] == 400
    assert service.lecturer("GET", "api/class") == []


def test_who_asks_too_often_waits_and_others_do_not(service):
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda _: service.ask("GET", "api/me")[0], range(120)))
    assert 429 in statuses
    assert statuses.count(200) >= 40
    assert service.ask("GET", "api/me", learner="bob")[0] == 200


def test_a_learner_deletes_what_is_theirs_and_the_lecturer_all(service):
    for name in ("ada", "bob"):
        service.ask("PUT", "api/answers/sums.more", {"choice": "a telling choice"}, learner=name)
    service.ask("PUT", "api/me", {"name": "Ada Lovelace"})
    assert service.ask("GET", "api/me")[1] == {
        "number": 1,
        "name": "Ada Lovelace",
        "answers": {"sums.more": "a telling choice"},
        "passed": [],
    }
    assert service.ask("DELETE", "api/me")[0] == 200
    assert [each["learner"] for each in service.lecturer("GET", "api/class")] == ["learner 2"]
    assert traces(service, b"Lovelace") == 0
    assert traces(service, b"a telling choice") > 0
    service.lecturer("DELETE", "api/class")
    assert service.lecturer("GET", "api/class") == []
    assert traces(service, b"a telling choice") == 0


def traces(service, word):
    """How often the word stands in the files that the service keeps."""
    return sum(path.read_bytes().count(word) for path in service.file.parent.glob("*.sqlite*"))


def test_neither_names_nor_ids_of_learners_are_in_the_file(service):
    service.ask("PUT", "api/answers/sums.more", {"choice": "yes"}, learner="ada-of-london")
    assert traces(service, b"sums.more") > 0
    assert traces(service, b"ada-of-london") == 0
    assert stat.S_IMODE(service.file.stat().st_mode) & 0o077 == 0


def test_a_class_goes_on_where_it_was_and_forgets_what_is_old(tmp_path):
    with running(tmp_path) as service:
        service.ask("PUT", "api/answers/sums.more", {"choice": "yes"})
        service.ask("PUT", "api/answers/sums.less", {"choice": "yes"})
    base = sqlite3.connect(service.file)
    with base:
        base.execute("UPDATE answers SET at = at - 11 * 86400 WHERE key = 'sums.less'")
    base.close()
    with running(tmp_path, 0, "--days=10") as service:
        assert service.ask("GET", "api/me")[1]["answers"] == {"sums.more": "yes"}
        assert service.ask("PUT", "api/answers/sums.more", {"choice": "no"})[1] == {"kept": False}


def test_the_page_for_phones_runs_nothing_of_others(service):
    status, page = service.ask("GET", "vote", token="none")
    assert status == 200
    assert page.count("<script") == page.count("<script nonce=")
    for loaded in ("src=", "href=", "innerHTML"):
        assert loaded not in page


def test_a_class_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST_LEARNERS", 2)
    monkeypatch.setattr(store, "MOST_RECORDS", 2)
    kept = Store(tmp_path / "class.sqlite")
    assert [kept.answer("ada", key, "yes") for key in "ab"] == [True, True]
    with pytest.raises(FullError, match="2 of them"):
        kept.answer("ada", "c", "yes")
    kept.answer("bob", "a", "yes")
    with pytest.raises(FullError, match="2 learners"):
        kept.answer("eve", "a", "yes")
    kept.forget("bob")
    assert kept.answer("eve", "a", "yes")
    kept.close()


def test_who_is_old_and_has_nothing_left_is_forgotten(tmp_path):
    kept = Store(tmp_path / "class.sqlite")
    kept.name("ada", "Ada")
    kept.answer("bob", "a", "yes")
    kept.forget_before(time.time() - 60)
    assert [each["learner"] for each in kept.everybody()] == ["learner 2"]
    kept.close()


def test_a_file_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("my diary " * 100, encoding="utf-8")
    command = [sys.executable, "-m", "gradwidgets_notebooks", "class", "--file=mine", "--port=0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "mine cannot keep a class" in done.stderr
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "my diary " * 100


def test_the_service_loads_no_torch():
    program = (
        "import sys; from gradwidgets_class import service; "
        "print([name for name in ('torch', 'numpy', 'IPython') if name in sys.modules])"
    )
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_everything_that_it_says_is_json(service):
    for path in ("api/me", "api/asked"):
        assert json.dumps(service.ask("GET", path)[1])
    assert service.ask("POST", "api/me", {}) == (405, {"error": "Method Not Allowed"})
