"""`GradLab`: controls, a training loop that runs again at each change, and its picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets

from gradwidgets.components import (
    Action,
    Buttons,
    LoopScheduler,
    Slider,
    StaticFallback,
    StaticView,
    close,
)
from gradwidgets.core import History, Problem, Recipe, not_allowed, patience_of, problems
from gradwidgets.export import MOST_RUNS, save_page
from gradwidgets.lab.controls import Controls
from gradwidgets.lab.picture import Picture
from gradwidgets.lab.screen import Listing, Screen
from gradwidgets.lab.work import LabWork, Stage
from gradwidgets.plots import suited
from gradwidgets.script import Line, script, script_lines

PANELS_OF = {
    "lr": frozenset({"schedule", "schedule_options", "warmup_steps", "schedule_per", "groups"}),
    "lost": frozenset({"dtype", "rounding"}),
}
"""Panels that belong to settings: a lab that shows or has one of these shows the panel."""
SHOW = ("scale", "mask", "l2", "accumulation_steps", "optimizer", "lr")


class GradLab(StaticFallback):
    """A problem, its controls, and what training makes of them, at once.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        show: the settings to give controls to: fields of `Recipe`, "momentum", "weight_decay", or
            those of the recipe's groups, such as "groups[*bias].lr" and "groups[0.*].frozen_until".
        recipe: where the controls start, and what `compare` compares with; None takes the
            problem's own.
        compare: draw the starting recipe beside the present one, on the same seed and number of
            updates.
        panels: what the picture shows, such as ("loss", "weights"); None chooses for the problem,
            and shows the learning rate if it can change or there are parameter groups, and the
            steps that rounding loses if the precision can change.
        size: (width, height) of the picture in pixels.
        look_ahead: train what may be asked for next while nothing happens: what takes at most
            10 ms an update and 256 MB of memory; fewer stops, or none, where a model needs more.
            Many learners on one machine may want to do without.
        text_scale: factor on the picture's type and lines; 1.6 is legible from the last row.

    Raises:
        ValueError: an argument is not usable; names it and what would be right.

    Attributes:
        start: the recipe that `compare` compares with, and `reset()` goes back to.
        controls: the widget of each setting, by name.
        followers: called after each change of `recipe`, and must return at once.

    >>> lab = GradLab("moons", recipe=Recipe(lr=0.5, updates=50))
    >>> lab.controls["scale"].value = 2.0
    >>> lab.recipe
    Recipe(lr=0.5, scale=2.0, updates=50)
    >>> lab.history.updates
    50
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
        if "patience" in show:
            patience_of(self.problem, start.replace(patience=start.patience or 1))
        self.followers: list[Callable[[], object]] = []
        self._last_moved = self._listed = ""
        self._scheduler = scheduler = LoopScheduler()
        soon = scheduler.soon
        self._controls = Controls(
            show,
            start,
            lambda name: soon(partial(self._moved, name)),
            lambda name: soon(partial(self._work.activate, name)),
        )
        self.controls = self._controls.widgets
        self._screen = Screen(lambda said: soon(partial(self._heard, said)))
        self._screen.observe(lambda _: soon(self._work.redraw), ["dark", "narrow"])
        named = {*self.controls, *start.changes()}
        extra = [panel for panel, names in PANELS_OF.items() if names & named]
        self._panels = tuple(panels or suited(self.problem, extra))
        self._picture = Picture(self.problem, self._panels, size, self._screen, text_scale)
        self._listing = Listing(lambda: soon(self._close_listing))
        ahead = self._controls if look_ahead else None
        self._work: LabWork = LabWork(
            self.problem, start, compare, self._picture, ahead, scheduler, self._list
        )
        rows = [self._controls.layout(), self._screen, Buttons(self._buttons(), soon)]
        self.widget = ipywidgets.VBox([*rows, self._listing])
        with scheduler.now():
            self._work.request(start)
        self._work.show()

    @property
    def recipe(self) -> Recipe:
        """The present settings. Setting it moves the controls and trains."""
        with self._scheduler.now():
            return self._work.recipe

    @recipe.setter
    def recipe(self, recipe: Recipe) -> None:
        with self._scheduler.now():
            self._controls.set(recipe)
            self._request(recipe)

    @property
    def settled(self) -> bool:
        """True if the outcome of the present settings is known, or has failed."""
        with self._scheduler.now():
            return self._work.settled

    @property
    def history(self) -> History:
        """The history of the present settings: `run()`."""
        return self.run()

    @property
    def baseline(self) -> History | None:
        """The history of the starting settings on the same seed and number of updates."""
        self._work.finish()
        with self._scheduler.now():
            return self._work.baseline

    @property
    def summary(self) -> str:
        """The sentence under the picture."""
        self._work.finish()
        return str(self._screen.sentence)

    @property
    def picture(self) -> bytes:
        """The picture, as PNG."""
        self._work.finish()
        return bytes(self._screen.png)

    def run(self) -> History:
        """Train the present settings, if that has not been done, and return their history.

        Raises:
            TrainingError: the model, the loss or the optimizer failed.
        """
        return self._work.answer()

    def wait(self, timeout: float | None = None, *, prefetched: bool = False) -> bool:
        """Block until everything requested, bands included, is trained and drawn.

        The work is done right here, so it may be called in a cell, on any thread, and where no
        event loop runs.

        Args:
            timeout: give up after about so many seconds; the work goes on. None never gives up.
            prefetched: wait for what is prepared for the next moves, too.

        Returns:
            Whether all is there.
        """
        stage = Stage.ALL if prefetched else Stage.BANDS
        return self._work.finish(stage, math.inf if timeout is None else timeout)

    def seeds(self) -> None:
        """Draw the middle half of ten seeds behind each run, so that noise shows, or hide it."""
        with self._scheduler.now():
            self._work.toggle_bands()

    def cancel(self) -> None:
        """End what is being trained, the baseline as well; what there is of it is shown.

        An update that has begun is made to its end.
        """
        self._scheduler.soon(self._work.cancel)

    def reset(self) -> None:
        """Back to the starting settings."""
        self.recipe = self.start

    def pin(self, label: str = "") -> None:
        """Keep the present curve on the picture, under a name.

        Without one it is named by the settings that differ from the start, such as "scale 6.3".
        """
        history = self.run()
        with self._scheduler.now():
            self._picture.pin(history, label, self.start)
            self._work.redraw()

    def unpin(self) -> None:
        """Take all pinned curves away."""
        with self._scheduler.now():
            self._picture.unpin()
            self._work.redraw()

    def script(self) -> str:
        """The present settings as a plain PyTorch program."""
        return script(self.problem, self.recipe)

    def share(self) -> str:
        """One line of Python that gives this lab, seed included."""
        return lab_line(self.problem, self.recipe, tuple(self.controls))

    def save(self, path: str | Path) -> None:
        """Write the picture with its settings (.png) or the numbers (.csv).

        Raises:
            ValueError: the path ends otherwise.
        """
        Path(path).write_bytes(self._file(Path(path).suffix))

    def save_page(
        self,
        path: str | Path,
        *fields: str,
        values: Sequence[Any] | None = None,
        most: int = MOST_RUNS,
    ) -> Path:
        """Write the lab as one HTML file whose sliders need neither a kernel nor a network.

        Args:
            path: the file.
            fields: the settings that can be changed on the page; without any, those of the lab.
            values: what the first of them takes; None takes all its stops.
            most: about so many combinations of several settings are trained. Each slider has all
                its stops while the others stand as they stand now.

        Raises:
            ValueError: a setting has no control, or a value is not allowed.
        """
        return save_page(
            self.problem,
            self.recipe,
            self.baseline,
            path,
            fields or tuple(self.controls),
            values,
            self._panels,
            most,
        )

    def download(self, suffix: str) -> None:
        """Hand the picture with its settings (".png") or the numbers (".csv") to the browser.

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
        if suffix == ".csv":
            return self.run().to_csv().encode()
        self._work.finish()
        with self._scheduler.now():
            return self._picture.captioned()

    def toggle(self, text: str) -> None:
        """Show "code" or the line to "share" under the lab, or hide it again."""
        self._work.finish()
        with self._scheduler.now():
            self._listed = "" if self._listed == text else text
            self._list()

    def close(self) -> None:
        """Stop training and remove every widget."""
        with self._scheduler.now():
            self._work.stop()
            self._screen.forget()
            close(self.widget)
            self._picture.release()

    def __repr__(self) -> str:
        """The sentence under the picture, for the training done so far."""
        return str(self._screen.sentence or self._screen.alt)

    def static_view(self) -> StaticView:
        """The sentence and the picture, for the training done so far."""
        self._work.show()
        with self._scheduler.now():
            return StaticView(repr(self), self._picture.still(), str(self._screen.alt))

    def _moved(self, name: str) -> None:
        """Train what the controls ask for, after one of them has moved."""
        self._controls.enable()
        slider = self._controls.slider(name)
        try:
            recipe = self._controls.recipe()
        except ValueError as error:
            self._work.decline(str(error), slider)
            return
        if not self._work.has_taken_up(recipe, slider):
            self._last_moved = name
            self._work.activate(name)
            self._request(recipe, slider)

    def _request(self, recipe: Recipe, slider: Slider | None = None) -> None:
        self._work.request(recipe, slider)
        for follower in self.followers:
            follower()

    def _heard(self, said: str) -> None:
        """Do what the screen has said."""
        work = self._work
        {"cancel": work.cancel, "shown": work.view_came, "gone": work.view_went}[said]()

    def _close_listing(self) -> None:
        self._listed = ""
        self._list()

    def _list(self) -> None:
        """Show the program or the line to share, if the learner asked for one."""
        if self._listed == "code":
            try:
                lines = script_lines(self.problem, self.recipe)
            except ValueError as error:  # a model, or an edit of it, that no program is written for
                lines = [Line(f"# {error}")]
            moved = self._last_moved.partition("[")[0]  # of a group's setting: the groups
            self._listing.show("This lab as a plain PyTorch program", lines, moved)
        elif self._listed == "share":
            self._listing.show("One line that gives this lab", [Line(self.share())])
        else:
            self._listing.hide()


def lab_line(problem: Problem, recipe: Recipe, show: tuple[str, ...]) -> str:
    """One line of Python that gives a lab; a problem of the learner's own is called `problem`."""
    name = repr(problem.name) if problems.is_built_in(problem) else "problem"
    controls = "" if show == SHOW else f", show={show!r}"
    return f"GradLab({name}{controls}, recipe={recipe!r})"
