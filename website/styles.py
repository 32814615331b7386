"""The theme's styles and icons, cut to what the pages use: a phone has to load them first."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tinycss2
from fontTools import subset

WORD = re.compile(r"[A-Za-z_][\w-]*")
ICON = re.compile("[\ue000-\uf8ff]")
"""Signs that Unicode leaves to fonts."""
LINK = re.compile(r'<link (?=[^>]*rel="stylesheet")[^>]*href="([^"?]*)[^>]*>\s*')
IMPORT = re.compile(r'@import "([^"]*)";')
VARIABLE = re.compile(r"var\(\s*(--[\w-]+)")
URL = re.compile(r"url\((?!data:|[\"']data:)([^)]+)\)")
BUNDLE = "_static/styles.css"
WITHIN = re.compile(r"index\.html|404\.html|lessons/.*")
"""Pages that hold the styles themselves: where people arrive, nothing else is waited for."""
ALONE = "404.html"
"""The page that a server shows in place of any other, at any depth: it can load no file."""


def lighten(static: Path, pages: Sequence[Path]) -> None:
    """Drop rules and variables that no page and no script has, and icons that no rule names.

    Args:
        static: the folder of styles, scripts and fonts.
        pages: the files of the pages.
    """
    words = _words([*pages, *static.rglob("*.js")])
    paths = list(static.rglob("*.css"))
    texts = needed([used(path.read_text(encoding="utf-8"), words) for path in paths], words)
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    icons = {ord(sign) for text in texts for sign in ICON.findall(text)}
    for font in static.rglob("*.woff2"):
        _cut(font, icons)


def bundle(site: Path, pages: Sequence[Path]) -> None:
    """Put the styles that all pages link into one file, and into the pages of `WITHIN` themselves.

    A browser waits for each file of styles before it paints; a page that holds them holds those
    that it needs.

    Args:
        site: the folder of the site.
        pages: the files of the pages.

    Raises:
        ValueError: two pages link different styles, or a style names a file that is not there, or
            imports another in a way that is not known.
    """
    lists = {path: _linked(site, path) for path in pages}
    names = lists[pages[0]]
    if other := next((path for path in pages if lists[path] != names), None):
        raise ValueError(f"{other} links {lists[other]}, {pages[0]} links {names}")
    text = "".join(_whole(site, name) for name in names)
    missing = [name for name in URL.findall(text) if not (site / "_static" / name).is_file()]
    if missing or "@import" in text:
        raise ValueError(f"{BUNDLE} would name {missing or 'a style that it imports'}")
    for path in (site / "_static").rglob("*.css"):
        path.unlink()
    (site / BUNDLE).write_text(text, encoding="utf-8")
    version = hashlib.sha256(text.encode()).hexdigest()[:8]
    scripts = _words((site / "_static").rglob("*.js"))
    for path in pages:
        up = "../" * (len(path.relative_to(site).parts) - 1)
        if WITHIN.fullmatch(path.relative_to(site).as_posix()):
            own = used(text, scripts | _words([path]))
            alone = path == site / ALONE
            own = _with_files(site, own) if alone else URL.sub(rf"url({up}_static/\1)", own)
            style = f"<style>{own}</style>\n"
        else:
            style = f'<link rel="stylesheet" href="{up}{BUNDLE}?v={version}">\n'
        first, *others = LINK.split(path.read_text(encoding="utf-8"))[::2]
        path.write_text(first + style + "".join(others), encoding="utf-8")


def _words(paths: Iterable[Path]) -> set[str]:
    return {word for path in paths for word in WORD.findall(path.read_text(encoding="utf-8"))}


def _with_files(site: Path, text: str) -> str:
    """The style with the files that it names in it."""

    def written(found: re.Match[str]) -> str:
        file = base64.b64encode((site / "_static" / found[1]).read_bytes()).decode()
        return f"url(data:font/woff2;base64,{file})"

    return URL.sub(written, text)


def _linked(site: Path, page: Path) -> list[str]:
    """The styles that a page links, by their names in the site."""
    folder = page.parent.relative_to(site).as_posix()
    found = LINK.findall(page.read_text(encoding="utf-8"))
    return [posixpath.normpath(posixpath.join(folder, name)) for name in found]


def _whole(site: Path, name: str) -> str:
    """A style with those that it imports; its files are named as the bundle finds them."""
    folder, home = posixpath.dirname(name), posixpath.dirname(BUNDLE)

    def imported(found: re.Match[str]) -> str:
        return _whole(site, posixpath.normpath(posixpath.join(folder, found[1])))

    def moved(found: re.Match[str]) -> str:
        file = posixpath.normpath(posixpath.join(folder, found[1]))
        return f"url({posixpath.relpath(file, home)})"

    text = URL.sub(moved, (site / name).read_text(encoding="utf-8"))
    return IMPORT.sub(imported, text)


def used(css: str, words: set[str]) -> str:
    """The rules of a style whose classes and ids are all among the words; licences stay.

    >>> used(".a, .b { color: red } .c.a { color: blue } p:not(.c) { margin: 0 }", {"a"})
    '.a{ color: red }p:not(.c) { margin: 0 }'
    """

    def kept(rule: Any) -> str:
        selectors = [each for each in _split(rule.prelude, ",") if _names(each) <= words]
        chosen = ",".join(map(tinycss2.serialize, selectors))
        return f"{chosen}{{{tinycss2.serialize(rule.content)}}}" if selectors else ""

    return _rewritten(tinycss2.parse_stylesheet(css, skip_whitespace=True), kept)


def needed(texts: list[str], words: set[str]) -> list[str]:
    """Styles without the variables that neither they nor the words name.

    >>> needed([":root { --a: 1px; --b: var(--a); --c: 0 } p { margin: var(--b) }"], set())
    [':root {--a: 1px;--b: var(--a)}p {margin: var(--b)}']
    """
    named: set[str] = set()

    def kept(rule: Any) -> str:
        parts = [part for part in _split(rule.content, ";") if _variable(part) in {"", *named}]
        content = ";".join(map(tinycss2.serialize, parts)).strip()
        return f"{tinycss2.serialize(rule.prelude)}{{{content}}}" if content else ""

    while True:
        named = {name for text in texts for name in VARIABLE.findall(text)}
        named |= {f"--{word}" for word in words}
        rules = [tinycss2.parse_stylesheet(text, skip_whitespace=True) for text in texts]
        shorter = [_rewritten(each, kept) for each in rules]
        if shorter == texts:
            return texts
        texts = shorter


def _rewritten(rules: Sequence[Any], write: Callable[[Any], str]) -> str:
    """The rules as `write` writes them, those for some media too; of comments licences only."""
    return "".join(_each_rewritten(rules, write))


def _each_rewritten(rules: Sequence[Any], write: Callable[[Any], str]) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            yield write(rule)
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inner = tinycss2.parse_rule_list(rule.content, skip_whitespace=True)
            if text := _rewritten(inner, write):
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{text}}}"
        elif rule.type != "comment" or rule.value.startswith("!"):
            yield rule.serialize()


def _variable(declaration: Sequence[Any]) -> str:
    """The variable that a declaration sets, or nothing."""
    first = next((token for token in declaration if token.type != "whitespace"), None)
    name = first.value if first is not None and first.type == "ident" else ""
    return str(name) if name.startswith("--") else ""


def _split(tokens: Sequence[Any], sign: str) -> list[list[Any]]:
    """What stands between these signs; without comments, and without space at its beginning."""
    found: list[list[Any]] = [[]]
    for token in tokens:
        if token == sign:
            found.append([])
        elif token.type != "comment" and (found[-1] or token.type != "whitespace"):
            found[-1].append(token)
    return found


def _names(selector: Sequence[Any]) -> set[str]:
    """The classes and ids that an element must have; those inside `:not(...)` are none of them."""
    pairs = zip([None, *selector], selector, strict=False)
    classes = {token.value for before, token in pairs if before == "." and token.type == "ident"}
    return classes | {token.value for token in selector if token.type == "hash"}


def _cut(font: Path, icons: set[int]) -> None:
    """Leave only these signs in a font."""
    options = subset.Options(flavor="woff2")
    loaded = subset.load_font(str(font), options)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=icons)
    cutter.subset(loaded)
    subset.save_font(loaded, str(font), options)
