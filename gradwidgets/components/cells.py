"""The content of a `BarTable`, as plain data, as plain text and as HTML without bars."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any


def cell(
    text: str,
    bar: float | None = None,
    mark: str = "",
    beside: Sequence[tuple[str, float]] = (),
    plain: str = "",
) -> dict[str, Any]:
    """A cell.

    Args:
        text: what it says; a bar says nothing beyond it.
        bar: length from 0 to 1, or None for no bar.
        mark: "good", "bad" or "notice": how the cell is coloured.
        beside: further texts with bars, below the first, to compare with it.
        plain: what it says in plain text instead, which is saved and must not depend on the
            machine.

    >>> cell("0.5", bar=0.5)
    {'text': '0.5', 'bar': 0.5, 'mark': '', 'beside': [], 'plain': '0.5'}
    """
    length = None if bar is None else min(max(bar, 0.0), 1.0)
    return {
        "text": text,
        "bar": length,
        "mark": mark,
        "beside": list(beside),
        "plain": plain or text,
    }


def empty_page(caption: str, said: str | Exception) -> dict[str, Any]:
    """A page without a table: what is said, or why there is none.

    >>> empty_page("update 3", ValueError())["sentence"]
    'ValueError()'
    """
    sentence = str(said) or repr(said)
    return {"caption": caption, "columns": [], "rows": [], "sentence": sentence, "notes": []}


def as_text(page: dict[str, Any]) -> str:
    """A page as plain text.

    >>> row = {"name": "weight", "cells": [cell("0.5", bar=0.5)]}
    >>> page = {"caption": "Norms", "columns": [{"name": "norm"}], "rows": [row]}
    >>> print(as_text({**page, "sentence": "Good.", "notes": []}))
    Norms
            norm
    weight  0.5
    Good.
    """
    table = [["", *(column["name"] for column in page["columns"])]]
    table += [[row["name"], *(each["plain"] for each in row["cells"])] for row in page["rows"]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return "\n".join([page["caption"], *lines, page["sentence"], *page["notes"]])


_CELL = "text-align:left;vertical-align:top"
_WHOLE = f"{_CELL};white-space:nowrap"


class PagedTable:
    """A result that prints its `page()`: as text, and as an HTML table in a notebook.

    >>> class Norms(PagedTable):
    ...     def page(self):
    ...         return {"caption": "Norms", "columns": [], "rows": [], "sentence": "", "notes": []}
    >>> "Norms" in repr(Norms())
    True
    """

    def page(self) -> dict[str, Any]:
        """The table as plain data for a `BarTable`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return as_text(self.page())

    def _repr_html_(self) -> str:
        return as_html(self.page())


def as_html(page: dict[str, Any]) -> str:
    """A page as an HTML table that needs no widget; whatever it says is escaped.

    >>> row = {"name": "<b>", "cells": [cell("0.5", bar=0.5)]}
    >>> page = {"caption": "Norms", "columns": [{"name": "norm"}], "rows": [row]}
    >>> html = as_html({**page, "sentence": "`lr` is small.", "notes": []})
    >>> "&lt;b&gt;" in html, "<code>lr</code> is small." in html
    (True, True)
    """
    heads = "".join(
        f'<th scope="col" style="{_CELL}" title="{escape(column.get("help", ""))}">'
        f"{escape(column['name'])}</th>"
        for column in page["columns"]
    )
    rows = "".join(map(_html_row, page["rows"]))
    notes = "".join(f"<li>{_prose(note)}</li>" for note in page["notes"])
    title = escape(page["caption"])
    keys = 'tabindex="0" data-lm-suppress-shortcuts="true"'  # "d d" would delete the cell
    region = f'<div role="region" {keys} style="overflow:auto" aria-label="{title}">'
    return (
        f'{region}<table><caption style="text-align:left">{title}</caption>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<p>{_prose(page['sentence'])}</p>{f'<ul>{notes}</ul>' if notes else ''}"
    )


def _html_row(row: dict[str, Any]) -> str:
    detail = f"<br><small>{_prose(row['detail'])}</small>" if row.get("detail") else ""
    cells = "".join(
        f'<td style="{_WHOLE}">{f"<b>{text}</b>" if each["mark"] else text}</td>'
        for each in row["cells"]
        for text in [escape(each["text"])]
    )
    return f'<tr><th scope="row" style="{_WHOLE}">{_prose(row["name"])}{detail}</th>{cells}</tr>'


def _prose(text: str) -> str:
    """Words between backticks are code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
