"""Where a lab shows itself: picture, sentence, progress, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from gradwidgets.widgets.slider import HERE


class Screen(anywidget.AnyWidget):
    """A picture with its description in words, and a sentence that screen readers announce.

    Args:
        on_cancel: called when the learner cancels a run.
    """

    _esm = HERE / "screen.js"
    _css = HERE / "screen.css"
    png = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    trace = traitlets.Unicode().tag(sync=True)
    progress = traitlets.Float(-1.0).tag(sync=True)
    dark = traitlets.Bool(False).tag(sync=True)

    def __init__(self, on_cancel: Callable[[], None]) -> None:
        super().__init__()
        self._on_cancel = on_cancel
        self.on_msg(self._received)

    def download(self, name: str, data: bytes) -> None:
        """Hand a file to the browser."""
        self.send({"kind": "download", "name": name}, [data])

    def _received(self, _: Any, message: Any, __: Any) -> None:
        if isinstance(message, dict) and message.get("kind") == "cancel":
            self._on_cancel()
