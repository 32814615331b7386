"""A list to choose from, which the keyboard opens and no shortcut of the notebook reaches."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from gradwidgets.components.assets import script_of, style_of
from gradwidgets.core import Control


class Choice(anywidget.AnyWidget):
    """One of the stops of a `Control`.

    Setting `value` to something that is not a stop adds a stop.

    >>> control = Control("clear", "Run", "What is done.", ("none", "zero"), slider=False)
    >>> choice = Choice(control, "zero")
    >>> choice.value = "never"
    >>> choice.texts, choice.index
    (['none', 'zero', 'never'], 2)
    """

    _esm = script_of(__file__, "native_control")
    _css = style_of(__file__)
    label = traitlets.Unicode().tag(sync=True)
    help = traitlets.Unicode().tag(sync=True)
    texts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    value = traitlets.Any()

    def __init__(self, control: Control, value: Any, **more: Any) -> None:
        self._control = control
        self._stops = control.including(value)
        super().__init__(
            label=control.label,
            help=control.help,
            texts=[control.text(stop) for stop in self._stops],
            index=self._stops.index(value),
            value=value,
            **more,
        )

    @property
    def stops(self) -> tuple[Any, ...]:
        """The values that can be chosen."""
        return self._stops

    @traitlets.validate("index")
    def _inside(self, proposal: Any) -> int:
        return int(min(max(proposal["value"], 0), len(self._stops) - 1))

    @traitlets.observe("index")
    def _moved(self, _: Any) -> None:
        self.value = self._stops[self.index]

    @traitlets.observe("value")
    def _set(self, _: Any) -> None:
        if self.value not in self._stops:
            self._stops = self._control.including(self.value)
            self.texts = [self._control.text(stop) for stop in self._stops]
        self.index = self._stops.index(self.value)
