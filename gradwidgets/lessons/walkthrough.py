"""`Walkthrough`: a lab that a lecturer leads through scenes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import anywidget
import ipywidgets
import traitlets

from gradwidgets.components import StaticFallback, StaticView, close, script_of, style_of
from gradwidgets.core import Recipe, not_allowed, validate
from gradwidgets.lab import GradLab
from gradwidgets.lessons.animation import Player


@dataclass(frozen=True)
class Scene:
    """One step of a walkthrough.

    Args:
        title: a few words.
        text: one sentence; words between backticks are set as code.
        recipe: the fields of `Recipe` that differ from the lab's start.
        notes: for the speaker; shown in the presenter's window only.
        minutes: how long to stay; 0 makes no plan.

    Raises:
        ValueError: title or text is no text, or minutes no number from 0.

    >>> Scene("Scaled", "Ten times the gradient.", {"scale": 10.0}, minutes=2).recipe
    {'scale': 10.0}
    """

    title: str
    text: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    minutes: float = 0.0

    def __post_init__(self) -> None:
        validate.Text()("title", self.title)
        validate.Text()("text", self.text)
        validate.Number(0)("minutes", self.minutes)
        if not isinstance(self.recipe, Mapping):
            allowed = "fields of Recipe by name, such as {'lr': 0.5}"
            raise not_allowed("recipe", self.recipe, allowed)


class Stage(anywidget.AnyWidget):
    """Title and sentence of the present scene, and the way to the others.

    `index` counts scenes from 0; `moved` says whether anybody has chosen one, for the page
    remembers under `name` which it was and asks for it again after a restart of the kernel.
    """

    _esm = script_of(__file__, "presenter", "lecture")
    _css = style_of(__file__, "lecture")
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
    and End move too; Page Up and Page Down also while a slider is in focus. In a lecture, which is
    a deck of slides in JupyterLab or an app of Voila, they go on from the last scene to the next
    slide, wherever the focus is. P opens the presenter's window. The browser's tab remembers the
    scene, so that running the cell again after a restart of the kernel comes back to it.

    Args:
        lab: what is shown; make it with `text_scale=1.6` and two panels for a room.
        scenes: `Scene`s, or tuples of (title, text, recipe fields) and, if you like, notes and
            minutes. The fields are changes against `lab.start`.
        begins: the minute of the lecture at which the first scene begins.
        animate: move sliders from scene to scene through a few values in between. The page
            switches that off for people who ask their system for reduced motion.

    Raises:
        ValueError: an argument is not usable; names it and what would be right.

    >>> from gradwidgets import GradLab, Recipe
    >>> lab = GradLab("line", show=("lr",), recipe=Recipe(lr=0.1, updates=5))
    >>> walk = Walkthrough(lab, [("Start", "As it is."), ("Slow", "A tenth of it.", {"lr": 0.01})])
    >>> walk.next()
    >>> walk.number, lab.recipe.lr
    (2, 0.01)
    """

    def __init__(
        self,
        lab: GradLab,
        scenes: Sequence[Scene | tuple[Any, ...]],
        begins: float = 0,
        animate: bool = True,
    ) -> None:
        validate.Number(0)("begins", begins)
        self.lab = lab
        self.scenes = _scenes(scenes, lab.start)
        self.begins = begins
        titles = "\n".join([lab.problem.name, *(scene.title for scene in self.scenes)])
        self.stage = Stage(
            name=hashlib.sha256(titles.encode()).hexdigest()[:16],
            scenes=[
                {"title": scene.title, "text": scene.text, "notes": scene.notes, **plan}
                for scene, plan in zip(self.scenes, self.plan(), strict=True)
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
        """The number of the present scene, counted from 1. Setting it goes there.

        Raises:
            ValueError: there is no such scene.
        """
        return int(self.stage.index) + 1

    @number.setter
    def number(self, number: int) -> None:
        validate.Count(1, len(self.scenes))("number", number)
        self.stage.moved = True
        self.stage.index = number - 1

    @property
    def scene(self) -> Scene:
        """The present scene."""
        return self.scenes[self.stage.index]

    @property
    def ends(self) -> float:
        """The minute of the lecture at which the last scene ends."""
        return self.begins + sum(scene.minutes for scene in self.scenes)

    def plan(self) -> list[dict[str, float]]:
        """For each scene the minute at which it `begins` and `ends`; {} where it has no plan."""
        minutes = [scene.minutes for scene in self.scenes]
        begins = accumulate(minutes, initial=self.begins)
        return [
            {"begins": begin, "ends": begin + lasts} if lasts else {}
            for begin, lasts in zip(begins, minutes, strict=False)
        ]

    def next(self) -> None:
        """Go to the next scene; at the last one, stay."""
        self.number = min(self.number + 1, len(self.scenes))

    def back(self) -> None:
        """Go to the scene before; at the first one, stay."""
        self.number = max(self.number - 1, 1)

    def close(self) -> None:
        """Stop playing and remove every widget, the lab's too."""
        self._player.close()
        self.lab.close()
        close(self.widget)

    def _play(self, animate: bool) -> None:
        self._player.play(self.lab.start.replace(**self.scene.recipe), animate)

    def _received(self, _: Any, message: Any, __: Any) -> None:
        """A page that remembers a scene asks for it, which counts if nobody has moved since."""
        if not isinstance(message, dict) or message.get("kind") != "restore" or self.stage.moved:
            return
        if isinstance(index := message.get("index"), int):
            self.stage.moved = True
            self.stage.index = index
            self._play(animate=False)  # takes the place of the animation

    def _words(self) -> str:
        title, text = self.scene.title.replace("`", ""), self.scene.text.replace("`", "")
        return f"Scene {self.number} of {len(self.scenes)}: {title}\n{text}"

    def __repr__(self) -> str:
        """Where it stands: number, title, sentence, and what the lab says."""
        return f"{self._words()}\n{self.lab.summary}"

    def static_view(self) -> StaticView:
        """Where it stands, in words, and the picture of the lab."""
        still = self.lab.static_view()
        return StaticView(f"{self._words()}\n{still.words}", still.png, still.alt)


def _scenes(scenes: Sequence[Scene | tuple[Any, ...]], start: Recipe) -> tuple[Scene, ...]:
    if isinstance(scenes, (str, Scene)) or not scenes:
        raise not_allowed("scenes", scenes, "at least one Scene, or (title, text, recipe fields)")
    return tuple(_scene(number, scene, start) for number, scene in enumerate(scenes, 1))


def _scene(number: int, scene: Scene | tuple[Any, ...], start: Recipe) -> Scene:
    """The scene, made of a tuple if need be, if its recipe changes `start` to what is allowed."""
    try:
        made = scene if isinstance(scene, Scene) else Scene(*scene)
        start.replace(**made.recipe)
    except (TypeError, ValueError) as error:
        raise ValueError(f"scene {number}: {error}") from None
    return made
