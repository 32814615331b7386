"""A slider that has a name, obeys the arrow keys everywhere, and visits a list of stops."""

from __future__ import annotations

from typing import Any

import traitlets

from gradwidgets.components.assets import script_of, style_of
from gradwidgets.components.choice import Choice
from gradwidgets.core import Control


class Slider(Choice):
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
    moved_at = traitlets.Float(0.0).tag(sync=True)
    focused = traitlets.Bool(False).tag(sync=True)
    bars: traitlets.List[Any] = traitlets.List().tag(sync=True)
    bars_text = traitlets.Unicode().tag(sync=True)

    def __init__(self, control: Control, value: Any, name: str = "") -> None:
        super().__init__(control, value, name=name)

    def clear_bars(self) -> None:
        """Keep room for bars under the slider, and draw none."""
        self.bars, self.bars_text = [None] * len(self.stops), ""

    @traitlets.observe("moved_at")
    def _moved_again(self, _: Any) -> None:
        self.value = self.stops[self.index]
