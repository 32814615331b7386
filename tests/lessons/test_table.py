"""`Table`: its text, and the HTML that keeps each row on a line of its own."""

import re
from html import unescape

from gradwidgets.lessons import Table

TABLE = Table(["rule", "a < b & c"], [("<b>", 0.25), ("x & y", 2.5e7)])


def test_html_holds_the_same_text_and_nothing_that_it_says_is_markup():
    (style, text) = re.fullmatch(
        r'<pre style="([^"]*)">(.*)</pre>', TABLE._repr_html_(), re.S
    ).groups()
    assert "white-space: pre;" in style
    assert not {"<", ">"} & {*text}
    assert unescape(text) == repr(TABLE)
