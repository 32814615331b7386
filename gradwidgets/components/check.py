"""A checkbox with its help, the same in every front end."""

from __future__ import annotations

import anywidget
import traitlets

from gradwidgets.components.assets import script_of, style_of


class Check(anywidget.AnyWidget):
    """A named setting that is on or off.

    >>> check = Check("momentum", "Keeps a running sum.", True)
    >>> check.value
    True
    """

    _esm = script_of(__file__, "native_control")
    _css = style_of(__file__)
    label = traitlets.Unicode().tag(sync=True)
    help = traitlets.Unicode().tag(sync=True)
    value = traitlets.Bool(False).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)

    def __init__(self, label: str, help: str, value: bool) -> None:  # noqa: A002, the trait's name
        super().__init__(label=label, help=help, value=value)
