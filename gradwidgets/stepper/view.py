"""`Stepper`: the loop as lines of source that are executed, switched off and moved by hand."""

from __future__ import annotations

import time
from typing import Any

import anywidget
import traitlets

from gradwidgets.components import LatestTask, StaticFallback, script_of, style_of
from gradwidgets.core import Problem, Recipe, not_allowed
from gradwidgets.stepper.engine import Stepping
from gradwidgets.stepper.page import as_text, page, progress

ACTIONS = ("next", "previous", "finish", "run", "restart", "reset")
"""What a learner does to the run."""
RUNS = ("finish", "run")
"""Those that may take long: a click on them is carried out in slices."""
FRAME = 0.25
"""Seconds between two pages of a run that is under way; more would only delay its end."""
CHANGES = ("switch", "move", "repeat")
"""What a learner does to one line, which is named by its key."""
DETAILS = {"key": -1, "number": 1}
"""What a message may say beside its action, and what holds where it does not."""


class Stepper(StaticFallback, anywidget.AnyWidget):
    """A recipe's loop, one line at a time, and what every line does to the numbers.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.

    Raises:
        ValueError: the problem or its data is not usable.

    Attributes:
        stepping: the loop itself; see `gradwidgets.stepper.engine`.
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    page = traitlets.Dict().tag(sync=True)

    def __init__(self, problem: Problem | str = "moons", recipe: Recipe | None = None) -> None:
        self.stepping = Stepping(problem, recipe)
        self._slices = LatestTask(self._go_on)
        self._wanted = self._left = 0
        self._drawn_at = 0.0
        super().__init__(page=page(self.stepping))
        self.on_msg(self._received)

    def act(self, action: str, *arguments: int) -> None:
        """Do something to the loop and show it: `act("next")`, `act("run", 10)`.

        Args:
            action: a method of `Stepping`: "next", "previous", "finish", "run", "restart",
                "reset", "switch", "move" or "repeat".
            arguments: what that method takes.

        Raises:
            ValueError: there is no such action.
        """
        if action not in ACTIONS + CHANGES:
            raise not_allowed("action", action, f"one of {[*ACTIONS, *CHANGES]}")
        self.cancel()
        getattr(self.stepping, action)(*arguments)
        self.page = page(self.stepping)

    def cancel(self) -> None:
        """End the run under way where it is."""
        if self._left:
            self._left = 0
            self._slices.stop()
            self.stepping.advance(0)
            self.page = page(self.stepping)

    def close(self) -> None:
        """Stop running and remove the widget."""
        self._slices.stop()
        self.layout.close()
        super().close()

    def _received(self, _: Any, message: Any, __: Any) -> None:
        known = (*ACTIONS, *CHANGES, "cancel")
        if isinstance(message, dict) and message.get("action") in known:
            key, number = (_whole(message.get(name), usual) for name, usual in DETAILS.items())
            self._slices.soon(lambda: self._obey(message["action"], key, number))

    def _obey(self, action: str, key: int, number: int) -> None:
        """Do what a button stands for; a line that is gone by now is left alone."""
        keys = [statement.key for statement in self.stepping.statements]
        if action in RUNS:
            self._left = self._wanted = max(1, number) if action == "run" else 1
            self._slices.request()
        elif action == "cancel":
            self.cancel()
        elif action in ACTIONS:
            self.act(action)
        elif key in keys:
            self.act(action, keys.index(key), *([number] if action == "move" else []))

    def _go_on(self, seconds: float) -> bool:
        """Run for a while; returns whether there is more to do."""
        self._left = self.stepping.advance(self._left, seconds)
        now = time.monotonic()
        if not self._left:
            self.page = page(self.stepping)
        elif now - self._drawn_at > FRAME:
            self.page = progress(self.stepping, self._wanted - self._left, self._wanted)
            self._drawn_at = now
        return self._left > 0

    def __repr__(self) -> str:
        """The lines, where they stand, and what the last one did."""
        return as_text(self.page)

    @property
    def widget(self) -> anywidget.AnyWidget:
        """Itself."""
        return self


def _whole(value: object, usual: int) -> int:
    return value if isinstance(value, int) else usual
