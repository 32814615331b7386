"""A CSV file of which some cells are changed, and nothing else: not a quote, not a line end."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
DELIMITERS = ",;\t"
"""Spreadsheets in countries that write 0,5 save with semicolons."""


class Table:
    r"""The cells of a CSV file, each with the text that it has in the file.

    Args:
        name: the file's name, for errors.
        content: the file's bytes: UTF-8, UTF-16 with its mark, or else Latin-1.

    Attributes:
        header: the first row.
        rows: the others.

    Raises:
        ValueError: it has no cell.

    >>> table = Table("marks.csv", b'Name,Grade\r\n"Ada L.",\r\n')
    >>> table.put(0, 1, "12.5")
    >>> table.content()
    b'Name,Grade\r\n"Ada L.",12.5\r\n'
    """

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self._bom, self._encoding, text = _decoded(content)
        first = text.partition("\n")[0]
        self.delimiter = max(DELIMITERS, key=first.count)
        self._raw = list(_records(text, self.delimiter))
        if not self._raw or not any(cell for cell, _ in self._raw[0]):
            raise ValueError(f"{name} is empty")
        self.header = [_value(cell) for cell, _ in self._raw[0]]

    @property
    def rows(self) -> list[list[str]]:
        """The values of the cells below the header; shorter rows are filled with ""."""
        width = len(self.header)
        found = [[_value(cell) for cell, _ in record] for record in self._raw[1:]]
        return [row + [""] * (width - len(row)) for row in found]

    def records(self) -> list[dict[str, str]]:
        """The rows by the names of their columns."""
        return [dict(zip(self.header, row, strict=False)) for row in self.rows]

    def put(self, row: int, column: int, value: str) -> None:
        """Write a value into a cell, in quotes if it had them or needs them.

        Raises:
            ValueError: the row has no such cell.
        """
        record = self._raw[row + 1]
        if column >= len(record):
            raise ValueError(f"line {row + 2} of {self.name} has only {len(record)} cells")
        before, end = record[column]
        if before.startswith('"') or any(c in value for c in f'{self.delimiter}"\r\n'):
            value = '"' + value.replace('"', '""') + '"'
        record[column] = value, end

    def content(self) -> bytes:
        """The file's bytes, with what was put in."""
        text = "".join(cell + end for record in self._raw for cell, end in record)
        return self._bom + text.encode(self._encoding)


def read(path: Path) -> Table:
    """The table of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is empty.

    >>> read(Path("nowhere.csv"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.csv'
    """
    return Table(path.name, path.read_bytes())


def _decoded(content: bytes) -> tuple[bytes, str, str]:
    for bom, encoding in BOMS:
        if content.startswith(bom):
            return bom, encoding, content[len(bom) :].decode(encoding)
    try:
        return b"", "utf-8", content.decode("utf-8")
    except UnicodeDecodeError:
        return b"", "latin-1", content.decode("latin-1")  # which has a letter for every byte


def _records(text: str, delimiter: str) -> Iterator[list[tuple[str, str]]]:
    """Each record as pairs of a cell's text and what ends it."""
    cell = re.compile(rf'("(?:[^"]|"")*"|[^{delimiter}\r\n]*)({delimiter}|\r\n|\n|\r|\Z)')
    record: list[tuple[str, str]] = []
    position = 0
    while position < len(text) or record:
        match = cell.match(text, position)
        assert match is not None  # whatever stands there, it ends somewhere
        record.append((match[1], match[2]))
        position = match.end()
        if match[2] != delimiter:
            yield record
            record = []


def _value(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell
