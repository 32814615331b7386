"""`GradLab`: controls, a training loop that reruns under the hand, and its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets

from gradwidgets.components import Slider, StaticFallback, StaticView, close
from gradwidgets.core import History, Problem, Recipe, not_allowed, problems
from gradwidgets.export import save_page
from gradwidgets.lab.controls import Controls
from gradwidgets.lab.listing import Listing
from gradwidgets.lab.picture import Picture
from gradwidgets.lab.toolbar import Action, toolbar
from gradwidgets.lab.words import lab_line
from gradwidgets.lab.work import PATIENCE, LabWork
from gradwidgets.script import Line, script, script_lines

SHOW = ("scale", "mask", "l2", "accumulation_steps", "optimizer", "lr")


class GradLab(StaticFallback):
    """A problem, its controls, and what training makes of them, at once.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        show: the settings to give controls to: fields of `Recipe`, or "momentum", "weight_decay".
        recipe: where the controls start, and what `compare` compares with; None takes the
            problem's own.
        compare: draw the starting recipe beside the one in hand, on the same seed and batches.
        panels: what the picture shows, such as ("loss", "weights"); None chooses for the problem.
        size: (width, height) of the picture in pixels.
        look_ahead: train what may be asked for next while nothing happens. Many learners on one
            machine may want to do without.
        text_scale: factor on the picture's type and lines; 1.6 is legible from the last row.

    Raises:
        ValueError: an argument is not usable; names it and what would be right.

    Attributes:
        start: the recipe that `compare` compares with, and `reset()` goes back to.
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
        look_ahead: bool = True,
        text_scale: float = 1.0,
    ) -> None:
        self.problem = problems.get(problem)
        self.start = start = recipe or self.problem.recipe
        self.followers: list[Callable[[], object]] = []
        self._in_hand = self._shown_text = ""
        self._controls = Controls(show, start, self._changed, self._touched)
        self.controls = self._controls.widgets
        self._picture = Picture(self.problem, panels, size, self.cancel, text_scale)
        self._screen = self._picture.screen
        self._listing = Listing()
        ahead = self._controls if look_ahead else None
        self._work = LabWork(self.problem, start, compare, self._picture, ahead, self._list)
        self._screen.observe(lambda _: self._work.soon(self._work.redraw), "dark")
        rows = [self._controls.layout(), self._screen, toolbar(self._buttons(), self._work.soon)]
        self.widget = ipywidgets.VBox([*rows, self._listing])
        self._work.rerun.finish(PATIENCE)

    @property
    def recipe(self) -> Recipe:
        """The settings in hand. Setting it moves the controls and trains."""
        return self._work.recipe

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        self._controls.set(recipe)
        self._request(recipe)

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to train for the settings in hand."""
        return self._work.settled

    @property
    def history(self) -> History:
        """What the settings in hand lead to: `run()`."""
        return self.run()

    @property
    def baseline(self) -> History | None:
        """What the starting settings lead to on the same seed, batches and number of updates."""
        self._work.rerun.finish()
        return self._work.baseline

    @property
    def summary(self) -> str:
        """The sentence under the picture."""
        self._work.rerun.finish()
        return str(self._screen.sentence)

    @property
    def picture(self) -> bytes:
        """The picture, as PNG."""
        self._work.rerun.finish()
        return bytes(self._screen.png)

    def run(self) -> History:
        """Train the settings in hand, if that has not been done, and return their history.

        Raises:
            TrainingError: the model, the loss or the optimizer failed.
        """
        self._work.rerun.finish()
        if error := self._work.results.error(self.recipe):
            raise error
        history = self._work.results.history(self.recipe)
        assert history is not None
        return history

    def seeds(self) -> None:
        """Draw the middle half of ten seeds behind each run, so that noise shows; or no more."""
        self._work.bands = not self._work.bands

    def cancel(self) -> None:
        """End the run under way; what it has done so far is shown."""
        self._work.rerun.cancel()

    def reset(self) -> None:
        """Back to the starting settings."""
        self.recipe = self.start

    def pin(self, label: str = "") -> None:
        """Keep the present curve on the picture, under a name."""
        self._picture.pin(self.run(), label)
        self._work.redraw()

    def unpin(self) -> None:
        """Take all pinned curves away."""
        self._picture.unpin()
        self._work.redraw()

    def script(self) -> str:
        """The settings in hand as a plain PyTorch program."""
        return script(self.problem, self.recipe)

    def share(self) -> str:
        """One line of Python that gives this lab, seed included."""
        return lab_line(self.problem, self.recipe, tuple(self.controls), SHOW)

    def save(self, path: str | Path) -> None:
        """Write the picture (.png) or the numbers (.csv).

        Raises:
            ValueError: the path ends otherwise.
        """
        Path(path).write_bytes(self._file(Path(path).suffix))

    def save_page(
        self,
        path: str | Path,
        field: str,
        other: str | None = None,
        values: Sequence[Any] | None = None,
    ) -> Path:
        """Write the lab as one HTML file whose slider over `field` needs no kernel: see `saving`.

        Raises:
            ValueError: a setting has no control, or a value is not allowed.
        """
        return save_page(self.problem, self.recipe, self.baseline, path, field, other, values)

    def download(self, suffix: str) -> None:
        """Hand the picture (".png") or the numbers (".csv") to the browser.

        Raises:
            ValueError: the suffix is another.
        """
        self._screen.download(self.problem.name + suffix, self._file(suffix))

    def _buttons(self) -> list[tuple[str, str, Action]]:
        return [
            ("Reset", "Back to the starting settings", self.reset),
            ("Pin", "Keep the present curve on the picture", self.pin),
            ("Unpin", "Take all pinned curves away", self.unpin),
            ("10 seeds", "Draw the middle half of ten seeds behind each run", self.seeds),
            ("Code", "The lab as a plain PyTorch program", lambda: self.toggle("code")),
            ("Share", "One line of Python that gives this lab", lambda: self.toggle("share")),
            ("Save picture", "Download the picture as PNG", lambda: self.download(".png")),
            ("Save numbers", "Download a table as CSV", lambda: self.download(".csv")),
        ]

    def _file(self, suffix: str) -> bytes:
        if suffix not in (".png", ".csv"):
            raise not_allowed("suffix", suffix, "'.png' or '.csv'")
        return self.picture if suffix == ".png" else self.run().to_csv().encode()

    def toggle(self, text: str) -> None:
        """Show "code" or the line to "share" under the lab, or hide it again."""
        self._shown_text = "" if self._shown_text == text else text
        self._work.rerun.finish()
        self._list()

    def close(self) -> None:
        """Stop training and remove every widget."""
        self._work.stop()
        self._screen.forget()
        close(self.widget)
        self._picture.release()

    def __repr__(self) -> str:
        """The sentence under the picture, as far as training has come."""
        return str(self._screen.sentence or self._screen.alt)

    def static_view(self) -> StaticView:
        self._work.rerun.finish(PATIENCE)
        return StaticView(repr(self), self._picture.still(), str(self._screen.alt))

    def _changed(self, name: str) -> None:
        """The learner moved a control."""
        self._in_hand = name
        slider = self._controls.slider(name)
        try:
            recipe = self._controls.recipe()
        except ValueError as error:
            self._work.refuse(str(error), slider)
            return
        if not self._work.answers(recipe, slider):
            self._touched(name)
            self._request(recipe, slider)

    def _touched(self, name: str) -> None:
        """The learner has a control in hand."""
        if self._controls.slider(name):
            self._work.look_ahead(name)

    def _request(self, recipe: Recipe, slider: Slider | None = None) -> None:
        self._work.request(recipe, slider)
        for changed in self.followers:
            changed()

    def _list(self) -> None:
        """Show the program or the line to share, if the learner asked for one."""
        if self._shown_text == "code":
            lines = script_lines(self.problem, self.recipe)
            self._listing.show("the lab as a plain PyTorch program", lines, self._in_hand)
        elif self._shown_text == "share":
            self._listing.show("one line that gives this lab", [Line(self.share())])
        else:
            self._listing.hide()
