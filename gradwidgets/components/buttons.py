"""A row of buttons with their help, the same in every front end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from gradwidgets.components.assets import script_of, style_of
from gradwidgets.components.scheduler import Action


class Buttons(anywidget.AnyWidget):
    """Buttons side by side, in rows where there is little room.

    Args:
        rows: for each button what stands on it, its help, and what it does.
        soon: carries an action out; called as soon as a button is pressed.

    >>> buttons = Buttons([("Reset", "Back to the start.", lambda: print("reset"))])
    >>> buttons.press("Reset")
    reset
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    labels: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)
    helps: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(
        self,
        rows: Sequence[tuple[str, str, Action]],
        soon: Callable[[Action], object] = lambda action: action(),
    ) -> None:
        super().__init__(labels=[row[0] for row in rows], helps=[row[1] for row in rows])
        self._actions = {label: action for label, _, action in rows}
        self._soon = soon
        self.on_msg(lambda _, message, __: self._received(message))

    def press(self, label: str) -> None:
        """Do what a click on the button of this label does.

        Raises:
            KeyError: there is no such button.
        """
        self._soon(self._actions[label])

    def _received(self, message: Any) -> None:
        label = message.get("pressed") if isinstance(message, dict) else None
        if isinstance(label, str) and label in self._actions:
            self.press(label)
