"""What tutorials claim, what is true, and the cell of a lesson that settles it.

The claims stand in `claims.json` beside the lessons. Which cell settles a claim stands in the
metadata of that cell (`"gradwidgets": {"claims": [...]}`) and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradwidgets.core import OneOf, Text

FILE = "claims.json"
VERDICTS = ("true", "true if", "outdated", "false")
PAGE = "11_fact_check.ipynb"
FIRST = "00_start_here.ipynb"


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
    """A sentence of a tutorial.

    Args:
        id: the tutorial's number and the claim's, such as "000-11".
        claim: what is claimed.
        verdict: one of `VERDICTS`.
        truth: what is true.
        experiment: what settles it; None where its lesson is not in the folder.

    Raises:
        ValueError: a text is none, or the verdict none of `VERDICTS`.
    """

    id: str
    claim: str
    verdict: str
    truth: str
    experiment: Experiment | None

    def __post_init__(self) -> None:
        for name in ("id", "claim", "truth"):
            Text()(name, getattr(self, name))
        OneOf(VERDICTS)("verdict", self.verdict)


def lessons_folder() -> Path:
    """The folder of the lessons: the present one, or `notebooks` in it.

    Raises:
        FileNotFoundError: the claims are in neither.
    """
    for folder in (Path(), Path("notebooks")):
        if (folder / FILE).exists():
            return folder
    raise FileNotFoundError(f"no {FILE} here; give the folder of the lessons")


def read_claims(folder: Path) -> tuple[Claim, ...]:
    """All claims in the order of the file, with their experiments.

    Raises:
        ValueError: the file or a notebook beside it is damaged; names it.
    """
    found = experiments(folder)
    with _sound(folder / FILE) as path:
        table = json.loads(path.read_text(encoding="utf-8"))["claims"]
        return tuple(Claim(**row, experiment=found.get(row["id"])) for row in table)


def experiments(folder: Path) -> dict[str, Experiment]:
    """The experiment of each claim: cells of one lesson, the first only if no other has any.

    Cells that fold their code away, as questions do, count only if there are no others.
    """
    order = sorted(folder.glob("*.ipynb"), key=lambda path: (path.name == FIRST, path.name))
    found: dict[str, Experiment] = {}
    for path in order:
        with _sound(path):
            for claim, cells in _settling(path).items():
                found.setdefault(claim, Experiment(path.name, title_of(path), cells))
    return found


@contextmanager
def _sound(path: Path) -> Iterator[Path]:
    """What is read within may turn out not to be what such a file holds."""
    try:
        yield path
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as problem:
        raise ValueError(f"{path.name} is damaged: {problem!r}; fetch it anew") from None


def claims_of(cell: dict[str, Any]) -> list[str]:
    """The ids of the claims that a cell settles."""
    claims: list[str] = cell["metadata"].get("gradwidgets", {}).get("claims", [])
    return claims


def code_cells(path: Path) -> list[dict[str, Any]]:
    """The code cells of a notebook, in their order."""
    return [cell for cell in _cells(path) if cell["cell_type"] == "code"]


def title_of(path: Path) -> str:
    """The first line of a notebook."""
    return source_of(_cells(path)[0]).split("\n")[0].lstrip("# ")


def source_of(cell: dict[str, Any]) -> str:
    """The text of a cell."""
    return "".join(cell["source"])


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def _settling(path: Path) -> dict[str, tuple[str, ...]]:
    """The cells that settle each claim of a lesson: those that show their code, if there are."""
    shown: dict[str, tuple[str, ...]] = {}
    folded: dict[str, tuple[str, ...]] = {}
    for cell in code_cells(path):
        kind = folded if cell["metadata"].get("jupyter", {}).get("source_hidden") else shown
        for claim in claims_of(cell):
            kind[claim] = (*kind.get(claim, ()), cell["id"])
    return folded | shown
