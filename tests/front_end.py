"""A front end for tests: what it sends and receives, through the same doors as a browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ipywidgets import Widget

from gradwidgets import GradLab

try:
    from ipywidgets.widgets.widget import _instances as widgets
except ImportError:  # ipywidgets 7
    widgets = Widget.widgets
"""Every widget that is not closed, by its model's id."""


def send(widget: Widget, message: Any) -> None:
    """Deliver what the JavaScript of a widget sends with `model.send(message)`."""
    data = {"method": "custom", "content": message}
    widget.comm.handle_msg({"content": {"data": data}, "buffers": []})


def screen_of(lab: GradLab) -> Any:
    """The widget with the picture and the sentence of a lab."""
    return lab.widget.children[1]


def buttons_of(lab: GradLab) -> dict[str, Callable[[], None]]:
    """What presses a lab's buttons, by what stands on them."""
    row = lab.widget.children[2]
    return {label: partial(send, row, {"pressed": label}) for label in row.labels}


def lines_of(lab: GradLab) -> list[list[Any]]:
    """The lines of code under a lab: text, and whether it is marked."""
    return list(lab.widget.children[3].lines)


class Page:
    """Keeps the pictures that a lab sends ahead, as the JavaScript of its screen does.

    Attributes:
        ready: the pictures that wait, by slider and index.
        kinds: the kinds of all messages received, in order.
    """

    def __init__(self, lab: GradLab) -> None:
        self.ready: dict[tuple[str, int], bytes] = {}
        self.kinds: list[str] = []
        screen_of(lab).send = self._received

    def _received(self, message: dict[str, Any], buffers: Sequence[bytes] = ()) -> None:
        self.kinds.append(message["kind"])
        if message["kind"] == "ready":
            self.ready[message["slider"], message["index"]] = buffers[0]
        elif message["kind"] == "forget":
            kept = message["slider"]
            self.ready = {move: png for move, png in self.ready.items() if move[0] == kept}
