"""Shows a widget in marimo, which knows anywidgets, and none of Jupyter's boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anywidget
import ipywidgets


def known(widget: ipywidgets.Widget) -> bool:
    """Tell whether marimo can show all parts of a widget.

    >>> known(ipywidgets.VBox([ipywidgets.Button()]))
    False
    """
    if isinstance(widget, anywidget.AnyWidget):
        return True
    return isinstance(widget, ipywidgets.Box) and all(map(known, widget.children))


def laid_out(widget: ipywidgets.Widget) -> Any:
    """The same anywidgets in marimo's own boxes, where they live as they do in Jupyter's.

    Raises:
        ImportError: marimo is not installed.
    """
    import marimo as mo

    if isinstance(widget, anywidget.AnyWidget):
        return mo.ui.anywidget(widget)
    parts = [laid_out(child) for child in widget.children]
    if isinstance(widget, ipywidgets.Accordion):
        named = zip(_titles(widget), parts, strict=True)
        return mo.vstack([part for title, inside in named for part in (mo.md(title), inside)])
    if isinstance(widget, ipywidgets.GridBox):
        inside = "".join(mo.as_html(part).text for part in parts)
        columns = widget.layout.grid_template_columns
        return mo.Html(
            f'<div style="display: grid; grid-template-columns: {columns}">{inside}</div>'
        )
    return mo.vstack(parts)


def words_of(text: str) -> Any:
    """Words for a widget that marimo does not know.

    Raises:
        ImportError: marimo is not installed.
    """
    import marimo as mo

    return mo.plain_text(f"{text}\n\nmarimo shows the words of this only; it works in JupyterLab.")


def _titles(fold: ipywidgets.Accordion) -> Iterator[str]:
    return (f"**{fold.get_title(at)}**" for at in range(len(fold.children)))
