"""Whatever a worker sends, the judge reads numbers and short texts, or refuses."""

import base64
import contextlib
import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwidgets import grading
from gradwidgets.grading.answer import UnreadableError, printable, read_answer
from gradwidgets.grading.judge import NOT_JUDGED, OwnKernel, judged
from gradwidgets_worker import decoded, encoded, read_frame, write_frame
from tests.grading.right import right_functions

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["float32", "float64", "bool", "float", "str", "0x1p+0", "nan"])
)
WORDS = (
    *("seen", "raised", "drawn", "torch", "random", "numpy", "parameters", "gradients"),
    *("training", "groups", "given", "returned", "type", "value", "items", "params", "lr"),
    *("weight_decay", "dtype", "shape", "bytes"),
)
KEYS = st.sampled_from(WORDS)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)


class Changed:
    """An asker that answers rightly, but for one place of the answer."""

    def __init__(self, path, value):
        self.own, self.path, self.value = OwnKernel(right_functions()), path, value

    def ask(self, function, question):
        answer = json.loads(json.dumps(self.own.ask(function, question)))
        inside, found = answer, None
        for step in self.path:
            keys = list(inside) if isinstance(inside, dict) else range(len(inside))
            if not keys:
                break
            found = inside, list(keys)[step % len(keys)]
            inside = inside[found[1]]
            if not isinstance(inside, (dict, list)):
                break
        if found:
            found[0][found[1]] = self.value
        return answer


@given(JSON)
def test_no_answer_makes_the_judge_stumble(data):
    question = {"parameters": [encoded(np.ones((2, 3)))], "steps": [["call"]]}
    with contextlib.suppress(UnreadableError):
        read_answer(data if isinstance(data, dict) else {"seen": data}, question)


@pytest.mark.parametrize("task", ["train_step", "mask", "diagnose", "make_groups"])
@given(path=st.lists(st.integers(0, 7), min_size=1, max_size=6), value=JSON)
def test_no_change_of_an_answer_makes_the_judge_stumble(task, path, value):
    result = judged(grading.TASKS[task], Changed(path, value), "ada")
    assert 0 <= result.points <= result.of
    assert not any(NOT_JUDGED in verdict.sentence for verdict in result.verdicts)


@pytest.mark.parametrize("task", grading.TASKS)
def test_an_answer_that_is_off_by_a_little_is_wrong(task):
    if task in ("learning_rate", "diagnose"):
        return  # they return a float, a text

    class Off(OwnKernel):
        def ask(self, function, question):
            answer = super().ask(function, question)
            for seen in answer["seen"]:
                kind = "gradients" if task in ("scale", "mask", "penalty", "clip") else "parameters"
                values = decoded(seen[kind][0]).copy()
                values.flat[-1] += 1e-3
                seen[kind][0] = encoded(values)
            return answer

    for student in ("ada", "bob", "eve", "ida", "max"):  # each is asked with numbers of their own
        assert judged(grading.TASKS[task], Off(right_functions()), student).points == 0


@pytest.mark.parametrize(
    "data",
    [
        {"dtype": "object", "shape": [1], "bytes": ""},
        {"dtype": "float64", "shape": [10**9, 10**9], "bytes": ""},
        {"dtype": "float64", "shape": [-1], "bytes": ""},
        {"dtype": "float64", "shape": [True], "bytes": ""},
        {"dtype": "float64", "shape": [1], "bytes": "!"},
        {"dtype": "float64", "shape": [2], "bytes": base64.b64encode(bytes(8)).decode()},
        {"dtype": "float64", "shape": [1] * 100, "bytes": base64.b64encode(bytes(8)).decode()},
        [],
    ],
)
def test_what_is_no_array_is_refused(data):
    with pytest.raises(ValueError, match=r"\w"):
        decoded(data)


@pytest.mark.parametrize("array", [np.ones((2, 3), "f4"), np.array(True), np.zeros((0, 4)), np.inf])
def test_arrays_come_back_as_they_were(array):
    array = np.asarray(array)
    back = decoded(json.loads(json.dumps(encoded(array))))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", EOFError),
        (struct.pack(">I", 10) + b"short", EOFError),
        (struct.pack(">I", 2**32 - 1), ValueError),
        (struct.pack(">I", 2) + b"[]", ValueError),
        (struct.pack(">I", 3) + b"{a}", ValueError),
        (struct.pack(">I", 400_000) + b"[" * 400_000, ValueError),
        (struct.pack(">I", 4) + b"\xff\xfe\x00\x00", ValueError),
    ],
)
def test_what_is_no_frame_is_refused(body, error):
    with pytest.raises(error):
        read_frame(io.BytesIO(body))


def test_a_frame_that_is_too_long_is_not_sent():
    with pytest.raises(ValueError, match="too long"):
        write_frame(io.BytesIO(), {"run": "x" * 9_000_000})


@given(st.text())
def test_texts_can_be_written_anywhere(text):
    shown = printable(text)
    assert len(shown) <= 400
    shown.encode("utf-8")
    assert all(c.isprintable() or c in "\n\t" for c in shown)
