"""Checkboxes, buttons and lines of text: what their JavaScript reads is sent to it."""

import re

import pytest

from gradwidgets.components import Buttons, Check, Choice, Slider, TextField
from gradwidgets.core import Control
from tests.front_end import send

CONTROL = Control("clear", "Run", "What is done.", ("none", "zero"), slider=False)
KINDS = {
    "buttons": Buttons([("Reset", "Back to the start.", lambda: None)]),
    "check": Check("momentum", "Keeps a running sum.", True),
    "choice": Choice(CONTROL, "zero"),
    "slider": Slider(CONTROL, "zero"),
    "text field": TextField("sizes", "Samples in each."),
}


@pytest.mark.parametrize("widget", KINDS.values(), ids=KINDS)
def test_each_value_that_the_page_reads_is_sent(widget):
    read = set(re.findall(r'model\.(?:get|set)\("(\w+)"', widget._esm))
    assert read
    assert read <= set(widget.get_state())


def test_a_button_does_what_stands_on_it_and_nothing_else_is_heard():
    done = []
    rows = [(name, "", lambda name=name: done.append(name)) for name in ("Pin", "Unpin")]
    buttons = Buttons(rows)
    for message in ({"pressed": "Unpin"}, {"pressed": "Delete"}, {"pressed": 0}, "Pin", None, {}):
        send(buttons, message)
    assert done == ["Unpin"]
    with pytest.raises(KeyError, match="Delete"):
        buttons.press("Delete")


def test_pressed_buttons_wait_for_their_turn():
    waiting, done = [], []
    buttons = Buttons([("Pin", "", lambda: done.append("Pin"))], waiting.append)
    send(buttons, {"pressed": "Pin"})
    assert done == []
    for action in waiting:
        action()
    assert done == ["Pin"]
