"""The answer of a worker, read with distrust: types, shapes and sizes first, then the values.

A worker may send what it likes. What is read here is numbers and short texts, or it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwidgets.grading.numpy_oracle import Array
from gradwidgets.grading.wrong import Wrong
from gradwidgets_homework import course_settings
from gradwidgets_worker import DTYPES, Data, decoded

SHARES = {"float32": 1e-5, "float64": 1e-9}
"""Numbers are equal within this, as a share of the largest of them, by the type of the found.

`[numbers]` of `course.toml` changes it."""

LONGEST = 400
"""Characters that are read of a text."""


class UnreadableError(Exception):
    """A worker sent something that is no answer to what it was asked."""


@dataclass(frozen=True)
class Value:
    """A value that came back: its type's name, and its value if it is a float or a text."""

    kind: str
    value: float | str | None = None
    items: tuple[Value, ...] = ()

    def number(self) -> float:
        """The value as a number.

        Raises:
            Wrong: it is no plain float.
        """
        if self.kind != "float" or not isinstance(self.value, float):
            raise Wrong("It should return a plain float; this is of type {kind}.", kind=self.kind)
        return self.value

    def text(self) -> str:
        """The value as a text.

        Raises:
            Wrong: it is none.
        """
        if not isinstance(self.value, str):
            raise Wrong("It should return a text; this is of type {kind}.", kind=self.kind)
        return self.value


@dataclass(frozen=True)
class Group:
    """A group of an optimizer: the numbers of its parameters (-1: a stranger), its options."""

    params: tuple[int, ...]
    options: dict[str, float]


@dataclass(frozen=True)
class Seen:
    """All that was there after a step.

    Attributes:
        parameters: their values, in the order of the question.
        gradients: their `.grad`, or None.
        training: the model's mode.
        groups: the optimizer's.
        given: the arrays that the function was last called with.
        returned: what it returned.
    """

    parameters: list[Array]
    gradients: list[Array | None]
    training: bool
    groups: list[Group]
    given: list[Array]
    returned: Value


@dataclass(frozen=True)
class Answer:
    """The answer to a question.

    Attributes:
        seen: what was there after each step.
        raised: the exception that ended the steps, or None.
        drawn: the next number of each global generator, by its library.
    """

    seen: list[Seen]
    raised: str | None
    drawn: dict[str, float]


def read_answer(data: Data, question: Data) -> Answer:
    """Read an answer to a question.

    Raises:
        UnreadableError: it is none.
    """
    shapes = [tuple(each["shape"]) for each in question["parameters"]]
    try:
        seen = [_seen(each, shapes) for each in _list(data["seen"], len(question["steps"]))]
        raised = None if data.get("raised") is None else printable(data["raised"])
        drawn = {name: _float(data["drawn"][name]) for name in ("torch", "random", "numpy")}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnreadableError(type(error).__name__) from None
    if (raised is None) != (len(seen) == len(question["steps"])):
        raise UnreadableError("steps are missing")
    return Answer(seen, raised, drawn)


def printable(text: Any, most: int = LONGEST) -> str:
    r"""A text from a worker without anything that a terminal, a file or a page might stumble on.

    >>> printable("a\x1b[31mb\ud800")
    'a [31mb '
    """
    if not isinstance(text, str):
        raise TypeError(type(text).__name__)
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text[:most])


def _seen(data: Any, shapes: Sequence[tuple[int, ...]]) -> Seen:
    parameters = [_array(each) for each in _list(data["parameters"], len(shapes))]
    gradients = [
        None if each is None else _array(each) for each in _list(data["gradients"], len(shapes))
    ]
    if len(parameters) != len(shapes) or len(gradients) != len(shapes):
        raise ValueError("parameters are missing")
    return Seen(
        parameters,
        gradients,
        bool(data["training"]),
        [_group(each) for each in _list(data["groups"])],
        [_array(each) for each in _list(data["given"])],
        _value(data["returned"]),
    )


def _array(data: Any) -> Array:
    """An array as it is; of a type that is not compared none of its values."""
    if data.get("dtype") not in DTYPES:
        return np.array([], dtype="V1")  # equal to nothing
    return decoded(data)


def _group(data: Any) -> Group:
    params = tuple(_list(data["params"]))
    if not all(type(number) is int for number in params):
        raise TypeError("a parameter's number should be an integer")
    options = {name: _float(data[name]) for name in ("lr", "weight_decay") if name in data}
    return Group(params, options)


def _value(data: Any, depth: int = 3) -> Value:
    kind, value = printable(data["type"], 60), data.get("value")
    items = tuple(_value(each, depth - 1) for each in _list(data.get("items", []))) if depth else ()
    if value is not None:
        value = _float(value) if kind == "float" else printable(value)
    return Value(kind, value, items)


def _float(text: Any) -> float:
    return float.fromhex(text)


def _list(data: Any, most: int = 1000) -> list[Any]:
    if not isinstance(data, list) or len(data) > most:
        raise TypeError("a list, not longer than it may be")
    return data


def is_close(found: Array | float, wanted: Array | float, share: float | None = None) -> bool:
    """True if all numbers are equal within a share of the largest; nan equals nothing.

    Args:
        found: what a worker sent; a plain float counts as float32, in which it was computed.
        wanted: what the oracle says.
        share: None takes the one of `SHARES`.
    """
    kind = found.dtype.name if isinstance(found, np.ndarray) else "float32"
    one, other = np.asarray(found), np.asarray(wanted, dtype=float)
    if kind not in SHARES or one.shape != other.shape:
        return False
    allowed = course_settings().numbers.get(kind, SHARES[kind]) if share is None else share
    with np.errstate(invalid="ignore", over="ignore"):
        scale = 1 + np.max(np.abs(other), initial=0.0)
        return bool(np.all(np.abs(one - other) <= allowed * scale))


def is_same(found: Array, wanted: Array) -> bool:
    """True if all numbers are equal to the last bit."""
    return found.shape == wanted.shape and bool(np.all(found == wanted))
