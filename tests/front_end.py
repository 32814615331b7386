"""Messages as a front end sends them, through the same door."""

from __future__ import annotations

from typing import Any

from ipywidgets import Widget


def send(widget: Widget, message: Any) -> None:
    """Deliver what the JavaScript of a widget sends with `model.send(message)`."""
    data = {"method": "custom", "content": message}
    widget.comm.handle_msg({"content": {"data": data}, "buffers": []})
