"""`Stepper`: the loop as lines of source that are executed, switched off and moved by hand."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.rules import refuse
from gradwidgets.core.stepping import Stepping
from gradwidgets.widgets.slider import HERE
from gradwidgets.widgets.soon import Soon
from gradwidgets.widgets.stepper_page import as_text, page

ACTIONS = ("next", "previous", "finish", "run", "restart", "reset")
"""What a learner does to the run."""
CHANGES = ("switch", "move", "repeat")
"""What a learner does to one line, which is named by its key."""


class Stepper(anywidget.AnyWidget):
    """A recipe's loop, one line at a time, and what every line does to the numbers.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.

    Raises:
        ValueError: the problem or its data is not usable.

    Attributes:
        stepping: the loop itself; see `gradwidgets.core.stepping`.
    """

    _esm = HERE / "stepper.js"
    _css = HERE / "stepper.css"
    page = traitlets.Dict().tag(sync=True)

    def __init__(self, problem: Problem | str = "moons", recipe: Recipe | None = None) -> None:
        self.stepping = Stepping(problem, recipe)
        self._soon = Soon()
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
            raise refuse("action", action, f"one of {[*ACTIONS, *CHANGES]}")
        getattr(self.stepping, action)(*arguments)
        self.page = page(self.stepping)

    def _received(self, _: Any, message: Any, __: Any) -> None:
        if isinstance(message, dict) and message.get("action") in ACTIONS + CHANGES:
            self._soon(lambda: self._obey(**message))

    def _obey(self, action: str, key: int = -1, number: int = 1) -> None:
        """Do what a button stands for; a line that is gone by now is left alone."""
        keys = [statement.key for statement in self.stepping.statements]
        if action in CHANGES:
            if key in keys:
                numbers = [number] if action == "move" else []
                self.act(action, keys.index(key), *numbers)
        else:
            self.act(action, *([max(1, number)] if action == "run" else []))

    def __repr__(self) -> str:
        """The lines, where they stand, and what the last one did."""
        return as_text(self.page)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/plain": repr(self)}, metadata
