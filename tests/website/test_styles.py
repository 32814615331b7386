"""Styles and icons that are cut to what the pages use."""

from __future__ import annotations

import pytest
from fontTools.ttLib import TTFont

from website.styles import used

WORDS = {"a", "dark", "main"}


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        (".a, .b { color: red }", ".a{ color: red }"),
        (".a .b { color: red }", ""),
        (".a.b > p { color: red }", ""),
        ("#main p, #other { margin: 0 }", "#main p{ margin: 0 }"),
        ("p:not(.b) { margin: 0 }", "p:not(.b) { margin: 0 }"),
        (":root, html[data-theme=dark] { --x: 1 }", ":root,html[data-theme=dark] { --x: 1 }"),
        ("@media print { .b { margin: 0 } }", ""),
        ("@media print { .a { margin: 0 } }", "@media print {.a { margin: 0 }}"),
        ("@font-face { src: url(x.woff2) }", "@font-face { src: url(x.woff2) }"),
        ("@keyframes turn { to { rotate: 1turn } }", "@keyframes turn { to { rotate: 1turn } }"),
        ("/*! MIT */ /* why */ .a { margin: 0 }", "/*! MIT */.a { margin: 0 }"),
    ],
)
def test_rules_of_classes_that_no_page_has_are_left_out(css: str, expected: str) -> None:
    assert used(css, WORDS).replace(" {", "{") == expected.replace(" {", "{")


def test_every_icon_that_a_style_names_is_in_the_font(site) -> None:
    fonts = list(site.rglob("*.woff2"))
    signs = {sign for font in fonts for sign in TTFont(font).getBestCmap()}
    styles = "".join(path.read_text("utf-8") for path in site.rglob("_static/**/*.css"))
    named = {ord(sign) for sign in styles if "\ue000" <= sign <= "\uf8ff"}
    assert 10 <= len(named) < 60
    assert named <= signs
    assert all(font.stat().st_size < 10_000 for font in fonts)
