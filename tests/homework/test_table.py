"""A table: the cells that Python's csv module reads, and every byte but the changed cell's kept."""

from __future__ import annotations

import codecs
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwidgets_homework import Table

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5)


@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t"), st.booleans())
def test_cells_are_those_that_csv_wrote_and_a_changed_one_changes_alone(rows, end, delimiter, all_):
    header = ["one", "two", "three"]
    quoting = csv.QUOTE_ALL if all_ else csv.QUOTE_MINIMAL
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(
        [header, *rows]
    )
    content = file.getvalue().encode()
    table = Table("a.csv", content)
    assert (table.header, table.rows) == (header, rows)
    assert table.content() == content
    table.put(0, 1, "12.5")
    after = Table("a.csv", table.content())
    assert after.rows == [[rows[0][0], "12.5", rows[0][2]], *rows[1:]]


@pytest.mark.parametrize(
    ("bom", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (b"", "latin-1"),
    ],
)
def test_marks_of_encodings_stay(bom, encoding):
    text = 'Name;Grade\r\n"Müller";\r\nPérez;\r\n'
    table = Table("a.csv", bom + text.encode(encoding))
    assert table.header == ["Name", "Grade"]
    assert table.rows[0] == ["Müller", ""]
    table.put(1, 1, "7,50")
    assert table.content() == bom + text.replace("Pérez;", "Pérez;7,50").encode(encoding)


def test_a_value_is_quoted_where_the_cell_was_or_must_be():
    table = Table("a.csv", b'a,b,c\n1,"",3\n')
    table.put(0, 0, "7,5")
    table.put(0, 1, "8")
    table.put(0, 2, 'say "no"')
    assert table.content() == b'a,b,c\n"7,5","8","say ""no"""\n'


def test_an_empty_table_and_a_short_row_are_refused():
    with pytest.raises(ValueError, match=r"a\.csv is empty"):
        Table("a.csv", b"\n")
    table = Table("a.csv", b"a,b\n1\n")
    assert table.rows == [["1", ""]]
    with pytest.raises(ValueError, match=r"line 2 of a\.csv has only 1 cells"):
        table.put(0, 1, "2")
