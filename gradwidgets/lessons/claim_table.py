"""The table of all claims, written into the page of the fact check.

`python -m gradwidgets.lessons.claim_table notebooks` writes it anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from gradwidgets.lessons.claims import PAGE, Claim, read_claims

CELL = "claims"
"""The id of the page's cell that holds the table."""
HEAD = "| claim | verdict | what is true | experiment |\n|:--|:--|:--|:--|"


def rows(claims: Sequence[Claim]) -> str:
    """The claims as a table in Markdown; the last column leads to the experiment."""
    return "\n".join([HEAD, *map(_row, claims)])


def _row(claim: Claim) -> str:
    place = f"[{claim.id}]({claim.experiment.link})" if claim.experiment else claim.id
    verdict = claim.verdict.replace(" ", "\N{NO-BREAK SPACE}")
    return f"| {claim.claim} | **{verdict}** | {claim.truth} | {place} |"


def by_lesson(claims: Sequence[Claim]) -> dict[tuple[str, str], list[Claim]]:
    """The claims of each lesson, by its file name and title, in the order of the course."""
    groups: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        if claim.experiment:
            lesson = claim.experiment.notebook, claim.experiment.title
            groups.setdefault(lesson, []).append(claim)
    return dict(sorted(groups.items()))


def whole_table(folder: Path) -> str:
    """All claims, lesson by lesson."""
    return "\n\n".join(
        f"### {notebook[:2]} {title}\n\n{rows(group)}"
        for (notebook, title), group in by_lesson(read_claims(folder)).items()
    )


def write(folder: Path) -> None:
    """Put the table of the claims into its cell of the page."""
    path = folder / PAGE
    page = json.loads(path.read_text(encoding="utf-8"))
    (cell,) = (cell for cell in page["cells"] if cell["id"] == CELL)
    cell["source"] = whole_table(folder).splitlines(keepends=True)
    text = json.dumps(page, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
