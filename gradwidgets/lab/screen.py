"""Where a lab shows itself: picture, sentence, progress, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from gradwidgets.components import Move, script_of, style_of


class Screen(anywidget.AnyWidget):
    """A picture with its description in words, and a sentence that screen readers announce.

    Pictures that may be asked for next wait in the browser: when a slider is moved to the stop
    that one belongs to, it is shown before the kernel hears of it. `turn` is the latest move that
    the kernel has answered; until it is the learner's latest, older answers are not shown.

    Args:
        on_cancel: called when the learner cancels a run.

    Attributes:
        on_shown: called when there is another view of it.
        on_gone: called when its last view has gone.
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    png = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    trace = traitlets.Unicode().tag(sync=True)
    progress = traitlets.Float(-1.0).tag(sync=True)
    dark = traitlets.Bool(False).tag(sync=True)
    turn = traitlets.Float(0.0).tag(sync=True)

    def __init__(self, on_cancel: Callable[[], None]) -> None:
        super().__init__()
        self._on_cancel = on_cancel
        self.on_shown: Callable[[], object] = lambda: None
        self.on_gone: Callable[[], object] = lambda: None
        self._views = 0
        self._waiting: dict[Move, bytes] = {}
        self.on_msg(self._received)

    def download(self, name: str, data: bytes) -> None:
        """Hand a file to the browser."""
        self.send({"kind": "download", "name": name}, [data])

    def keep_ready(self, move: Move, png: bytes, alt: str, sentence: str) -> None:
        """Let a picture wait in the browser.

        Args:
            move: label of a slider, and the text of the stop to which it would be moved.
            png: the picture.
            alt: the same in words.
            sentence: what is said under it.
        """
        if self._waiting.get(move) != png:
            self._waiting[move] = png
            look = {"slider": move[0], "stop": move[1], "alt": alt, "sentence": sentence}
            self.send({"kind": "ready", **look}, [png])

    def forget(self, slider: str = "") -> None:
        """Drop the pictures that wait, but for those of one slider."""
        kept = {move: png for move, png in self._waiting.items() if move[0] == slider}
        if len(kept) < len(self._waiting):
            self._waiting = kept
            self.send({"kind": "forget", "slider": slider})

    def _received(self, _: Any, message: Any, __: Any) -> None:
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind == "cancel":
            self._on_cancel()
        elif kind == "shown":
            self._views += 1
            self.on_shown()
        elif kind == "gone":
            self._views = max(self._views - 1, 0)  # a page that is closed says nothing
            if not self._views:
                self.on_gone()
