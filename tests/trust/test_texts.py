"""Text that comes from outside gives a value or a ValueError, and messages never do harm."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import TraitError

from gradwidgets import GradLab, Predict, Recipe, Stepper, Walkthrough, problems, train
from gradwidgets.core import settings
from gradwidgets.export.grid import Dial
from gradwidgets.export.page import Page
from gradwidgets.lab.lab import lab_line
from gradwidgets.lessons.claims import FILE, VERDICTS, read_claims
from gradwidgets.meter.controls import sizes_in
from tests.front_end import screen_of, send
from tests.trust.effort import tried
from tests.trust.recipes import OWN, settings_of_recipes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@st.composite
def spoiled(draw: st.DrawFn, text: bytes) -> bytes:
    """A text with a few bytes cut out, doubled or replaced."""
    for _ in range(draw(st.integers(1, 4))):
        at, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        middle = draw(st.sampled_from((b"", text[at:end] * 2)) | st.binary(max_size=6))
        text = text[:at] + middle + text[end:]
    return text


@tried(300, soak=5000)
@given(spoiled(Recipe("Adam", options={"betas": (0.8, 0.9)}).to_json().encode()) | st.binary())
def test_bytes_give_a_recipe_or_a_value_error(text: bytes) -> None:
    with suppress(ValueError):
        recipe = Recipe.from_json(text)
        assert Recipe.from_json(recipe.to_json()) == recipe


@tried(200, soak=2000)
@given(st.text("0123456789,. -+e_\u0663\u00b2x", max_size=30) | st.text())
def test_typed_sizes_give_whole_numbers_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        sizes = sizes_in(text)
        assert sizes
        assert all(type(size) is int and size >= 0 for size in sizes)


CLAIM = {"id": "000-01", "quote": "It is so.", "verdict": VERDICTS[0], "truth": "It is so."}
CLAIMS = {"sources": {"000": {"title": "On it", "file": "it.txt"}}, "claims": [CLAIM]}
LESSON = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# One\n", "two"]},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"gradwidgets": {"claims": ["000-01"]}},
            "source": ["1 + 1"],
        },
    ]
}


def damaged(whole: Any) -> st.SearchStrategy[bytes]:
    """JSON that is broken, or that holds something else in one of its places."""
    text = json.dumps(whole)
    places = [match.span() for match in re.finditer(r'"[^"]*"|\[[^\[\]]*\]|\{[^{}]*\}', text)]

    def replaced(place: tuple[int, int], value: Any) -> bytes:
        return (text[: place[0]] + json.dumps(value) + text[place[1] :]).encode()

    return spoiled(text.encode()) | st.builds(replaced, st.sampled_from(places), values)


@tried(300, soak=3000)
@given(
    st.just(json.dumps(CLAIMS).encode()) | damaged(CLAIMS),
    st.just(json.dumps(LESSON).encode()) | damaged(LESSON),
)
def test_damaged_files_give_claims_or_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, claims: bytes, lesson: bytes
) -> None:
    folder = Path(tmp_path_factory.mktemp("lessons"))
    (folder / FILE).write_bytes(claims)
    (folder / "01_one.ipynb").write_bytes(lesson)
    with suppress(ValueError):
        for claim in read_claims(folder):
            texts = (claim.id, claim.quote, claim.source, claim.verdict, claim.truth)
            assert all(isinstance(text, str) for text in texts)


def stage() -> Any:
    lab = GradLab("line", recipe=Recipe(updates=2))
    return Walkthrough(lab, [("One", "One.", {}), ("Two", "Two.", {"lr": 0.2})])


LISTENERS: dict[str, Callable[[Any], Any]] = {
    "lab": screen_of,
    "walkthrough": lambda walk: walk.stage,
}
"""The part of a widget that messages go to, where it is not the widget itself."""
WIDGETS: dict[str, Callable[[], Any]] = {
    "lab": lambda: GradLab("line", recipe=Recipe(updates=2)),
    "predict": lambda: Predict("What?", ["a", "b"], lambda: "a"),
    "stepper": lambda: Stepper("line", Recipe(updates=3)),
    "walkthrough": stage,
}
keys = st.sampled_from(("action", "key", "number", "kind", "choice", "index", "more"))
ACTIONS = (
    "next previous finish run restart reset switch move repeat cancel commit restore shown gone a b"
)
words = st.sampled_from(ACTIONS.split())
messages = st.dictionaries(keys, words | st.integers(-2, 9) | values, max_size=4) | values


@pytest.mark.parametrize("name", WIDGETS)
def test_no_message_of_a_front_end_does_harm(name: str) -> None:
    widget = WIDGETS[name]()
    listener = LISTENERS[name](widget) if name in LISTENERS else widget

    @tried(150, soak=2000)
    @given(messages)
    def heard(message: Any) -> None:
        send(listener, message)

    heard()
    assert widget.static_view()
    widget.close()


STATES: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "lab": (lambda lab: lab.controls["scale"], ("index", "focused", "moved_at")),
    "lab's screen": (screen_of, ("dark", "answered")),
    "walkthrough": (lambda walk: walk.stage, ("index", "moved", "animate")),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_of_a_front_end_is_taken_or_refused(name: str) -> None:
    """What a front end writes: an index beyond the end goes to the end."""
    widget = WIDGETS[name.split("'")[0]]()
    part_of, traits = STATES[name]
    part = part_of(widget)

    @tried(100, soak=1000)
    @given(st.dictionaries(st.sampled_from(traits), st.integers() | values, min_size=1))
    def written(state: dict[str, Any]) -> None:
        with suppress(TraitError):
            part.set_state(state)

    written()
    assert widget.static_view()
    widget.close()


@tried(100, soak=1000)
@given(settings_of_recipes(), st.sets(st.sampled_from(sorted(settings.controls())), min_size=1))
def test_a_shared_line_gives_the_same_lab(fields: dict[str, Any], show: set[str]) -> None:
    try:
        recipe = Recipe(**{**fields, "edits": ()})
    except ValueError:
        return
    line = lab_line(problems.moons, recipe, tuple(sorted(show)))
    own = {kind.__name__: kind for kind in OWN}  # whoever opens the line has to bring these
    names = {"GradLab": lambda *args, **kwargs: (args, kwargs), "Recipe": Recipe, **own}
    args, kwargs = eval(line, names)
    assert args == ("moons",)
    assert kwargs == {"show": tuple(sorted(show)), "recipe": recipe}
    assert "\n" not in line


class Elements(HTMLParser):
    """The elements of a page, and the data that it carries."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.data = ""
        self._within = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._within = ("id", "data") in attrs

    def handle_endtag(self, _: str) -> None:
        self._within = False

    def handle_data(self, data: str) -> None:
        if self._within:
            self.data += data


def saved(name: str) -> Elements:
    problem = dataclasses.replace(problems.line, name=name)
    history = train(problem, Recipe(updates=2))
    control = dataclasses.replace(settings.controls()["lr"], label=name)
    dial = Dial("lr", control, (0.1,), 0, (0,))
    return Elements(Page(problem, history.recipe, history, [dial], ["loss"]).html())


@tried(60, soak=1000)
@given(st.text("<>&'\"`\\{}$/!-\u2028\0 scriptalone", min_size=1) | st.text(min_size=1))
def test_no_name_breaks_out_of_a_saved_page(name: str) -> None:
    whole, plain = saved(name), saved("plain")
    assert whole.tags == plain.tags
    assert json.loads(whole.data).keys() == json.loads(plain.data).keys()
