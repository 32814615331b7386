"""The pieces of HTML that the pages of lessons, lectures, claims and codes share."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from posixpath import relpath
from typing import Any

from website.address import Addresses

PRINTED = "What it puts out"
LINK = re.compile(r"\[([^\]\[]+)\]\(([^)\s]*?)([\w-]+)\.ipynb(?:#cell-id=([\w-]+))?\)")


def prose(text: str) -> str:
    """Plain text as HTML; words between backticks are set as code."""
    parts = [escape(part) for part in text.split("`")]
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))


def printed(outputs: Sequence[Mapping[str, Any]]) -> str:
    """What a cell's outputs say as plain text."""
    said = [
        output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
    ]
    return "\n".join(text.rstrip("\n") for text in said if text)


def output(text: str, folded: bool = False) -> str:
    """A cell's output; folded, it is seen only by those who ask for it."""
    if not text:
        return ""
    name = f'tabindex="0" role="group" aria-label="{PRINTED}"'
    pre = f'<pre class="gw-output" {name}>{escape(text)}</pre>'
    return f"<details><summary>{PRINTED}</summary>{pre}</details>" if folded else pre


def question(key: str, asked: Mapping[str, Any]) -> str:
    """A question; `predict.js` makes a form of it, and reads the answers when one is chosen.

    The answers are in base64: not to keep them secret, but so that neither the page's text nor a
    search in it gives them away.
    """
    shown = {name: asked[name] for name in ("question", "choices")}
    answers = base64.b64encode(json.dumps(asked["answers"]).encode()).decode()
    choices = "".join(f"<li>{prose(choice)}</li>" for choice in asked["choices"])
    return (
        f'<div class="gw-question" id="{escape(key)}" data-key="{escape(key)}" '
        f'data-asked="{escape(json.dumps(shown))}" data-answers="{answers}">'
        f"<p>{prose(asked['question'])}</p><ul>{choices}</ul>"
        "<noscript><p>To answer it here, allow this page to run scripts.</p></noscript></div>"
    )


def launch_row(addresses: Addresses, notebook: str, here: str, cell: str = "") -> str:
    """The ways to open a lesson's notebook, and to have it as a file.

    Args:
        addresses: what is known of public places.
        notebook: the notebook's path in the repository.
        here: the page that this stands in, such as "lessons/00_start_here".
        cell: the id of the cell to open it at.
    """
    file = f"{relative('downloads', here)}/{notebook.rpartition('/')[2]}"
    links = [
        f'<a class="gw-button" href="{escape(address)}">{escape(label)}</a>'
        for label, address in addresses.launches(notebook, cell)
    ]
    links.append(f'<a class="gw-button" href="{escape(file)}" download>Download the notebook</a>')
    return f'<p class="gw-launch"><span>Open this lesson in:</span> {" ".join(links)}</p>'


def relative(target: str, here: str) -> str:
    """The way from one page to another, both named from the site's root."""
    folder = here.rpartition("/")[0]
    return relpath(target, folder or ".")


def linked(text: str, here: str, pages: Mapping[str, str]) -> str:
    """Markdown whose links to notebooks lead to the site's pages.

    Args:
        text: the Markdown.
        here: the page that it stands in.
        pages: the page made of each notebook, by its name; a link to another becomes its words.
    """

    def way(found: re.Match[str]) -> str:
        words, _, name, cell = found.groups()
        if name not in pages:
            return words
        at = f"#cell-{cell}" if cell else ""
        return f'<a href="{relative(pages[name], here)}.html{at}">{words}</a>'

    return LINK.sub(way, text)


def anchor(cell: str) -> str:
    """Where links to a cell lead."""
    return f'<div class="gw-anchor" id="cell-{escape(cell)}"></div>'
