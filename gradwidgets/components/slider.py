"""A slider that has a name, obeys the arrow keys everywhere, and visits a list of stops."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from gradwidgets.components.assets import script_of, style_of
from gradwidgets.core import Control


class Slider(anywidget.AnyWidget):
    """A slider over the stops of a `Control`, by `name`.

    Setting `value` to something that is not a stop adds a stop. `bars` are drawn under it, one
    for each stop: None if it is not known, or [height in 0 to 1, "" or how it is unstable];
    `bars_text` is the same in words. `moved_at` is when the learner moved it last, in the
    browser's milliseconds; it grows with each move.

    >>> slider = Slider(Control("size", "Run", "Samples.", (1, 10, 100)), 10)
    >>> slider.value = 50
    >>> slider.texts, slider.index
    (['1', '10', '50', '100'], 2)
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    name = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    help = traitlets.Unicode().tag(sync=True)
    texts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    moved_at = traitlets.Float(0.0).tag(sync=True)
    focused = traitlets.Bool(False).tag(sync=True)
    bars: traitlets.List[Any] = traitlets.List().tag(sync=True)
    bars_text = traitlets.Unicode().tag(sync=True)
    value = traitlets.Any()

    def __init__(self, control: Control, value: Any, name: str = "") -> None:
        self._control = control
        self._stops = control.including(value)
        super().__init__(
            name=name,
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

    @traitlets.observe("index", "moved_at")
    def _moved(self, _: Any) -> None:
        self.value = self._stops[self.index]

    @traitlets.observe("value")
    def _set(self, _: Any) -> None:
        if self.value not in self._stops:
            self._stops = self._control.including(self.value)
            self.texts = [self._control.text(stop) for stop in self._stops]
        self.index = self._stops.index(self.value)
