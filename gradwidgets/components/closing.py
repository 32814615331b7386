"""Remove widgets without leaving parts of them behind."""

from __future__ import annotations

import ipywidgets


def close(widget: ipywidgets.Widget) -> None:
    """Close a widget and every widget that belongs to it."""
    parts = [getattr(widget, name, None) for name in ("layout", "style")]
    for part in (*getattr(widget, "children", ()), *parts):
        if isinstance(part, ipywidgets.Widget):
            close(part)
    widget.close()
