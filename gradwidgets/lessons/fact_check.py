"""`FactCheck`: look claims up by their words and verdicts, and run the experiment of each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
from IPython.utils.capture import capture_output

from gradwidgets.components import StaticFallback
from gradwidgets.core import not_allowed
from gradwidgets.lessons.claim_table import rows
from gradwidgets.lessons.claims import (
    VERDICTS,
    Claim,
    code_cells,
    lessons_folder,
    read_claims,
    source_of,
)
from gradwidgets.lessons.outcome import WIDTH

ALL = "all"


class FactCheck(StaticFallback):
    """All claims, with a field for words and a list of verdicts to look them up by.

    Args:
        folder: where the lessons are; None looks here and in `notebooks`.

    Raises:
        FileNotFoundError: there are no claims.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = lessons_folder() if folder is None else Path(folder)
        self.claims = read_claims(self.folder)
        self.words = ipywidgets.Text(description="words", continuous_update=True)
        self.verdict = ipywidgets.Dropdown(description="verdict", options=(ALL, *VERDICTS))
        self._table = ipywidgets.Output()
        fields = ipywidgets.HBox([self.words, self.verdict])
        self.widget = ipywidgets.VBox([fields, self._table])
        for field in (self.words, self.verdict):
            field.observe(lambda _: self._show(), "value")
        self._show()

    def count(self, verdict: str) -> int:
        """How many claims have this verdict."""
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
        known = {claim.id: claim for claim in self.claims if claim.experiment}
        if claim_id not in known:
            raise not_allowed("claim_id", claim_id, 'the id of a claim, such as "000-11"')
        claim = known[claim_id]
        assert claim.experiment
        judged = textwrap.fill(f"{claim.verdict}: {claim.truth}", WIDTH, subsequent_indent="  ")
        print(f"{claim.claim}\n{judged}\n")  # noqa: T201, a cell's output, as its experiment's is
        print(f'From the lesson "{claim.experiment.title}":\n')  # noqa: T201
        run_cells(self.folder / claim.experiment.notebook, claim.experiment.cells)

    def _show(self) -> None:
        words, verdict = self.words.value, self.verdict.value
        found = self.find(words, verdict)
        text = f"{len(found)} of {len(self.claims)} claims"
        if len(found) == len(self.claims):
            text += ". Type words, choose a verdict, or read them all below."
        elif found:
            text += f"\n\n{rows(found)}"
        output = {"output_type": "display_data", "data": {"text/markdown": text}, "metadata": {}}
        self._table.outputs = (output,)

    def __repr__(self) -> str:
        return f"{len(self.claims)} claims, in the table below."


def run_cells(path: Path, shown: Sequence[str]) -> None:
    """Run a notebook's code cells up to the last of the ids `shown`; only those say something."""
    space = {"__name__": "__main__"}
    missing = list(shown)
    for cell in code_cells(path):
        if not missing:
            return
        code = compile(source_of(cell), f"<{path.stem} {cell['id']}>", "exec")
        if cell["id"] in missing:
            missing.remove(cell["id"])
            exec(code, space)
            continue
        with capture_output():
            exec(code, space)
            plt.close("all")
