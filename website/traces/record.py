"""A trace: what the parts of a widget hold at every place that a page can go to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anywidget
import ipywidgets

State = dict[str, Any]
"""What the JavaScript of one anywidget is told, by the name of the trait."""
CHOSEN = {"Slider": "index", "Choice": "index", "Check": "value"}
"""By view, the trait that a reader sets."""
OF_EVERY_WIDGET = frozenset(ipywidgets.DOMWidget().trait_names())


@dataclass
class Place:
    """One place: the state of each part, and where the parts' messages lead.

    Args:
        states: of each part.
        moves: the place that each message leads to; a message that is not here leads nowhere.
    """

    states: list[State]
    moves: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """The places of a widget, the first at first.

    Args:
        title: the name of the frame and of the page.
        note: what only the notebook has.
        still: the first place in words, for where no scripts run.
        views: the kind of each part: first the controls, and last what they lead to.
        places: all places.
    """

    title: str
    note: str
    still: str
    views: list[type[anywidget.AnyWidget]]
    places: list[Place]


def state_of(part: anywidget.AnyWidget) -> State:
    """The traits that a part's own JavaScript reads."""
    names = [name for name in part.trait_names(sync=True) if name not in OF_EVERY_WIDGET]
    return {name: getattr(part, name) for name in sorted(names) if not name.startswith("_")}


def states_of(parts: Iterable[anywidget.AnyWidget]) -> list[State]:
    """The state of each part."""
    return [state_of(part) for part in parts]


def kinds_of(parts: Iterable[anywidget.AnyWidget]) -> list[type[anywidget.AnyWidget]]:
    """The class of each part that has its JavaScript as text; anywidget derives one without."""
    return [
        next(kind for kind in type(part).__mro__ if isinstance(vars(kind).get("_esm"), str))
        for part in parts
    ]


def interned(value: Any) -> list[Any]:
    """A value as a list of all that is within it, each once; the last is the value itself.

    An array or an object of the list holds, in place of its parts, their numbers in the list.

    >>> interned([{"norm": "0.5"}, {"norm": "0.5"}, [7]])
    ['0.5', {'norm': 0}, 7, [2], [1, 1, 3]]
    """
    pool: list[Any] = []
    known: dict[tuple[str, str], int] = {}

    def number_of(one: Any) -> int:
        held: Any = one
        if isinstance(one, Mapping):
            held = {name: number_of(part) for name, part in one.items()}
        elif isinstance(one, (list, tuple)):
            held = [number_of(part) for part in one]
        key = type(held).__name__, repr(held)
        if key not in known:
            known[key] = len(pool)
            pool.append(held)
        return known[key]

    number_of(value)
    return pool
