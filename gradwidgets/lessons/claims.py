"""Sentences of tutorials, what is true, and the cells of a lesson that settle each.

The quotes stand in `claims.json` beside the lessons, with the title and file name of each tutorial;
what documentation says is told in our own words there, with the title and address of the page.
The cells that settle a claim name it in their metadata (`"gradwidgets": {"claims": [...]}`), and
nowhere else is that written.

`python -m gradwidgets.lessons.claims notebooks` writes the table of all claims into its page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradwidgets.core import validate
from gradwidgets_notebooks import FIRST

FILE = "claims.json"
VERDICTS = ("true", "true if", "outdated", "false")
PAGE = "11_fact_check.ipynb"
TABLE_CELL = "claims"
"""The id of the page's cell that holds the table."""

Cell = dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """The cells that settle a claim.

    Args:
        notebook: the file name of their lesson.
        title: the lesson's title.
        cells: the ids of the cells.
    """

    notebook: str
    title: str
    cells: tuple[str, ...]

    @property
    def link(self) -> str:
        """Opens the lesson at the first of the cells (JupyterLab), or the lesson (elsewhere)."""
        return f"{self.notebook}#cell-id={self.cells[0]}"


@dataclass(frozen=True)
class Claim:
    """A sentence of a tutorial, or what a page of documentation says.

    Args:
        id: the source's number and the claim's, such as "000-11".
        quote: the sentence, word for word; or its meaning, if `paraphrased`.
        source: the title of the tutorial or page.
        verdict: one of `VERDICTS`.
        truth: what is true, and in which context.
        experiment: what settles it; None where its lesson is not in the folder.
        paraphrased: if `quote` is in our own words.

    Raises:
        ValueError: a text is none, or the verdict none of `VERDICTS`.
    """

    id: str
    quote: str
    source: str
    verdict: str
    truth: str
    experiment: Experiment | None
    paraphrased: bool = False

    def __post_init__(self) -> None:
        for name in ("id", "quote", "source", "truth"):
            validate.Text()(name, getattr(self, name))
        validate.OneOf(VERDICTS)("verdict", self.verdict)

    @property
    def said(self) -> str:
        """The claim and where it stands; a sentence taken from there is in quotation marks."""
        if self.paraphrased:
            return f"{self.quote} ({self.source}; in our words)"
        marks = "\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"
        return f"{marks[0]}{self.quote}{marks[1]} ({self.source})"

    @property
    def place(self) -> str:
        """The id, as a link to the experiment in Markdown."""
        return f"[{self.id}]({self.experiment.link})" if self.experiment else self.id


def read_claims(folder: Path) -> tuple[Claim, ...]:
    """All claims in the order of the file, with their experiments.

    Raises:
        ValueError: the file or a lesson beside it is damaged; names it.
    """
    found = experiments(folder)
    with _naming_damaged(folder / FILE) as path:
        table = json.loads(path.read_text(encoding="utf-8"))
        titles = {number: source["title"] for number, source in table["sources"].items()}
        return tuple(
            _claim(row, titles[row["id"].split("-")[0]], found.get(row["id"]))
            for row in table["claims"]
        )


def _claim(row: dict[str, str], source: str, experiment: Experiment | None) -> Claim:
    """A claim of the file, told by its `quote` or its `paraphrase`."""
    told = dict(row)
    paraphrase = told.pop("paraphrase", None)
    if paraphrase is not None:
        told["quote"] = paraphrase
    return Claim(**told, source=source, experiment=experiment, paraphrased=paraphrase is not None)


def experiments(folder: Path) -> dict[str, Experiment]:
    """The experiment of each claim: cells of one lesson, the first only if no other has any.

    Cells that fold their code away, as questions do, count only if there are no others. Lessons
    have a number; any other notebook in the folder is the learner's own, and is not looked at.
    """
    found: dict[str, Experiment] = {}
    first = FIRST.removesuffix(".ipynb")  # also of 00_start_here_new.ipynb, beside changed work
    paths = folder.glob("[0-9][0-9]_*.ipynb")
    for path in sorted(paths, key=lambda path: (path.name.startswith(first), path.name)):
        with _naming_damaged(path):
            cells = read_cells(path)
            words = [source_of(cell) for cell in cells if cell["cell_type"] == "markdown"]
            title = words[0].split("\n")[0].lstrip("# ")
            for claim, ids in _settling(cells).items():
                found.setdefault(claim, Experiment(path.name, title, ids))
    return found


def _settling(cells: Sequence[Cell]) -> dict[str, tuple[str, ...]]:
    """The ids of the cells that settle each claim of a lesson."""
    shown: dict[str, tuple[str, ...]] = {}
    folded: dict[str, tuple[str, ...]] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            hides = cell["metadata"].get("jupyter", {}).get("source_hidden")
            kind = folded if hides else shown
            for claim in claims_of(cell):
                kind[claim] = (*kind.get(claim, ()), cell["id"])
    return folded | shown


@contextmanager
def _naming_damaged(path: Path) -> Iterator[Path]:
    """Turn whatever goes wrong with the contents of a file into a ValueError that names it."""
    try:
        yield path
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as problem:
        raise ValueError(f"{path.name} is damaged: {problem!r}; download it again") from None


def read_cells(path: Path) -> list[Cell]:
    """The cells of a notebook, in their order."""
    cells: list[Cell] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def claims_of(cell: Cell) -> list[str]:
    """The ids of the claims that a cell settles."""
    claims: list[str] = cell["metadata"].get("gradwidgets", {}).get("claims", [])
    return claims


def source_of(cell: Cell) -> str:
    """The text of a cell."""
    return "".join(cell["source"])


def table_of(claims: Sequence[Claim]) -> str:
    """The claims as a table in Markdown; the last column leads to the experiment."""
    lines = ["| what is said | verdict | what is true | experiment |", "|:--|:--|:--|:--|"]
    for claim in claims:
        said = claim.said.replace("|", "\\|")  # else it would end the cell
        verdict = claim.verdict.replace(" ", "\N{NO-BREAK SPACE}")
        lines.append(f"| {said} | **{verdict}** | {claim.truth} | {claim.place} |")
    return "\n".join(lines)


def whole_table(folder: Path) -> str:
    """The claims that have an experiment, lesson by lesson, and the sources that make them."""
    lessons: dict[tuple[str, str], list[Claim]] = {}
    for claim in read_claims(folder):
        if claim.experiment:
            lesson = claim.experiment.notebook, claim.experiment.title
            lessons.setdefault(lesson, []).append(claim)
    tables = [
        f"### {notebook[:2]} {title}\n\n{table_of(claims)}"
        for (notebook, title), claims in sorted(lessons.items())
    ]
    return "\n\n".join([*tables, f"### The sources\n\n{_sources(folder)}"])


def _sources(folder: Path) -> str:
    sources = json.loads((folder / FILE).read_text(encoding="utf-8"))["sources"]
    rows = [
        f"| {key} | {each['title']} | {each.get('file') or '<' + each['page'] + '>'} |"
        for key, each in sources.items()
    ]
    return "\n".join(["| number | title | file or page |", "|:--|:--|:--|", *rows])


def write_table(folder: Path) -> None:
    """Put the table of the claims into its cell of the page."""
    path = folder / PAGE
    page = json.loads(path.read_text(encoding="utf-8"))
    (cell,) = (cell for cell in page["cells"] if cell["id"] == TABLE_CELL)
    cell["source"] = whole_table(folder).splitlines(keepends=True)
    text = json.dumps(page, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_table(Path(sys.argv[1]))
