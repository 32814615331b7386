"""`FactCheck`: look claims up by their words and verdicts, and run the experiment of each."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import torch
from IPython.display import display
from IPython.utils.capture import capture_output

from gradwidgets.components import Choice, LoopScheduler, StaticFallback
from gradwidgets.core import Control, not_allowed
from gradwidgets.lessons.claims import (
    FILE,
    VERDICTS,
    Claim,
    Experiment,
    read_cells,
    read_claims,
    source_of,
)
from gradwidgets.lessons.needed_cells import needed_cells
from gradwidgets.lessons.predict import LINE
from gradwidgets.lessons.table import unbroken
from gradwidgets_notebooks import course_folder

ALL = "all"
WRAPPED = {"flex_flow": "row wrap"}
"""The layout of what stands side by side: one below the other where that is too narrow."""
LAST = "_"
"""The variable that holds the value of a cell's last line, as at a prompt."""


class FactCheck(StaticFallback):
    """All claims, with a field for words and a list of verdicts to look them up by.

    Each claim that is found has a button that runs its experiment and shows what it says.

    Args:
        folder: where the lessons are; None looks here, and takes those of the package otherwise.

    Raises:
        FileNotFoundError: there are no claims in the folder.
        ValueError: the file of the claims or a lesson is damaged; names it.

    Attributes:
        claims: all of them, in the order of the tutorials.
        words, verdict: the two fields.

    >>> import json
    >>> sources = {"000": {"title": "On adding", "file": "adding.txt"}}
    >>> claim = {"id": "000-01", "quote": "It adds.", "verdict": "true", "truth": "It does."}
    >>> _ = Path("claims.json").write_text(json.dumps({"sources": sources, "claims": [claim]}))
    >>> [claim.id for claim in FactCheck().find("adds", verdict="true")]
    ['000-01']
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = _lessons() if folder is None else Path(folder)
        self._in_working_folder = self.folder.resolve() == Path().resolve()  # so that links lead on
        self.claims = read_claims(self.folder)
        self.words = ipywidgets.Text(description="words", continuous_update=True)
        self.verdict = Choice(Control("verdict", "Run", "", (ALL, *VERDICTS), slider=False), ALL)
        self._count = ipywidgets.HTML()
        self._rows: dict[str, _Row] = {}
        self._found = ipywidgets.VBox()
        fields = ipywidgets.HBox([self.words, self.verdict], layout=WRAPPED)
        self.widget = ipywidgets.VBox([fields, self._count, self._found])
        self._scheduler = LoopScheduler()
        for field in (self.words, self.verdict):
            field.observe(lambda _: self._show(), "value")
        self._show()

    def count(self, verdict: str) -> int:
        """The number of claims that have this verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)

    def find(self, words: str = "", verdict: str = ALL) -> list[Claim]:
        """The claims of this verdict that hold all of these words, each as a whole word.

        How a name is written makes no difference: "BatchNorm" is "batchnorm" and "batch norm".
        """
        wanted = [_pattern(word) for word in words.split()]
        return [
            claim
            for claim in self.claims
            if verdict in (ALL, claim.verdict) and all(map(_holds(claim), wanted))
        ]

    def run(self, claim_id: str) -> None:
        """Run the experiment of a claim, in a namespace of its own, and show what it puts out.

        It is the cells of a lesson that settle the claim, after those that they need.

        Raises:
            ValueError: there is no claim of that id, or no lesson settles it.
        """
        known = {claim.id: claim for claim in self.claims}
        claim = known.get(claim_id)
        if claim is None or claim.experiment is None:
            raise not_allowed("claim_id", claim_id, 'the id of a claim, such as "000-11"')
        lines = textwrap.TextWrapper(LINE, subsequent_indent="  ", break_on_hyphens=False)
        for text in (claim.said, f"{claim.verdict}: {claim.truth}", ""):
            print(lines.fill(text))  # noqa: T201, a cell's output
        self._run_experiment(claim.experiment)

    def _run_experiment(self, experiment: Experiment) -> None:
        print(f'From the lesson "{experiment.title}":\n')  # noqa: T201
        _run_cells(self.folder / experiment.notebook, experiment.cells)

    def _show(self) -> None:
        found = self.find(self.words.value, self.verdict.value)
        everything = len(found) == len(self.claims)
        told = ". Type words, choose a verdict, or read them all below." if everything else ""
        self._count.value = f"{len(found)} of {len(self.claims)} claims{told}"
        self._found.children = () if everything else [self._row(claim).widget for claim in found]

    def _row(self, claim: Claim) -> _Row:
        if claim.id not in self._rows:
            place = claim.place if self._in_working_folder else claim.id
            self._rows[claim.id] = _Row(claim, place, self._run_experiment, self._scheduler)
        return self._rows[claim.id]

    def __repr__(self) -> str:
        return f"{len(self.claims)} claims, in the table below."


class _Row:
    """One claim, and the button that runs its experiment below it."""

    def __init__(
        self, claim: Claim, place: str, run: Callable[[Experiment], None], scheduler: LoopScheduler
    ) -> None:
        self._experiment, self._run, self._scheduler = claim.experiment, run, scheduler
        self._running = False
        text = f"{claim.said}\n\n**{claim.verdict}**: {claim.truth} {place}"
        said = ipywidgets.Output(layout={"flex": "1 1 20rem", "min_width": "0"})
        said.outputs = (_output("text/markdown", text),)
        button = ipywidgets.Button(
            description=f"Run {claim.id}",
            icon="play",
            layout={"flex": "none"},
            disabled=not claim.experiment,
        )
        button.on_click(self._clicked)
        self._result = ipywidgets.Output()
        row = ipywidgets.HBox([said, button], layout=WRAPPED)
        self.widget = ipywidgets.VBox([row, self._result])

    def _clicked(self, _: ipywidgets.Button) -> None:
        if self._experiment and not self._running:
            self._running = True
            words = "Running. It may take some seconds."
            self._result.outputs = (_output("text/plain", words),)
            self._scheduler.soon(self._show_result)

    def _show_result(self) -> None:
        assert self._experiment is not None
        try:
            with capture_output() as said:
                self._run(self._experiment)
            self._result.outputs = (_unbroken(said.stdout.rstrip()), *map(_displayed, said.outputs))
        except Exception as error:  # a lesson may be damaged, or edited by the learner
            words = f"The experiment failed: {type(error).__name__}: {error}"
            self._result.outputs = (_output("text/plain", words),)
        finally:
            self._running = False


def _output(kind: str, text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {kind: text}, "metadata": {}}


def _unbroken(text: str) -> dict[str, Any]:
    """A text whose lines are not broken, and which can be read without HTML, too."""
    output = _output("text/html", unbroken(text))
    output["data"]["text/plain"] = text
    return output


def _displayed(output: Any) -> dict[str, Any]:
    if set(output.data) == {"text/plain"}:
        return _unbroken(output.data["text/plain"])
    return {"output_type": "display_data", "data": output.data, "metadata": output.metadata}


def _holds(claim: Claim) -> Callable[[re.Pattern[str]], re.Match[str] | None]:
    text = f"{claim.id} {claim.quote} {claim.truth}"
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    plain = re.sub(r"[\W_]+", " ", apart).lower()
    return lambda pattern: pattern.search(plain)


def _pattern(word: str) -> re.Pattern[str]:
    """Finds a word as a whole in plain text, whatever stands between its parts."""
    letters = re.sub(r"[\W_]+", "", word.lower())
    return re.compile(rf"(?<!\S){' ?'.join(letters)}(?!\S)" if letters else "")


def _lessons() -> Path:
    """The lessons that lie here; else those that came with the package."""
    return Path() if Path(FILE).exists() else course_folder()


def _run_cells(path: Path, shown: Sequence[str]) -> None:
    """Run the cells `shown` of a notebook after those that they need; only they say something."""
    space: dict[str, Any] = {"__name__": "__main__"}
    with _same_settings():
        for cell in needed_cells(read_cells(path), shown):
            name = f"<{path.stem} {cell['id']}>"
            if cell["id"] in shown:
                run_cell(source_of(cell), name, space)
                continue
            with capture_output():
                run_cell(source_of(cell), name, space)
            plt.close("all")


@contextmanager
def _same_settings() -> Iterator[None]:
    """Leave torch's random numbers and its default dtype as they were."""
    dtype = torch.get_default_dtype()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_default_dtype(dtype)


def run_cell(source: str, name: str, space: dict[str, Any]) -> None:
    """Run a cell and display the value of its last line, as a notebook does."""
    tree = ast.parse(source)
    if isinstance(last := tree.body[-1], ast.Expr):
        value = ast.Assign([ast.Name(LAST, ast.Store())], last.value)
        tree.body[-1] = ast.fix_missing_locations(ast.copy_location(value, last))
    exec(compile(tree, name, "exec"), space)
    if isinstance(last, ast.Expr) and (shown := space.pop(LAST)) is not None:
        display(shown)  # type: ignore[no-untyped-call]
