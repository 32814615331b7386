"""Styles and icons that are cut to what the pages use."""

from __future__ import annotations

import pytest
from fontTools.ttLib import TTFont

from website.styles import BUNDLE, LINK, bundle, used

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


def test_every_page_links_one_style_that_holds_those_of_the_theme(site, pages) -> None:
    for name in pages:
        assert len(LINK.findall((site / name).read_text("utf-8"))) == 1
    assert [path.relative_to(site).as_posix() for path in site.rglob("_static/**/*.css")] == [
        BUNDLE
    ]
    text = (site / BUNDLE).read_text("utf-8")
    assert "@import" not in text
    for sign in (".bd-main", ".highlight", ".gw-lead", ".gradwidgets-predict"):
        assert sign in text


@pytest.fixture
def two_pages(tmp_path):
    """A page with two styles, one of which imports a third and names a font; and one below it."""
    static = tmp_path / "_static"
    (static / "theme").mkdir(parents=True)
    (tmp_path / "below").mkdir()
    (static / "x.woff2").touch()
    (static / "base.css").write_text("a{b:c}", "utf-8")
    (static / "theme/theme.css").write_text(
        '@import "../base.css";p{src: url(../x.woff2)}', "utf-8"
    )
    (static / "own.css").write_text("q{src:url(data:x)}", "utf-8")
    own = '<link rel="stylesheet" href="{}_static/own.css?v=1" />'
    head = '<head><link href="{}_static/theme/theme.css" rel="stylesheet" />\n' + own + "<title>"
    pages = [tmp_path / "index.html", tmp_path / "below/other.html"]
    for page, up in zip(pages, ("", "../"), strict=True):
        page.write_text(head.replace("{}", up), "utf-8")
    return pages


def test_styles_stand_in_the_order_of_their_links(tmp_path, two_pages) -> None:
    bundle(tmp_path, two_pages)
    text = "a{b:c}p{src: url(x.woff2)}q{src:url(data:x)}"
    assert (tmp_path / BUNDLE).read_text("utf-8") == text
    for page, up in zip(two_pages, ("", "../"), strict=True):
        assert LINK.findall(page.read_text("utf-8")) == [f"{up}{BUNDLE}"]
        assert page.read_text("utf-8").startswith("<head><link")
        assert page.read_text("utf-8").endswith("<title>")


def test_pages_with_different_styles_are_refused(tmp_path, two_pages) -> None:
    two_pages[1].write_text("<head><title>", "utf-8")
    with pytest.raises(ValueError, match=r"other\.html links \[\]"):
        bundle(tmp_path, two_pages)


@pytest.mark.parametrize("rule", ["p{src:url(../gone.woff2)}", "@import url(../base.css);"])
def test_what_the_one_style_would_lose_is_refused(tmp_path, two_pages, rule: str) -> None:
    (tmp_path / "_static/theme/theme.css").write_text(rule, "utf-8")
    with pytest.raises(ValueError, match=r"styles\.css would name"):
        bundle(tmp_path, two_pages)
