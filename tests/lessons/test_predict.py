"""`Predict`: nothing is known before the commitment, all is explained after it."""

import asyncio
import linecache
import threading

import pytest
import traitlets

from gradwidgets import Predict
from tests.front_end import send

QUESTION = "Is `2 + 2` more than 3?"
WHY = {"yes": "It is 4.", "no": "Count again."}


class Experiment:
    """Counts its runs."""

    def __init__(self, result):
        self.result = result
        self.runs = 0

    def __call__(self):
        self.runs += 1
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def asked(result=("yes", "Measured: 4."), why=WHY):
    experiment = Experiment(result)
    return Predict(QUESTION, ["yes", "no"], experiment, why), experiment


def test_before_the_commitment_nothing_has_run():
    predict, experiment = asked()
    assert (predict.choice, predict.answered, predict.right) == (None, False, None)
    assert experiment.runs == 0
    assert repr(predict) == f"{QUESTION}\n  ( ) yes\n  ( ) no\nNot answered yet."
    state = str(predict.get_state(["question", "choices", "chosen", "shown", "error"]))
    assert "Measured" not in state
    assert "Count again" not in state


@pytest.mark.parametrize(("choice", "right"), [("yes", True), ("no", False)])
def test_the_commitment_runs_the_experiment_once(choice, right):
    predict, experiment = asked()
    predict.commit(choice)
    assert (predict.choice, predict.answered, predict.right) == (choice, True, right)
    assert experiment.runs == 1
    text = repr(predict)
    assert f"(x) {choice}" in text
    for part in ("The experiment says: yes.", "Measured: 4.", *WHY.values()):
        assert part in text
    assert ("Right." in text) is right
    assert ("Not so." in text) is not right


LINES_OF = {
    "def measured():\n    return 'yes'\n": [
        [],
        ["\n"],
        ["import sys\n"],
        ["def other():\n", " 1\n"],
    ],
    "measured = lambda: 'yes'\n": [[], ["\n"], ["import sys\n"]],
}
"""Experiments that are typed at a prompt, and lines that Python finds in their place."""


@pytest.mark.parametrize(
    ("typed", "lines"), [(typed, lines) for typed in LINES_OF for lines in LINES_OF[typed]]
)
def test_no_other_lines_are_shown_as_the_experiment(typed, lines, monkeypatch):
    names = {}
    exec(typed, names)
    monkeypatch.setitem(linecache.cache, "<string>", (1, None, lines, "<string>"))
    predict = Predict(QUESTION, ["yes", "no"], names["measured"])
    predict.commit("yes")
    assert predict.shown["experiment"] == ""
    kept = typed.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "<string>", (1, None, kept, "<string>"))
    predict = Predict(QUESTION, ["yes", "no"], names["measured"])
    predict.commit("yes")
    assert predict.shown["experiment"] == typed.strip()


def test_only_the_first_choice_counts():
    predict, experiment = asked()
    predict.commit("no")
    predict.commit("yes")
    assert predict.choice == "no"
    assert experiment.runs == 1


def test_reveal_says_nothing_before_the_commitment():
    predict, experiment = asked()
    assert predict.reveal() == "Commit to an answer first."
    assert experiment.runs == 0
    predict.commit("yes")
    assert predict.reveal().startswith("Right.")


def test_a_lecturer_shows_the_answer_of_an_open_question():
    predict, experiment = asked()
    said = predict.reveal(show=True)
    assert said.startswith("The experiment says: yes. Measured: 4.")
    assert all(reason in said for reason in WHY.values())
    assert not predict.answered
    predict.commit("yes")
    assert experiment.runs == 1


def test_the_experiment_itself_is_shown_after_the_commitment():
    def more():
        return "yes" if 2 + 2 > 3 else "no"

    predict = Predict(QUESTION, ["yes", "no"], more)
    assert "experiment" not in predict.shown
    predict.commit("yes")
    assert predict.shown["experiment"].startswith("def more():\n    return")


def test_a_choice_without_explanation_is_enough():
    predict, _ = asked("no", why=None)
    predict.commit("yes")
    assert repr(predict).endswith("Not so. The experiment says: no.")


@pytest.mark.parametrize("result", ["maybe", ("maybe", "why"), None, ("yes", "a", "b"), 4])
def test_an_answer_that_is_no_choice_is_refused(result):
    predict, _ = asked(result)
    with pytest.raises(ValueError, match=r"answer\(\)=.* one of \['yes', 'no'\]"):
        predict.commit("yes")
    assert not predict.answered


def test_an_experiment_that_fails_leaves_the_question_open():
    predict, experiment = asked(RuntimeError("no data"))
    with pytest.raises(RuntimeError, match="no data"):
        predict.commit("yes")
    send(predict, {"kind": "commit", "choice": "yes"})
    assert predict.error == "The experiment failed: RuntimeError: no data"
    assert not predict.answered
    experiment.result = "yes"
    send(predict, {"kind": "commit", "choice": "yes"})
    assert predict.right
    assert predict.error == ""


@pytest.mark.parametrize(
    "message", ["text", {}, {"kind": "commit"}, {"kind": "commit", "choice": []}]
)
def test_a_strange_message_changes_nothing(message):
    predict, experiment = asked()
    send(predict, message)
    assert not predict.answered
    assert experiment.runs == 0


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"question": ""}, "question"),
        ({"choices": ["yes"]}, "choices"),
        ({"choices": "yes"}, "choices"),
        ({"choices": ["yes", "yes"]}, "choices"),
        ({"choices": ["yes", 3]}, "choices"),
        ({"answer": "yes"}, "answer"),
        ({"why": {"perhaps": "?"}}, "why"),
        ({"tally": 1}, "tally"),
    ],
)
def test_bad_arguments_are_named(change, names):
    good = {"question": QUESTION, "choices": ["yes", "no"], "answer": lambda: "yes"}
    with pytest.raises(ValueError, match=f"^{names}="):
        Predict(**(good | change))


def test_an_unknown_choice_is_named():
    predict, experiment = asked()
    with pytest.raises(ValueError, match=r"choice='perhaps' .* one of"):
        predict.commit("perhaps")
    assert experiment.runs == 0


def test_where_no_widgets_live_it_is_text():
    predict, _ = asked()
    assert predict.static_view().words == repr(predict)


def test_the_experiment_runs_on_the_loop_that_made_it():
    async def kernel():
        where = []
        predict = Predict(
            QUESTION, ["yes", "no"], lambda: where.append(threading.get_ident()) or "yes"
        )
        answered = asyncio.Event()
        predict.observe(lambda _: answered.set(), "chosen")
        await asyncio.to_thread(send, predict, {"kind": "commit", "choice": "yes"})
        await answered.wait()
        return where, threading.get_ident()

    where, ours = asyncio.run(asyncio.wait_for(kernel(), 10))
    assert where == [ours]


def test_hands_are_counted_and_the_outcome_is_computed_all_the_same():
    experiment = Experiment(("yes", "Measured: 4."))
    predict = Predict(QUESTION, ["yes", "no"], experiment, tally=True)
    predict.votes = [12, 18]
    assert repr(predict).endswith("( ) yes: 12\n  ( ) no: 18\nNot answered yet.")
    assert experiment.runs == 0
    send(predict, {"kind": "commit", "choice": "no", "votes": [13, 20]})
    assert predict.right is False
    said = predict.shown["verdict"]
    assert said == "Not so. The experiment says: yes. Measured: 4. 13 of 33 hands were right."


@pytest.mark.parametrize("votes", [[-1, 2], ["a", 2]])
def test_a_count_of_hands_is_a_whole_number_from_0(votes):
    predict = Predict(QUESTION, ["yes", "no"], lambda: "yes", tally=True)
    with pytest.raises(traitlets.TraitError, match="votes"):
        predict.votes = votes
