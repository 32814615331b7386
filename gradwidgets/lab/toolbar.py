"""The buttons under a lab."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

if TYPE_CHECKING:
    from gradwidgets.lab.lab import GradLab

Action = Callable[[], Any]
EDGE = "1px solid transparent"
"""Seen where people force colours of their own on pages, which takes fills away."""


def toolbar(lab: GradLab, soon: Callable[[Action], None]) -> ipywidgets.Widget:
    """Reset, pin, code, save: one button each; `soon` does what a button stands for."""
    buttons = [
        _button("Reset", "Back to the starting settings", lab.reset),
        _button("Pin", "Keep the present curve on the picture", lab.pin),
        _button("Unpin", "Take all pinned curves away", lab.unpin),
        _button("10 seeds", "Draw the middle half of ten seeds behind each run", lab.seeds),
        _button("Code", "The lab as a plain PyTorch program", lambda: lab.toggle("code")),
        _button("Share", "One line of Python that gives this lab", lambda: lab.toggle("share")),
        _button("Save picture", "Download the picture as PNG", lambda: lab.download(".png")),
        _button("Save numbers", "Download a table as CSV", lambda: lab.download(".csv")),
    ]
    for button, action in buttons:
        button.on_click(lambda _, action=action: soon(action))
    row = [button for button, _ in buttons]
    return ipywidgets.HBox(row, layout={"flex_flow": "row wrap", "grid_gap": "4px"})


def _button(name: str, tooltip: str, action: Action) -> tuple[ipywidgets.Button, Action]:
    layout = {"width": "auto", "border": EDGE}
    return ipywidgets.Button(description=name, tooltip=tooltip, layout=layout), action
