"""`Table`: a few rows of measurements as aligned text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = (
    "white-space: pre; word-break: normal; overflow-x: auto; margin: 0; "
    "padding: 0 var(--jp-code-padding, 0); "
    "font-size: var(--jp-code-font-size, inherit); line-height: var(--jp-code-line-height, inherit)"
)
"""As JupyterLab shows plain text, but for its lines."""


def unbroken(text: str) -> str:
    """HTML of a text whose lines are not broken, as rows of a table must not; they can be scrolled.

    JupyterLab breaks lines of plain text that are too long, in the middle of a number, too.
    """
    return f'<pre style="{STYLE}">{escape(text)}</pre>'


class Table:
    """Rows under a head, numbers to the right; shows itself as text.

    Args:
        head: the name of each column.
        rows: as many values as there are columns each. Floats are rounded, all others shown as
            they are.
        digits: of a float, after the point; beyond 100,000 and below the last digit it is written
            with an exponent.

    Raises:
        ValueError: a row has another number of values than the head.

    >>> Table(["lr", "last loss"], [(0.1, 0.25), (1.0, 2.5e7)])
      lr  last loss
    0.10       0.25
    1.00   2.50e+07
    """

    def __init__(
        self, head: Sequence[str], rows: Iterable[Sequence[object]], digits: int = 2
    ) -> None:
        self.head = list(head)
        self.rows = [list(row) for row in rows]
        self.digits = digits
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"a row has {len(row)} values, the head {len(self.head)}: {row}")

    def __repr__(self) -> str:
        """The table, one line a row."""
        lines = [self.head, *[[self._text(value) for value in row] for row in self.rows]]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        left = [any(isinstance(value, str) for value in column) for column in self._columns()]
        return "\n".join(
            "  ".join(
                text.ljust(width) if words else text.rjust(width)
                for text, width, words in zip(line, widths, left, strict=True)
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        """The same text; where it is too wide, it scrolls."""
        return unbroken(repr(self))

    def _columns(self) -> list[tuple[object, ...]]:
        return list(zip(*self.rows, strict=True)) or [()] * len(self.head)

    def _text(self, value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        small = 0 < abs(value) < 0.5 * 10**-self.digits
        kind = "e" if small or abs(value) >= 1e5 else "f"
        return f"{value:.{self.digits}{kind}}"
