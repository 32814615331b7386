"""What every page gets after Sphinx: a policy, a description, a card; and the files beside it."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape, unescape
from pathlib import Path

from website import styles
from website.address import Addresses

SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.DOTALL)
DATA = re.compile(r'type="(?!text/javascript|module)[^"]*"')
HANDLER = re.compile(r"<[^>]*\son[a-z]+=")
TAG = re.compile(r"<[^>]+>")
USUAL = (
    "Lessons on PyTorch's gradients with live labs: pull a slider, and see what a real training "
    "loop does. Every number was computed by PyTorch."
)
ALL_ICONS = re.compile(r'\s*<script[^>]*src="[^"]*/fontawesome\.js[^"]*"></script>')
"""A script of a megabyte and a half; the theme's font has the same icons."""
SEARCH = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>'
)
"""The whole index of the search, which the theme loads on every page."""
PRELOAD = re.compile(r'\s*<link rel="preload" as="script"[^>]*>')
"""It would have scripts loaded before the styles, without which nothing is painted."""
OPTIONS = "documentation_options.js"
"""Sphinx's settings, which the page's own lines of script add to."""
THEME = 'dataset.theme = localStorage.getItem("theme") || "auto"'
SYSTEM = """dataset.theme = localStorage.getItem("theme") ||
      (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")"""
"""The theme's script turns "auto" into one of these; the page is painted before."""
FILE = re.compile(r'<script src="([^"?]*)[^"]*"></script>')
TOGGLE = re.compile(
    r'(<a class="[^"]*reference internal" href="[^"]*">)((?:(?!</a>).)*)'
    r"(</a><details[^>]*><summary)>",
    re.DOTALL,
)
"""What unfolds a part of the side bar; the theme gives it no name."""
UNUSED = (
    "_static/**/*.map",
    "_static/**/fontawesome.js*",
    "_static/*.html",
    "objects.inv",
    ".buildinfo",
)
LOADED = re.compile(r'\s*<script[^>]*\bsrc="[^"]*"[^>]*></script>|\s*<link(?![^>]*canonical)[^>]*>')
WAY = re.compile(r'(<(?:a|form)\b[^>]*\b(?:href|action)=")(?![a-z]+:|#)')
WITHOUT_SCRIPTS = (
    '<link rel="icon" href="data:,">'
    "<style>.primary-toggle, .pst-js-only { display: none !important }</style>"
)
CHARSET = '<meta charset="utf-8" />'
WITHOUT_ADDRESS = ("genindex.html", "py-modindex.html", "search.html", "404.html")


def finish(site: Path, addresses: Addresses) -> None:
    """Finish all pages of a site, and write sitemap.xml and robots.txt.

    Raises:
        ValueError: a page holds a script as an attribute, which the policy would forbid.
    """
    for pattern in UNUSED:
        for path in list(site.glob(pattern)):
            path.unlink()
    pages = sorted(path for path in site.rglob("*.html") if not _is_lab(site, path))
    styles.lighten(site / "_static", pages)
    styles.bundle(site, pages)
    options = (site / "_static" / OPTIONS).read_text(encoding="utf-8")
    for path in pages:
        name = path.relative_to(site).as_posix()
        text = path.read_text(encoding="utf-8")
        if name != "search.html":
            text = _scripts_last(text, options)
        if name == styles.ALONE:
            text = _alone(text, addresses.site)
        path.write_text(_finished(text, name, addresses), encoding="utf-8")
    names = [path.relative_to(site).as_posix() for path in pages]
    listed = [name for name in names if name not in WITHOUT_ADDRESS]
    robots = "User-agent: *\nAllow: /\n"
    if addresses.site:
        places = "".join(
            f"<url><loc>{escape(addresses.site + name)}</loc></url>\n" for name in listed
        )
        (site / "sitemap.xml").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{places}</urlset>\n',
            encoding="utf-8",
        )
        robots += f"Sitemap: {addresses.site}sitemap.xml\n"
    (site / "robots.txt").write_text(robots, encoding="utf-8")
    (site / ".nojekyll").touch()  # GitHub Pages leaves out folders that begin with _ otherwise


def _is_lab(site: Path, path: Path) -> bool:
    """True of a file that `save_page` wrote, which has a policy of its own."""
    return path.parent == site / "labs"


def _finished(text: str, name: str, addresses: Addresses) -> str:
    if handler := HANDLER.search(text):
        raise ValueError(f"{name} holds a script as an attribute: {handler[0]}")
    text = ALL_ICONS.sub("", text)
    text = TOGGLE.sub(_named, text).replace(THEME, SYSTEM)
    title = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    assert title
    words = escape(_description(text))
    heads = [
        CHARSET,  # HTML looks for it in the first 1024 bytes
        f'<meta http-equiv="Content-Security-Policy" content="{policy(text)}">',
        '<meta name="referrer" content="no-referrer">',
        f'<meta name="description" content="{words}">',
        '<meta property="og:type" content="website">',
        f'<meta property="og:title" content="{escape(unescape(title[1].strip()))}">',
        f'<meta property="og:description" content="{words}">',
        '<meta name="twitter:card" content="summary_large_image">',
    ]
    if addresses.site:
        heads.append(f'<meta property="og:image" content="{addresses.site}_static/card.png">')
        heads.append(f'<meta property="og:url" content="{addresses.site}{name}">')
        if 'rel="canonical"' not in text:
            heads.append(f'<link rel="canonical" href="{addresses.site}{name}">')
    text = text.replace(CHARSET, "", 1)
    return text.replace("<head>", "<head>\n" + "\n".join(heads), 1)


def _scripts_last(text: str, options: str) -> str:
    """The page without the search's index, with Sphinx's settings written out, the rest deferred.

    So a browser can paint it before it has loaded any script.
    """

    def last(found: re.Match[str]) -> str:
        if found[1].endswith(OPTIONS):
            return f"<script>{options}</script>"
        return found[0].replace("<script", "<script defer", 1)

    return FILE.sub(last, PRELOAD.sub("", SEARCH.sub("", text)))


def _alone(text: str, site: str) -> str:
    """The page without anything that it loads, and with ways that begin at the site's address.

    A server shows it at the address that was asked for, from where no relative way is right.
    """
    text = LOADED.sub("", text).replace("</head>", f"{WITHOUT_SCRIPTS}</head>", 1)
    return WAY.sub(rf"\g<1>{site}", text)


def _named(found: re.Match[str]) -> str:
    link, words, toggle = found.groups()
    return f'{link}{words}{toggle} aria-label="Pages below {TAG.sub("", words).strip()}">'


def policy(text: str) -> str:
    """The browser runs the site's own files and the page's own few lines, and nothing else.

    A page is also read from a disk, where its own files are of no host: hence `file:`.
    """
    inline = [script for kind, script in SCRIPT.findall(text) if not DATA.search(kind)]
    digests = " ".join(sorted({digest(script) for script in inline}))
    return (
        f"default-src 'none'; script-src 'self' {digests}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; frame-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'"
    )


def digest(text: str) -> str:
    """A script or a style as Content Security Policy (W3C, level 3) names it."""
    found = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(found).decode()}'"


def _description(text: str) -> str:
    """The first paragraph of the page, at most 160 characters of it."""
    _, _, article = text.partition("<article")
    for paragraph in re.findall(r"<p(?: class=\"gw-lead\")?>(.*?)</p>", article, re.DOTALL):
        words = " ".join(unescape(TAG.sub("", paragraph)).split())
        if len(words) > 40:
            return words if len(words) <= 160 else words[:157].rpartition(" ")[0] + " …"
    return USUAL
