"""The parts of a lab below its controls: the screen, and lines of code to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from gradwidgets.components import Action, script_of, style_of
from gradwidgets.script import Line

LISTING = Path(__file__).with_name("listing")

Move = tuple[str, int]
"""The name of a slider, and the index of the stop to which it may be moved."""


class Screen(anywidget.AnyWidget):
    """A picture with its description in words, and a sentence that screen readers announce.

    Pictures that may be asked for next wait in the browser: when a slider is moved to the stop
    that one belongs to, it is shown before the kernel hears of it. `answered` is the latest move
    that the kernel has answered, by `Slider.moved_at`; until it is the learner's latest, older
    answers are not shown. `dark` and `narrow` say what the browser's page is like: on a narrow
    one panels stand one above the other.

    Args:
        heard: called with what the browser says: "cancel" where the learner cancels a run,
            "shown" for each view that opens, "gone" for each that closes.
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    png = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    trace = traitlets.Unicode().tag(sync=True)
    progress = traitlets.Float(-1.0).tag(sync=True)
    dark = traitlets.Bool(False).tag(sync=True)
    narrow = traitlets.Bool(False).tag(sync=True)
    answered = traitlets.Float(0.0).tag(sync=True)

    def __init__(self, heard: Callable[[str], object] = lambda _: None) -> None:
        super().__init__()
        self._waiting: dict[Move, bytes] = {}
        self.on_msg(lambda _, message, __: self._received(message, heard))

    def download(self, name: str, data: bytes) -> None:
        """Hand a file to the browser."""
        self.send({"kind": "download", "name": name}, [data])

    def keep_ready(self, move: Move, png: bytes, alt: str, sentence: str) -> None:
        """Let a picture wait in the browser.

        Args:
            move: what the learner would do to ask for it.
            png: the picture.
            alt: the same in words.
            sentence: what is said under it.
        """
        if self._waiting.get(move) != png:
            self._waiting[move] = png
            look = {"slider": move[0], "index": move[1], "alt": alt, "sentence": sentence}
            self.send({"kind": "ready", **look}, [png])

    def forget(self, slider: str = "") -> None:
        """Drop the waiting pictures, except those of one slider."""
        kept = {move: png for move, png in self._waiting.items() if move[0] == slider}
        if len(kept) < len(self._waiting):
            self._waiting = kept
            self.send({"kind": "forget", "slider": slider})

    @staticmethod
    def _received(message: Any, heard: Callable[[str], object]) -> None:
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind in ("cancel", "shown", "gone"):
            heard(kind)


class Listing(anywidget.AnyWidget):
    """Lines of a program, some of them marked; empty it hides.

    Args:
        closed: called when the learner closes it by Escape.
    """

    _esm = script_of(LISTING)
    _css = style_of(LISTING)
    label = traitlets.Unicode().tag(sync=True)
    lines: traitlets.List[list[object]] = traitlets.List().tag(sync=True)

    def __init__(self, closed: Action = lambda: None) -> None:
        super().__init__()
        self.on_msg(lambda _, message, __: closed() if message == {"kind": "close"} else None)

    def show(self, label: str, lines: Sequence[Line], setting: str = "") -> None:
        """Show `lines`; those that belong to `setting` are marked."""
        with self.hold_sync():
            self.label = label
            self.lines = [[line.text, bool(setting) and setting in line.settings] for line in lines]

    def hide(self) -> None:
        """Show nothing."""
        self.lines = []
