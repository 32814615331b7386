"""`Stepper`: the loop as lines of source that are executed, switched off and moved by hand."""

from __future__ import annotations

import time
from typing import Any

import anywidget
import traitlets

from gradwidgets.components import STEP, LatestTask, StaticFallback, Steps, script_of, style_of
from gradwidgets.core import Problem, Recipe, not_allowed
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.stepper.page import page, page_text, progress

ACTIONS = ("next", "previous", "finish", "run", "restart", "reset")
"""The actions of a learner on the run."""
RUNS = ("finish", "run")
"""Those that may take long: a click on them is carried out in slices."""
CHANGES = ("switch", "move", "repeat")
"""The actions of a learner on one line, which is named by its key."""
FRAME = 0.25
"""Seconds between two pages of a run that is under way; more would only delay its end."""


class Stepper(StaticFallback, anywidget.AnyWidget):
    """A recipe's loop, one line at a time, and what every line does to the numbers.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        recipe: the settings; None takes the problem's own.

    Raises:
        ValueError: the problem or its data is not usable.

    Attributes:
        engine: the loop itself, a `StepperEngine`; its `snapshot` has all numbers.
        page: everything on the screen, as plain data.

    >>> stepper = Stepper("line")
    >>> for _ in range(3):
    ...     stepper.act("next")
    >>> stepper.page["sentence"]
    '`loss.backward()` changed `.grad` of bias and weight.'
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    page = traitlets.Dict().tag(sync=True)

    def __init__(self, problem: Problem | str = "moons", recipe: Recipe | None = None) -> None:
        # Made first: `close` needs it, and is called even if the problem is not usable.
        self._task = LatestTask()
        self.engine = StepperEngine(problem, recipe)
        self._wanted = 0  # the updates of the run under way
        self._left = 0  # those of them that are still to be made
        self._drawn_at = 0.0
        super().__init__(page=page(self.engine))
        self.on_msg(self._received)

    def act(self, action: str, *arguments: int) -> None:
        """Do something to the loop and show it: `act("next")`, `act("run", 10)`.

        Args:
            action: a method of `StepperEngine`: "next", "previous", "finish", "run", "restart",
                "reset", "switch", "move" or "repeat".
            arguments: those of that method.

        Raises:
            ValueError: there is no such action.
        """
        if action not in ACTIONS + CHANGES:
            raise not_allowed("action", action, f"one of {[*ACTIONS, *CHANGES]}")
        self.cancel()
        getattr(self.engine, action)(*arguments)
        self.page = page(self.engine)

    def cancel(self) -> None:
        """End the run under way where it is."""
        if self._left:
            self._left = 0
            self._task.stop()
            self.engine.advance(0)
            self.page = page(self.engine)

    def close(self) -> None:
        """Stop running and remove the widget."""
        self._task.stop()
        self.layout.close()
        super().close()

    def _received(self, _: Any, message: Any, __: Any) -> None:
        if not isinstance(message, dict):
            return
        action, key, number = (message.get(name) for name in ("action", "key", "number"))
        if action in (*ACTIONS, *CHANGES, "cancel"):
            whole = number if isinstance(number, int) else 1
            self._task.scheduler.soon(lambda: self._obey(action, key, whole))

    def _obey(self, action: str, key: object, number: int) -> None:
        """Do what a button stands for; a line that is gone by now is left alone."""
        keys = [statement.key for statement in self.engine.statements]
        if action in RUNS:
            self._left = self._wanted = max(1, number) if action == "run" else 1
            self._task.begin(self._run())
        elif action == "cancel":
            self.cancel()
        elif action in ACTIONS:
            self.act(action)
        elif key in keys:
            self.act(action, keys.index(key), *([number] if action == "move" else []))

    def _run(self) -> Steps:
        """Run to the wanted end, and say now and then how far it is."""
        while self._left:
            self._left = self.engine.advance(self._left, STEP)
            now = time.monotonic()
            if self._left and now - self._drawn_at > FRAME:
                self.page = progress(self.engine, self._wanted - self._left, self._wanted)
                self._drawn_at = now
            yield None
        self.page = page(self.engine)

    def __repr__(self) -> str:
        """The lines, the place where they stand, and the effect of the last one."""
        return page_text(self.page)

    @property
    def widget(self) -> anywidget.AnyWidget:
        """The stepper itself."""
        return self
