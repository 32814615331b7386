"""The traces of a ledger and of a meter: what they show wherever their controls stand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import anywidget
import ipywidgets

from gradwidgets import Ledger, Meter
from gradwidgets.meter.controls import GRADIENT, LR, NOISE
from website.traces.record import Place, Trace, kinds_of, states_of

LEDGER = "In the notebook you give it any problem, recipe and edits of your own."
METER = (
    "Every table here was computed. Where no table has all the controls as you set them, some of "
    "the others go back. In the notebook they stay, and you can type sizes of your own."
)
Standing = dict[str, Any]
"""Where the controls stand, by name."""
PRODUCTS: tuple[tuple[Standing, tuple[str, ...]], ...] = (
    ({}, ("data", "batch_norm", "mode", "ragged", "accumulation_steps")),
    ({"data": "tokens"}, ("padding", "ragged", "accumulation_steps")),
    ({"data": "samples"}, ("batch_norm", "mode", "dropout")),
    ({}, ("dtype", "ragged", "accumulation_steps")),
    ({"show": NOISE}, ("data", "after")),
    ({"show": LR}, ("factor",)),
)
"""Controls that stand somewhere, and those of which every combination is measured then."""
ALONE: tuple[Standing, ...] = ({}, {"data": "tokens"}, {"show": NOISE})
"""Controls that stand somewhere, while each other one visits all that it can, alone."""


def trace_ledger(ledger: Ledger) -> Trace:
    """A ledger at every update."""
    parts = list(_parts(ledger.widget))
    before, places = ledger.update, []
    for update in range(len(ledger.slider.texts)):
        ledger.update = update
        places.append(Place(states_of(parts)))
    ledger.update = 0
    still = repr(ledger)
    ledger.update = before
    return Trace(f"Ledger: {ledger.problem.name}", LEDGER, still, kinds_of(parts), places)


def trace_meter(meter: Meter) -> Trace:
    """A meter wherever its controls may stand on a page."""
    parts = list(_parts(meter.widget))
    first = {name: control.value for name, control in meter.controls.items()}
    del first["sizes"]  # follow from the others, and are typed in the notebook only
    places = []
    for standing in standings(meter, first):
        _stand(meter, standing)
        states = states_of(parts)
        states[list(meter.controls).index("sizes")]["disabled"] = True
        places.append(Place(states))
    _stand(meter, first)
    title, views = f"Meter: {meter.problem.name}", kinds_of(parts)
    return Trace(title, METER, repr(meter), views, places)


def standings(meter: Meter, first: Standing) -> Iterator[Standing]:
    """Each combination of the controls that is measured, once; the first at first."""
    stops = {name: _stops(meter.controls[name]) for name in first}
    alone = [(fixed, (name,)) for fixed in ALONE for name in first if name not in fixed]
    seen = []
    for fixed, all_names in [({}, ()), *PRODUCTS, *alone]:
        names = [name for name in all_names if name in first]
        for values in itertools.product(*(stops[name] for name in names)):
            standing = {**first, **fixed, **dict(zip(names, values, strict=True))}
            if standing.keys() == first.keys() and standing not in seen:
                seen.append(standing)
                yield standing


def _stops(control: Any) -> Sequence[Any]:
    return (False, True) if isinstance(control.value, bool) else control.stops


def _stand(meter: Meter, standing: Standing) -> None:
    meter.controls["show"].value = GRADIENT  # which takes the least time at every move
    for name, value in standing.items():
        if name != "show":
            meter.controls[name].value = value
    meter.controls["show"].value = standing["show"]


def _parts(widget: ipywidgets.Widget) -> Iterator[anywidget.AnyWidget]:
    """The anywidgets in a box, in their order."""
    if isinstance(widget, anywidget.AnyWidget):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from _parts(child)
