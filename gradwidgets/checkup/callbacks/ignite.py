"""A handler for ignite's `Engine`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from ignite.engine import Engine, Events
from torch import nn

from gradwidgets.checkup.callbacks.reporter import Reporter, end_on_error

_ATTACHED: WeakKeyDictionary[Any, list[Reporter]] = WeakKeyDictionary()


class CheckupCallback(Reporter):
    """Watches `engine.run`: `CheckupCallback(max_steps=50).attach(trainer, model)`."""

    def attach(self, engine: Any, model: nn.Module | Sequence[nn.Module]) -> CheckupCallback:
        """Watch the training of a model by every run of an engine from now on."""
        engine.add_event_handler(Events.STARTED, lambda: self.begin(model))
        for event in (Events.COMPLETED, Events.TERMINATE):
            engine.add_event_handler(event, lambda: self.end())
        _ATTACHED.setdefault(engine, []).append(self)
        return self


end_on_error(Engine, "run", lambda engine: _ATTACHED.get(engine, []))
