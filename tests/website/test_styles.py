"""Styles and icons that are cut to what the pages use."""

from __future__ import annotations

import pytest
from fontTools.ttLib import TTFont

from website.styles import BUNDLE, LINK, URL, bundle, needed, used

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


@pytest.mark.parametrize(
    ("css", "expected"),
    [
        ("p{--u:1}", ""),
        ("p{--u:1;margin:0}", "p{margin:0}"),
        ("p{--dark:1}", "p{--dark:1}"),
        ("p{--u:1;margin:var( --u,2px)}", "p{--u:1;margin:var( --u,2px)}"),
        ("p{--u:1;--v:var(--u);--c:var(--v)}", ""),
        ("p{--u:url('x;--v:1');margin:0}", "p{margin:0}"),
        ("p{margin:0;--u:{x:1;y:2};padding:0}", "p{margin:0;padding:0}"),
        (".a--b:hover{margin:0}", ".a--b:hover{margin:0}"),
        ("@media print{p{--u:1}}", ""),
        ("@media print{p{--u:1;margin:0}}", "@media print{p{margin:0}}"),
        ("@keyframes x{to{--u:1}}", "@keyframes x{to{--u:1}}"),
    ],
)
def test_variables_that_nothing_names_are_left_out(css: str, expected: str) -> None:
    assert needed([css], WORDS) == [expected]


def test_a_variable_that_another_style_names_stays() -> None:
    styles = ["p{--u:1;--v:2}", "q{margin:var(--u)}"]
    assert needed(styles, set()) == ["p{--u:1}", styles[1]]


LOOKS = """() => [...document.querySelectorAll("body, body *, html")].flatMap((element) =>
  [null, "::before", "::after"].map((part) => {
    const style = getComputedStyle(element, part);
    return [...style].map((name) => `${name}: ${style.getPropertyValue(name)}`).join("; ");
  }))"""
"""How every element looks, and what is put before and after it."""
WHOLE_STYLE = """(text) => {
  const styles = [...document.querySelectorAll("style")];
  styles.sort((one, other) => other.textContent.length - one.textContent.length);
  styles[0].textContent = text;
}"""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", ["index.html", "lessons/00_start_here.html"])
def test_a_page_looks_the_same_with_all_styles(opened, site, name, width, scheme) -> None:
    page = opened(name, width=width, scheme=scheme)
    page.add_style_tag(content="* { transition: none !important }")
    looks = page.evaluate(LOOKS)
    assert len(looks) > 500
    whole = (site / BUNDLE).read_text("utf-8")
    page.evaluate(WHOLE_STYLE, URL.sub(rf"url({'../' * name.count('/')}_static/\1)", whole))
    assert page.evaluate(LOOKS) == looks


def test_every_icon_that_a_style_names_is_in_the_font(site) -> None:
    fonts = list(site.rglob("*.woff2"))
    signs = {sign for font in fonts for sign in TTFont(font).getBestCmap()}
    styles = "".join(path.read_text("utf-8") for path in site.rglob("_static/**/*.css"))
    named = {ord(sign) for sign in styles if "\ue000" <= sign <= "\uf8ff"}
    assert 10 <= len(named) < 60
    assert named <= signs
    assert all(font.stat().st_size < 10_000 for font in fonts)


def test_every_page_has_one_style_that_holds_those_of_the_theme(site, pages) -> None:
    styles = (site / BUNDLE).read_text("utf-8")
    for name in pages:
        text = (site / name).read_text("utf-8")
        within = name in ("index.html", "404.html") or name.startswith("lessons/")
        assert len(LINK.findall(text)) == 1 - within, name
        assert (".bd-main" in text) == within, name
    assert [path.relative_to(site).as_posix() for path in site.rglob("_static/**/*.css")] == [
        BUNDLE
    ]
    assert "@import" not in styles
    for sign in (".bd-main", ".highlight", ".gw-lead", ".gradwidgets-predict"):
        assert sign in styles


@pytest.fixture
def some_pages(tmp_path):
    """Pages with two styles, one of which imports a third and names a font."""
    static = tmp_path / "_static"
    (static / "theme").mkdir(parents=True)
    pages = [tmp_path / name for name in ("index.html", "lessons/one.html", "below/other.html")]
    for page in pages[1:]:
        page.parent.mkdir()
    (static / "x.woff2").touch()
    (static / "base.css").write_text("a{b:c}", "utf-8")
    (static / "theme/theme.css").write_text(
        '@import "../base.css";p{src: url(../x.woff2)}', "utf-8"
    )
    (static / "own.css").write_text("q{src:url(data:x)}", "utf-8")
    own = '<link rel="stylesheet" href="{}_static/own.css?v=1" />'
    head = '<head><link href="{}_static/theme/theme.css" rel="stylesheet" />\n' + own + "<title>"
    for page, up in zip(pages, ("", "../", "../"), strict=True):
        page.write_text(head.replace("{}", up), "utf-8")
    return pages


def test_styles_stand_in_the_order_of_their_links(tmp_path, some_pages) -> None:
    bundle(tmp_path, some_pages)
    text = "a{b:c}p{src: url(x.woff2)}q{src:url(data:x)}"
    assert (tmp_path / BUNDLE).read_text("utf-8") == text
    *within, linking = [page.read_text("utf-8") for page in some_pages]
    assert LINK.findall(linking) == [f"../{BUNDLE}"]
    assert linking.startswith("<head><link")
    assert linking.endswith("<title>")
    for page, font in zip(within, ("_static/x.woff2", "../_static/x.woff2"), strict=True):
        style = text.replace("x.woff2", font)
        assert page == f"<head><style>{style}</style>\n<title>"


def test_pages_with_different_styles_are_refused(tmp_path, some_pages) -> None:
    some_pages[2].write_text("<head><title>", "utf-8")
    with pytest.raises(ValueError, match=r"other\.html links \[\]"):
        bundle(tmp_path, some_pages)


@pytest.mark.parametrize("rule", ["p{src:url(../gone.woff2)}", "@import url(../base.css);"])
def test_what_the_one_style_would_lose_is_refused(tmp_path, some_pages, rule: str) -> None:
    (tmp_path / "_static/theme/theme.css").write_text(rule, "utf-8")
    with pytest.raises(ValueError, match=r"styles\.css would name"):
        bundle(tmp_path, some_pages)
