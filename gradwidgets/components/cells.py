"""The content of a `BarTable`, as plain data and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
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
