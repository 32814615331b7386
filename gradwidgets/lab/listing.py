"""A program to read and copy, with the lines of the control in hand marked."""

from __future__ import annotations

from collections.abc import Sequence

import anywidget
import traitlets

from gradwidgets.components import script_of, style_of
from gradwidgets.script import Line


class Listing(anywidget.AnyWidget):
    """Lines of a program, some of them marked; empty it hides."""

    _esm = script_of(__file__)
    _css = style_of(__file__)
    label = traitlets.Unicode().tag(sync=True)
    lines: traitlets.List[list[object]] = traitlets.List().tag(sync=True)

    def show(self, label: str, lines: Sequence[Line], setting: str = "") -> None:
        """Show `lines`; those that belong to `setting` are marked."""
        self.label = label
        self.lines = [[line.text, bool(setting) and setting in line.settings] for line in lines]

    def hide(self) -> None:
        """Show nothing."""
        self.lines = []
