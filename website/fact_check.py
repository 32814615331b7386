"""The fact check: a table to search, and for each claim a page of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from gradwidgets.lessons.claims import FILE, Claim, read_cells, read_claims, source_of
from website import markup
from website.live import outputs_of

INTRODUCTION = """\
# Fact check

Sentences of tutorials on PyTorch's gradients, word for word, and statements of documentation in our
own words. Each has a verdict, the context in which it is true, and an experiment that you can read
and run. Give words or choose a verdict; the address of the page then holds what you look for.

"""
ALONE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"
"""A page that needs its whole width."""
IN_NO_LIST = "---\norphan: true\n---\n\n"
"""A page that the side bar does not list: there are more than a hundred."""
LEAD = {
    "true": "It holds as it was said.",
    "true if": "It holds under a condition.",
    "outdated": "It was so once, and is no longer.",
    "false": "It does not hold.",
}


def write(
    source: Path, notebooks: Path, pages: Mapping[str, str], only: set[str] | None
) -> list[str]:
    """Write the pages, and return the ids of the claims.

    Args:
        source: the folder of all pages' sources.
        notebooks: the folder with the claims and the lessons.
        pages: the page of each lesson, by its notebook's name.
        only: these claims alone; None takes all.
    """
    folder = source / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    sources = json.loads((notebooks / FILE).read_text(encoding="utf-8"))["sources"]
    claims = [each for each in read_claims(notebooks) if only is None or each.id in only]
    for claim in claims:
        place = sources[claim.id.split("-")[0]]
        text = "\n".join(_page(claim, place, notebooks, pages))
        (folder / f"{claim.id}.md").write_text(text, encoding="utf-8")
    text = f"{ALONE}{INTRODUCTION}{_table(claims)}\n"
    (source / "fact_check.md").write_text(text, encoding="utf-8")
    return [claim.id for claim in claims]


def _table(claims: list[Claim]) -> str:
    """The table as HTML: `site.js` puts the fields above it and hides rows."""
    rows = "".join(
        f'<tr id="{claim.id}" data-verdict="{claim.verdict}">'
        f'<td><a href="claims/{claim.id}.html">{claim.id}</a></td>'
        f"<td>{_said(claim)}</td><td>{claim.verdict}</td><td>{markup.prose(claim.truth)}</td></tr>"
        for claim in claims
    )
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("claim", "what is said", "verdict", "what is true")
    )
    return (
        '<div class="gw-table" data-gw-search tabindex="0" role="region" aria-label="All claims">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _said(claim: Claim) -> str:
    words = markup.prose(claim.quote)
    told = words if claim.paraphrased else f"<q>{words}</q>"
    return (
        f"{told} <small>{markup.prose(claim.source)}{', in our words' * claim.paraphrased}</small>"
    )


def _page(
    claim: Claim, place: Mapping[str, str], notebooks: Path, pages: Mapping[str, str]
) -> Iterator[str]:
    here = f"claims/{claim.id}"
    yield f"{IN_NO_LIST}# {title(claim)}\n"
    quote = markup.prose(claim.quote)
    where = markup.prose(claim.source) if "page" not in place else _outside(place)
    kind = "What it says, in our words" if claim.paraphrased else "Word for word"
    yield (
        f'<figure class="gw-quote"><blockquote><p>{quote}</p></blockquote>'
        f"<figcaption>{kind}: {where}</figcaption></figure>\n"
    )
    yield f"## Verdict: {claim.verdict}\n\n{LEAD[claim.verdict]}\n\n## In which context\n"
    yield f"<p>{markup.prose(claim.truth)}</p>\n"
    if claim.experiment:
        yield "## The experiment\n"
        yield from _experiment(claim, notebooks, pages, here)
    yield f'<p><a href="../fact_check.html#{claim.id}">Claim {claim.id} among all claims</a></p>\n'


def title(claim: Claim) -> str:
    """The claim as a title, cut at a word."""
    parts = " ".join(claim.quote.split()).split("`")  # each second one is code, and stays
    for at, part in enumerate(parts[::2]):  # "**" is a tutorial's own Markdown
        parts[2 * at] = part.replace("**", "").replace("*", "\\*").replace("<", "\\<")
    words = "`".join(parts)
    if len(words) > 90:
        words = re.sub(r"[\s,;:.`]+\S*$", "", words[:90]) + " …"
        words += "`" * (words.count("`") % 2)
    return words


def _outside(place: Mapping[str, Any]) -> str:
    return f'<a href="{escape(place["page"])}">{markup.prose(place["title"])}</a>'


def _experiment(
    claim: Claim, notebooks: Path, pages: Mapping[str, str], here: str
) -> Iterator[str]:
    """The cells that settle the claim, and what they put out."""
    assert claim.experiment is not None
    path = notebooks / claim.experiment.notebook
    cells = {cell["id"]: cell for cell in read_cells(path)}
    outputs = outputs_of(path)
    for name in claim.experiment.cells:
        yield f"```python\n{source_of(cells[name])}\n```\n"
        yield markup.output(markup.printed(outputs.get(name, []))) + "\n"
    title = f"the lesson “{markup.prose(claim.experiment.title)}”"
    if page := pages.get(path.stem):
        way = f"{markup.relative(page, here)}.html#cell-{claim.experiment.cells[0]}"
        title = f'<a href="{way}">{title}</a>'
    yield f"<p>From {title}, where the cells before it are.</p>\n"
