"""The static picture and words of a widget, for where no widget can live; and its end."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import anywidget
import ipywidgets
from IPython.display import display, update_display

from gradwidgets.components.in_marimo import known, laid_out, words_of

VIEW = "application/vnd.jupyter.widget-view+json"
PAGE = """<style>
body:has(.gradwidgets-live-{key}) .gradwidgets-still-{key} {{ display: none; }}
.gradwidgets-still-{key} {{ animation: gradwidgets-still 2s; }}
@keyframes gradwidgets-still {{ from, to {{ height: 0; overflow: hidden; visibility: hidden; }} }}
.jp-OutputArea-child:has(.gradwidgets-still-{key}) + .jp-OutputArea-child
  > .jp-OutputArea-output:not(:has(*)) {{ display: none; }}
</style>
<div class="gradwidgets-still-{key}">
{picture}<pre style="white-space: pre-wrap; word-break: normal">{words}</pre>
<p><small>As it was when the cell was run. Run it again to work with it.</small></p>
</div>"""
"""Hidden while its widget is on the page, and for the seconds that a widget may take to come. The
last rule hides the line "Error displaying widget", which has no elements of its own."""


@dataclass(frozen=True)
class StaticView:
    """A widget's content without the widget: words, and perhaps a PNG described in words.

    >>> StaticView("Converging: the loss went from 1 to 0.")
    StaticView(words='Converging: the loss went from 1 to 0.', png=b'', alt='')
    """

    words: str
    png: bytes = b""
    alt: str = ""


class StaticFallback:
    """Shows itself as a widget; where none lives, as a picture and words.

    A notebook that is opened again has no widgets any more. So it shows itself as two outputs: a
    static view, and then the widget.

    Attributes:
        widget: what is shown.

    >>> class Greeting(StaticFallback):
    ...     def __init__(self):
    ...         self.widget = ipywidgets.Label("Hello!")
    ...
    ...     def __repr__(self):
    ...         return self.widget.value
    >>> Greeting().static_view().words
    'Hello!'
    """

    widget: ipywidgets.DOMWidget
    _shown_as = ""

    def static_view(self) -> StaticView:
        """Its content as it is now."""
        return StaticView(repr(self))

    def _ipython_display_(self) -> None:
        key = self.widget.model_id
        next(_drawn(self.widget), self.widget).add_class(f"gradwidgets-live-{key}")
        display(self._static(key), raw=True, display_id=key)  # type: ignore[no-untyped-call]
        display(  # type: ignore[no-untyped-call]
            {VIEW: self.widget.get_view_spec(), "text/plain": ""}, raw=True
        )
        self._shown_as = key

    def _display_(self) -> Any:
        """Shown by marimo, which asks for this before all else."""
        return laid_out(self.widget) if known(self.widget) else words_of(repr(self))

    def show_static_again(self) -> None:
        """Bring the static view that was shown up to date, for the notebook that is saved."""
        if key := self._shown_as:
            update_display(self._static(key), raw=True, display_id=key)  # type: ignore[no-untyped-call]

    def _static(self, key: str) -> dict[str, str]:
        view = self.static_view()
        return {"text/html": _page(view, key), "text/plain": view.words}


def _drawn(widget: ipywidgets.Widget) -> Iterator[anywidget.AnyWidget]:
    """The parts of a widget that are on the page only if their own JavaScript is."""
    if isinstance(widget, anywidget.AnyWidget):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from _drawn(child)


def _page(view: StaticView, key: str) -> str:
    picture = ""
    if view.png:
        data = base64.b64encode(view.png).decode()
        picture = f'<img alt="{escape(view.alt)}" src="data:image/png;base64,{data}">\n'
    return PAGE.format(key=key, picture=picture, words=escape(view.words))


def close(widget: ipywidgets.Widget) -> None:
    """Close a widget and every widget inside it, so that nothing is left behind.

    >>> box = ipywidgets.VBox([ipywidgets.Label("inside")])
    >>> close(box)
    >>> box.children[0].comm is None
    True
    """
    parts = [getattr(widget, name, None) for name in ("layout", "style")]
    for part in (*getattr(widget, "children", ()), *parts):
        if isinstance(part, ipywidgets.Widget):
            close(part)
    widget.close()
