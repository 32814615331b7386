"""A line of text to type, with its help, the same in every front end."""

from __future__ import annotations

import anywidget
import traitlets

from gradwidgets.components.assets import script_of, style_of


class TextField(anywidget.AnyWidget):
    """A named line of text; `value` changes when the learner leaves it or presses Enter.

    >>> field = TextField("sizes", "Samples in each micro-batch.", "10, 10, 2")
    >>> field.value
    '10, 10, 2'
    """

    _esm = script_of(__file__, "native_control")
    _css = style_of(__file__)
    label = traitlets.Unicode().tag(sync=True)
    help = traitlets.Unicode().tag(sync=True)
    value = traitlets.Unicode().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)

    def __init__(self, label: str, help: str, value: str = "") -> None:  # noqa: A002, the trait's name
        super().__init__(label=label, help=help, value=value)
