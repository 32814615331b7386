"""`GradLab`: controls, a training loop that reruns under the hand, and its picture."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets

from gradwidgets.core import problems
from gradwidgets.core.history import History
from gradwidgets.core.problem import Problem
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.rules import refuse
from gradwidgets.core.script import script, script_lines
from gradwidgets.core.script_text import Line
from gradwidgets.core.training import Run
from gradwidgets.widgets.closing import close
from gradwidgets.widgets.controls import Controls
from gradwidgets.widgets.listing import Listing
from gradwidgets.widgets.picture import Picture
from gradwidgets.widgets.rerun import Rerun
from gradwidgets.widgets.results import Results
from gradwidgets.widgets.toolbar import toolbar
from gradwidgets.widgets.words import lab_line

SHOW = ("scale", "mask", "l2", "accumulation_steps", "optimizer", "lr")
LONG_RUN = 0.5
"""A run that takes more seconds than this shows its progress."""
FRAME = 0.12
"""Seconds between two pictures of a run that is under way; more would only delay its end."""


class GradLab:
    """A problem, its controls, and what training makes of them, at once.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        show: the settings to give controls to: fields of `Recipe`, or "momentum", "weight_decay".
        recipe: where the controls start, and what `compare` compares with; None takes the
            problem's own.
        compare: draw the starting recipe beside the one in hand, on the same seed and batches.
        panels: what the picture shows, such as ("loss", "weights"); None chooses for the problem.
        size: (width, height) of the picture in pixels.

    Raises:
        ValueError: an argument is not usable; names it and what would be right.

    Attributes:
        followers: called after each change of `recipe`, and must return at once.
    """

    def __init__(
        self,
        problem: str | Problem = "moons",
        show: Sequence[str] = SHOW,
        recipe: Recipe | None = None,
        compare: bool = True,
        panels: Sequence[str] | None = None,
        size: tuple[int, int] = (1100, 320),
    ) -> None:
        self.problem = problems.get(problem)
        self._start = self._recipe = recipe or self.problem.recipe
        self._compare = compare
        self.followers: list[Callable[[], object]] = []
        self._drawn_at = self._asked_at = 0.0
        self._in_hand = self._shown_text = ""
        self._controls = Controls(show, self._recipe, self._changed)
        self.controls = self._controls.widgets
        self._picture = Picture(self.problem, panels, size, self.cancel)
        self._screen = self._picture.screen
        self._screen.observe(lambda _: self._rerun.soon(self._draw), "dark")
        self._listing = Listing()
        self._results = Results(self.problem)
        self._rerun: Rerun = Rerun(self._next_run, self._results, self._progressed, self._settled)
        rows = [self._controls.layout(), self._screen, toolbar(self, self._rerun.soon)]
        self.widget = ipywidgets.VBox([*rows, self._listing])
        self._rerun.finish()

    @property
    def recipe(self) -> Recipe:
        """The settings in hand. Setting it moves the controls and trains."""
        return self._recipe

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        self._controls.set(recipe)
        self._recipe = recipe
        self._request()

    @property
    def history(self) -> History:
        """What the settings in hand lead to: `run()`."""
        return self.run()

    @property
    def baseline(self) -> History | None:
        """What the starting settings lead to on the same seed, batches and number of updates."""
        self._rerun.finish()
        return self._results.history(self._wanted[-1]) if self._compare else None

    @property
    def summary(self) -> str:
        """The sentence under the picture."""
        self._rerun.finish()
        return str(self._screen.sentence)

    @property
    def picture(self) -> bytes:
        """The picture, as PNG."""
        self._rerun.finish()
        return bytes(self._screen.png)

    def run(self) -> History:
        """Train the settings in hand, if that has not been done, and return their history.

        Raises:
            TrainingError: the model, the loss or the optimizer failed.
        """
        self._rerun.finish()
        if error := self._results.error(self._recipe):
            raise error
        history = self._results.history(self._recipe)
        assert history is not None
        return history

    def cancel(self) -> None:
        """End the run under way; what it has done so far is shown."""
        self._rerun.cancel()

    def reset(self) -> None:
        """Back to the starting settings."""
        self.recipe = self._start

    def pin(self, label: str = "") -> None:
        """Keep the present curve on the picture, under a name."""
        self._picture.pin(self.run(), label)
        self._draw()

    def unpin(self) -> None:
        """Take all pinned curves away."""
        self._picture.unpin()
        self._draw()

    def script(self) -> str:
        """The settings in hand as a plain PyTorch program."""
        return script(self.problem, self._recipe)

    def share(self) -> str:
        """One line of Python that gives this lab, seed included."""
        return lab_line(self.problem, self._recipe, tuple(self.controls), SHOW)

    def save(self, path: str | Path) -> None:
        """Write the picture (.png) or the numbers (.csv).

        Raises:
            ValueError: the path ends otherwise.
        """
        Path(path).write_bytes(self._file(Path(path).suffix))

    def download(self, suffix: str) -> None:
        """Hand the picture (".png") or the numbers (".csv") to the browser.

        Raises:
            ValueError: the suffix is another.
        """
        self._screen.download(self.problem.name + suffix, self._file(suffix))

    def _file(self, suffix: str) -> bytes:
        if suffix not in (".png", ".csv"):
            raise refuse("suffix", suffix, "'.png' or '.csv'")
        return self.picture if suffix == ".png" else self.run().to_csv().encode()

    def toggle(self, text: str) -> None:
        """Show "code" or the line to "share" under the lab, or hide it again."""
        self._shown_text = "" if self._shown_text == text else text
        self._rerun.finish()
        self._list()

    def close(self) -> None:
        """Stop training and remove every widget."""
        self._rerun.stop()
        close(self.widget)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """The live lab; where no widgets can live, its picture and its sentence."""
        bundle: dict[str, Any] = dict(self.widget._repr_mimebundle_(**kwargs) or {})
        bundle["text/plain"] = self.summary
        bundle["image/png"] = base64.b64encode(self._picture.still()).decode()
        return bundle

    @property
    def _wanted(self) -> list[Recipe]:
        """The recipe in hand, then the start on what must be equal for a fair comparison."""
        now = self._recipe
        fair = {"seed": now.seed, "batch_size": now.batch_size, "updates": now.updates}
        return [now, *([self._start.replace(**fair)] if self._compare else [])]

    def _changed(self, name: str) -> None:
        """The learner moved a control."""
        self._in_hand = name
        try:
            self._recipe = self._controls.recipe()
        except ValueError as error:
            self._screen.sentence = str(error)
        else:
            self._request()

    def _request(self) -> None:
        self._results.forget()
        self._asked_at = self._drawn_at = time.monotonic()
        self._rerun.request()
        for changed in self.followers:
            changed()

    def _next_run(self) -> Run | None:
        return self._results.next_run(self._wanted)

    def _progressed(self, run: Run) -> None:
        now = time.monotonic()
        if now - self._asked_at > LONG_RUN:
            self._screen.progress = len(run.losses) / run.recipe.updates
        if now - self._drawn_at > FRAME and run.recipe == self._recipe:
            self._draw(run.history())

    def _settled(self) -> None:
        self._screen.progress = -1.0
        self._draw()
        self._list()

    def _list(self) -> None:
        """Show the program or the line to share, if the learner asked for one."""
        if self._shown_text == "code":
            lines = script_lines(self.problem, self._recipe)
            self._listing.show("the lab as a plain PyTorch program", lines, self._in_hand)
        elif self._shown_text == "share":
            self._listing.show("one line that gives this lab", [Line(self.share())])
        else:
            self._listing.hide()

    def _draw(self, live: History | None = None) -> None:
        live = live or self._results.history(self._recipe)
        baseline = self._results.history(self._wanted[-1]) if self._compare else None
        self._picture.draw(live, baseline, self._results.error(self._recipe))
        self._drawn_at = time.monotonic()
