"""A table whose cells hold a number and, where a length says more, a bar behind it."""

from __future__ import annotations

import anywidget
import traitlets

from gradwidgets.components.assets import script_of, style_of


class BarTable(anywidget.AnyWidget):
    """A table with bars, a sentence that screen readers announce, and notes under it.

    `page` holds "caption", "columns" (a name, a help and ticks as [place, text] each), "rows" (a
    name, a detail and cells each), "sentence" and "notes". Words between backticks are code.

    >>> table = BarTable(page={"caption": "Norms", "columns": [], "rows": [], "notes": []})
    >>> table.page["caption"]
    'Norms'
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    page = traitlets.Dict().tag(sync=True)
