"""`FactCheck`: look claims up by their words and verdicts, and run the experiment of each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
from IPython.utils.capture import capture_output

from gradwidgets.components import Choice, StaticFallback
from gradwidgets.core import Control, not_allowed
from gradwidgets.lessons.claims import (
    FILE,
    VERDICTS,
    Claim,
    read_cells,
    read_claims,
    source_of,
    table_of,
)
from gradwidgets.lessons.predict import LINE

ALL = "all"


class FactCheck(StaticFallback):
    """All claims, with a field for words and a list of verdicts to look them up by.

    Args:
        folder: where the lessons are; None looks here and in `notebooks`.

    Raises:
        FileNotFoundError: there are no claims.
        ValueError: the file of the claims or a lesson is damaged; names it.

    Attributes:
        claims: all of them, in the order of the tutorials.
        words, verdict: the two fields.

    >>> import json
    >>> claims = [{"id": "000-01", "claim": "It adds.", "verdict": "true", "truth": "It does."}]
    >>> _ = Path("claims.json").write_text(json.dumps({"claims": claims}))
    >>> [claim.id for claim in FactCheck().find("adds", verdict="true")]
    ['000-01']
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = _lessons() if folder is None else Path(folder)
        self.claims = read_claims(self.folder)
        self.words = ipywidgets.Text(description="words", continuous_update=True)
        self.verdict = Choice(Control("verdict", "Run", "", (ALL, *VERDICTS), slider=False), ALL)
        self._table = ipywidgets.Output()
        fields = ipywidgets.HBox([self.words, self.verdict])
        self.widget = ipywidgets.VBox([fields, self._table])
        for field in (self.words, self.verdict):
            field.observe(lambda _: self._show(), "value")
        self._show()

    def count(self, verdict: str) -> int:
        """The number of claims that have this verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)

    def find(self, words: str = "", verdict: str = ALL) -> list[Claim]:
        """The claims of this verdict that hold all of these words."""
        wanted = words.lower().split()
        return [
            claim
            for claim in self.claims
            if verdict in (ALL, claim.verdict)
            and all(w in f"{claim.id} {claim.claim} {claim.truth}".lower() for w in wanted)
        ]

    def run(self, claim_id: str) -> None:
        """Run the experiment of a claim: its lesson from the top, in a namespace of its own.

        Only what the cells that settle the claim say is shown.

        Raises:
            ValueError: there is no claim of that id, or no lesson settles it.
        """
        known = {claim.id: claim for claim in self.claims}
        claim = known.get(claim_id)
        if claim is None or claim.experiment is None:
            raise not_allowed("claim_id", claim_id, 'the id of a claim, such as "000-11"')
        judged = textwrap.fill(f"{claim.verdict}: {claim.truth}", LINE, subsequent_indent="  ")
        print(f"{claim.claim}\n{judged}\n")  # noqa: T201, a cell's output, as its experiment's is
        print(f'From the lesson "{claim.experiment.title}":\n')  # noqa: T201
        _run_cells(self.folder / claim.experiment.notebook, claim.experiment.cells)

    def _show(self) -> None:
        found = self.find(self.words.value, self.verdict.value)
        text = f"{len(found)} of {len(self.claims)} claims"
        if len(found) == len(self.claims):
            text += ". Type words, choose a verdict, or read them all below."
        elif found:
            text += f"\n\n{table_of(found)}"
        output = {"output_type": "display_data", "data": {"text/markdown": text}, "metadata": {}}
        self._table.outputs = (output,)

    def __repr__(self) -> str:
        return f"{len(self.claims)} claims, in the table below."


def _lessons() -> Path:
    for folder in (Path(), Path("notebooks")):
        if (folder / FILE).exists():
            return folder
    raise FileNotFoundError(f"no {FILE} here; give the folder of the lessons")


def _run_cells(path: Path, shown: Sequence[str]) -> None:
    """Run a notebook's code cells up to the last of the ids `shown`; only those say something."""
    space = {"__name__": "__main__"}
    missing = list(shown)
    for cell in read_cells(path):
        if not missing:
            return
        if cell["cell_type"] != "code":
            continue
        code = compile(source_of(cell), f"<{path.stem} {cell['id']}>", "exec")
        if cell["id"] in missing:
            missing.remove(cell["id"])
            exec(code, space)
            continue
        with capture_output():
            exec(code, space)
            plt.close("all")
