"""The buttons under a lab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

Action = Callable[[], Any]
EDGE = "1px solid transparent"
"""Seen where people force colours of their own on pages, which takes fills away."""


def toolbar(
    rows: Sequence[tuple[str, str, Action]], soon: Callable[[Action], None]
) -> ipywidgets.Widget:
    """One button for each row of label, tooltip and action, which `soon` carries out."""
    buttons = []
    for label, tooltip, action in rows:
        layout = {"width": "auto", "border": EDGE}
        button = ipywidgets.Button(description=label, tooltip=tooltip, layout=layout)
        button.on_click(lambda _, action=action: soon(action))
        buttons.append(button)
    return ipywidgets.HBox(buttons, layout={"flex_flow": "row wrap", "grid_gap": "4px"})
