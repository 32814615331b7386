"""Controls: plain data beside a field, from which a view makes a widget for it.

The stops of each setting, such as the range of the learning rate, stand beside its field in
`recipe.py`; those of optimizer options, such as momentum, in `settings.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GROUPS = (
    "Gradient",
    "Penalty",
    "Accumulation",
    "Optimizer",
    "Parameter groups",
    "Precision",
    "Run",
)


@dataclass(frozen=True)
class Control:
    """All that a view needs to know to let a person set one field.

    Args:
        label: the control's name on the screen.
        group: one of `GROUPS`; controls of a group stand together.
        help: one sentence: what it does.
        stops: the values that a slider visits or a list offers, in order; a (False, True) pair
            is a switch.
        slider: stops are ordered quantities, to be dragged; otherwise a list to choose from.
        names: what values are called on the screen, where not as they are written.
        short: the control's name where there is little room; "" takes the label.

    >>> size = Control("size", "Run", "Samples per update.", (4, 8, None), names={None: "all"})
    >>> [size.text(stop) for stop in size.stops]
    ['4', '8', 'all']
    >>> size.including(6)
    (4, 6, 8, None)
    """

    label: str
    group: str
    help: str
    stops: tuple[Any, ...]
    slider: bool = True
    names: Mapping[Any, str] = field(default_factory=dict, hash=False)
    short: str = ""

    def text(self, value: object) -> str:
        """A stop as it is shown: short, and never ambiguous."""
        if value in self.names:
            return self.names[value]
        if value is None or isinstance(value, bool):
            return "on" if value else "off"
        if callable(value):
            return str(getattr(value, "__name__", value))
        return f"{value:g}" if isinstance(value, float) else str(value)

    def including(self, value: Any) -> tuple[Any, ...]:
        """The stops, and `value` at its place among them; in a list, at the end."""
        if value in self.stops:
            return self.stops
        known = [stop for stop in self.stops if self.slider and stop is not None]
        place = next((self.stops.index(stop) for stop in known if stop > value), None)
        if place is None or not self.slider:
            place = len(self.stops) - (self.slider and self.stops[-1] is None)
        return (*self.stops[:place], value, *self.stops[place:])


def linear(low: float, high: float, step: float) -> tuple[float, ...]:
    """Evenly spaced stops, both ends included.

    >>> linear(0.0, 1.0, 0.25)
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    return tuple(round(low + i * step, 10) for i in range(round((high - low) / step) + 1))


def logarithmic(low: float, high: float, per_decade: int = 10) -> tuple[float, ...]:
    """Stops at equal ratios, both ends included, rounded to two significant figures.

    >>> logarithmic(0.01, 1.0, per_decade=2)
    (0.01, 0.032, 0.1, 0.32, 1.0)
    """
    count = round(math.log10(high / low) * per_decade)
    return tuple(float(f"{low * 10 ** (i / per_decade):.1e}") for i in range(count + 1))


STRENGTHS = (0.0, *logarithmic(1e-5, 10.0, 5))
"""Stops for the strength of a penalty or a decay."""
