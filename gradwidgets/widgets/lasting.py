"""What stays of a widget where none can live: its picture, and its words."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets
from IPython.display import display

VIEW = "application/vnd.jupyter.widget-view+json"
STILL = """<style>
body:has(.gradwidgets-live-{key}) .gradwidgets-still-{key} {{ display: none; }}
.gradwidgets-still-{key} {{ animation: gradwidgets-still 2s; }}
@keyframes gradwidgets-still {{ from, to {{ height: 0; overflow: hidden; }} }}
</style>
<div class="gradwidgets-still-{key}">
{picture}<pre style="white-space: pre-wrap">{words}</pre>
<p><small>As it was saved. Run the cell to work with it.</small></p>
</div>"""
"""Hidden while its widget is on the page, and for the seconds that a widget may take to come."""


class Lasting:
    """Shows itself as a widget; where none lives, as a picture and words.

    A notebook that is opened again has no widgets any more, and JupyterLab says "Error displaying
    widget" in their place. So what stays is an output of its own, before the widget's.

    Attributes:
        widget: what is shown.
    """

    widget: ipywidgets.DOMWidget

    def _still(self) -> dict[str, str]:
        """The words as "text/plain", and a picture, where there is one, as "image/png"."""
        return {"text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        still, key = self._still(), self.widget.model_id
        self.widget.add_class(f"gradwidgets-live-{key}")
        _show({"text/html": _page(still, key), "text/plain": still["text/plain"]})
        _show({VIEW: self.widget.get_view_spec(), "text/plain": ""})


def _show(data: dict[str, Any]) -> None:
    display(data, raw=True)  # type: ignore[no-untyped-call]


def _page(still: dict[str, str], key: str) -> str:
    words, picture = escape(still["text/plain"]), ""
    if png := still.get("image/png"):
        picture = f'<img alt="{words}" src="data:image/png;base64,{png}">\n'
    return STILL.format(key=key, picture=picture, words=words)
