"""`Walkthrough`: a lab that a lecturer leads through scenes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import anywidget
import ipywidgets
import traitlets

from gradwidgets.components import StaticFallback, StaticView, close, script_of, style_of
from gradwidgets.core import Count, Number
from gradwidgets.lab import GradLab
from gradwidgets.lessons.playing import Player
from gradwidgets.lessons.scene import Scene, checked, plain, plan


class Stage(anywidget.AnyWidget):
    """Title, sentence and notes of the scene in hand, and the way to the others.

    `index` counts scenes from 0; `moved` says whether anybody has chosen one, for the page
    remembers under `name` which it was and asks for it again after a restart of the kernel.
    """

    _esm = script_of(__file__)
    _css = style_of(__file__)
    name = traitlets.Unicode().tag(sync=True)
    scenes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    moved = traitlets.Bool(False).tag(sync=True)
    animate = traitlets.Bool(True).tag(sync=True)

    @traitlets.validate("index")
    def _inside(self, proposal: Any) -> int:
        return int(min(max(proposal["value"], 0), len(self.scenes) - 1))


class Walkthrough(StaticFallback):
    """A lab and its scenes: Back and Next set its recipe, and the change is played.

    With the walkthrough in focus, arrow keys, Page Up and Page Down (a presenter's clicker), Home
    and End move too; Page Up and Page Down also while a slider is in focus. The browser's tab
    remembers the scene, so that running the cell again after a restart of the kernel comes back
    to it.

    Args:
        lab: what is shown; make it with `text_scale=1.6` and two panels for a room.
        scenes: `Scene`s, or tuples of (title, text, recipe fields) and, if you like, notes and
            minutes. The fields are changes against `lab.start`.
        begins: the minute of the lecture at which the first scene begins.
        animate: move sliders from scene to scene through a few values in between. The page
            switches that off for people who ask their system for reduced motion.

    Raises:
        ValueError: an argument is not usable; names it and what would be right.
    """

    def __init__(
        self,
        lab: GradLab,
        scenes: Sequence[Scene | tuple[Any, ...]],
        begins: float = 0,
        animate: bool = True,
    ) -> None:
        Number(0)("begins", begins)
        self.lab = lab
        self.scenes = checked(scenes, lab.start)
        self.begins = begins
        titles = "\n".join([lab.problem.name, *(scene.title for scene in self.scenes)])
        self.stage = Stage(
            name=hashlib.sha256(titles.encode()).hexdigest()[:16],
            scenes=[
                {"title": scene.title, "text": scene.text, "notes": scene.notes, "plan": when}
                for scene, when in zip(self.scenes, plan(self.scenes, begins), strict=True)
            ],
            animate=animate,
        )
        self._player = Player(lab)
        self._play(animate=False)
        self.stage.observe(lambda _: self._play(self.stage.animate), "index")
        self.stage.on_msg(self._received)
        self.widget = ipywidgets.VBox([self.stage, lab.widget])
        self.widget.add_class("gradwidgets-walkthrough")

    @property
    def number(self) -> int:
        """The scene in hand, counted from 1. Setting it goes there.

        Raises:
            ValueError: there is no such scene.
        """
        return int(self.stage.index) + 1

    @number.setter
    def number(self, number: int) -> None:
        Count(1, len(self.scenes))("number", number)
        self.stage.moved = True
        self.stage.index = number - 1

    @property
    def scene(self) -> Scene:
        """The scene in hand."""
        return self.scenes[self.stage.index]

    @property
    def ends(self) -> float:
        """The minute of the lecture at which the last scene ends."""
        return self.begins + sum(scene.minutes for scene in self.scenes)

    def next(self) -> None:
        """Go to the next scene; at the last one, stay."""
        self.number = min(self.number + 1, len(self.scenes))

    def back(self) -> None:
        """Go to the scene before; at the first one, stay."""
        self.number = max(self.number - 1, 1)

    def close(self) -> None:
        """Stop playing and remove every widget, the lab's too."""
        self._player.stop()
        self.lab.close()
        close(self.widget)

    def _play(self, animate: bool) -> None:
        self._player.play(self.lab.start.replace(**self.scene.recipe), animate)

    def _received(self, _: Any, message: Any, __: Any) -> None:
        """A page that remembers a scene asks for it; whoever has moved since is right."""
        if not isinstance(message, dict) or message.get("kind") != "restore" or self.stage.moved:
            return
        if isinstance(index := message.get("index"), int):
            self.stage.moved = True
            self.stage.index = index
            self._play(animate=False)  # takes the place of the animation

    def __repr__(self) -> str:
        """Where it stands: number, title, sentence, and what the lab says."""
        return f"{self._words()}\n{self.lab.summary}"

    def _words(self) -> str:
        place = f"Scene {self.number} of {len(self.scenes)}: {plain(self.scene.title)}"
        return f"{place}\n{plain(self.scene.text)}"

    def static_view(self) -> StaticView:
        """Where it stands, in words, and the picture of the lab."""
        still = self.lab.static_view()
        return StaticView(f"{self._words()}\n{still.words}", still.png, still.alt)
