"""What stays of a widget where none can live: its picture, and its words."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import anywidget
import ipywidgets
from IPython.display import display

VIEW = "application/vnd.jupyter.widget-view+json"
PAGE = """<style>
body:has(.gradwidgets-live-{key}) .gradwidgets-still-{key} {{ display: none; }}
.gradwidgets-still-{key} {{ animation: gradwidgets-still 2s; }}
@keyframes gradwidgets-still {{ from, to {{ height: 0; overflow: hidden; visibility: hidden; }} }}
</style>
<div class="gradwidgets-still-{key}">
{picture}<pre style="white-space: pre-wrap; word-break: normal">{words}</pre>
<p><small>As it was when the cell was run. Run it again to work with it.</small></p>
</div>"""
"""Hidden while its widget is on the page, and for the seconds that a widget may take to come."""


@dataclass(frozen=True)
class StaticView:
    """What can be seen of a widget without it: words, and perhaps a PNG described in words."""

    words: str
    png: bytes = b""
    alt: str = ""


class StaticFallback:
    """Shows itself as a widget; where none lives, as a picture and words.

    A notebook that is opened again has no widgets any more, and JupyterLab says "Error displaying
    widget" in their place. So it shows itself as two outputs: what stays, and then the widget.

    Attributes:
        widget: what is shown.
    """

    widget: ipywidgets.DOMWidget

    def static_view(self) -> StaticView:
        """What stays of it as it is now."""
        return StaticView(repr(self))

    def _ipython_display_(self) -> None:
        still, key = self.static_view(), self.widget.model_id
        next(_drawn(self.widget), self.widget).add_class(f"gradwidgets-live-{key}")
        _show({"text/html": _page(still, key), "text/plain": still.words})
        _show({VIEW: self.widget.get_view_spec(), "text/plain": ""})


def _drawn(widget: ipywidgets.Widget) -> Iterator[anywidget.AnyWidget]:
    """The parts of a widget that are on the page only if their own JavaScript is."""
    if isinstance(widget, anywidget.AnyWidget):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from _drawn(child)


def _show(data: dict[str, Any]) -> None:
    display(data, raw=True)  # type: ignore[no-untyped-call]


def _page(still: StaticView, key: str) -> str:
    picture = ""
    if still.png:
        data = base64.b64encode(still.png).decode()
        picture = f'<img alt="{escape(still.alt)}" src="data:image/png;base64,{data}">\n'
    return PAGE.format(key=key, picture=picture, words=escape(still.words))
