"""A handler for ignite's `Engine`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ignite.engine import Engine, Events
from torch import nn

from gradwidgets.checkup.callbacks.reporter import Reporter


class CheckupCallback(Reporter):
    """Watches `engine.run`: `CheckupCallback(max_steps=50).attach(trainer, model)`."""

    def attach(self, engine: Any, model: nn.Module | Sequence[nn.Module]) -> CheckupCallback:
        """Watch the training of a model by every run of an engine from now on."""

        def begin() -> None:
            self.begin(model)
            self.end_on_error(Engine, "_handle_exception", lambda one: one is engine)

        engine.add_event_handler(Events.STARTED, begin)
        for event in (Events.COMPLETED, Events.TERMINATE):
            engine.add_event_handler(event, lambda: self.end())
        return self
