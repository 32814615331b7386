"""A slider that has a name, obeys the arrow keys everywhere, and visits a list of stops."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from gradwidgets.components.assets import script_of, style_of
from gradwidgets.core import Control

Move = tuple[str, str]
"""The label of a slider, and the text of the stop to which it may be moved."""


class Slider(anywidget.AnyWidget):
    """A slider over the stops of a `Control`.

    `value` may be set to what is no stop: it then becomes one. `bars` are drawn under it, see
    `strip`; `bars_text` is the same in words. `turn` numbers the learner's moves: it grows.
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    label = traitlets.Unicode().tag(sync=True)
    help = traitlets.Unicode().tag(sync=True)
    texts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    turn = traitlets.Float(0.0).tag(sync=True)
    focused = traitlets.Bool(False).tag(sync=True)
    bars: traitlets.List[Any] = traitlets.List().tag(sync=True)
    bars_text = traitlets.Unicode().tag(sync=True)
    value = traitlets.Any()

    def __init__(self, control: Control, value: Any) -> None:
        self._control = control
        self._stops = control.including(value)
        super().__init__(
            label=control.label,
            help=control.help,
            texts=[control.text(stop) for stop in self._stops],
            index=self._stops.index(value),
            value=value,
        )

    @property
    def stops(self) -> tuple[Any, ...]:
        """The values that the slider visits."""
        return self._stops

    def clear_bars(self) -> None:
        """Keep room for bars under the slider, and draw none."""
        self.bars, self.bars_text = [None] * len(self._stops), ""

    @traitlets.validate("index")
    def _inside(self, proposal: Any) -> int:
        return int(min(max(proposal["value"], 0), len(self._stops) - 1))

    @traitlets.observe("index", "turn")
    def _moved(self, _: Any) -> None:
        self.value = self._stops[self.index]

    @traitlets.observe("value")
    def _set(self, _: Any) -> None:
        if self.value not in self._stops:
            self._stops = self._control.including(self.value)
            self.texts = [self._control.text(stop) for stop in self._stops]
        self.index = self._stops.index(self.value)
