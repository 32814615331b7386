"""`Scene`: what one step of a walkthrough says, and the recipe that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradwidgets.core import Number, Recipe, Text, not_allowed


@dataclass(frozen=True)
class Scene:
    """One step of a walkthrough.

    Args:
        title: a few words.
        text: one sentence; words between backticks are set as code.
        recipe: the fields of `Recipe` that differ from the lab's start.
        notes: for the speaker, folded away.
        minutes: how long to stay; 0 makes no plan.

    Raises:
        ValueError: title or text is no text, or minutes no number from 0.
    """

    title: str
    text: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    minutes: float = 0.0

    def __post_init__(self) -> None:
        Text()("title", self.title)
        Text()("text", self.text)
        Number(0)("minutes", self.minutes)
        if not isinstance(self.recipe, Mapping):
            raise not_allowed(
                "recipe", self.recipe, "fields of Recipe by name, such as {'lr': 0.5}"
            )


def checked(scenes: Sequence[Scene | tuple[Any, ...]], start: Recipe) -> tuple[Scene, ...]:
    """The scenes, tuples made into `Scene`, whose recipes change `start` to what is allowed.

    Raises:
        ValueError: there is none, or one is not usable; names it.
    """
    if isinstance(scenes, (str, Scene)) or not scenes:
        raise not_allowed("scenes", scenes, "at least one Scene, or (title, text, recipe fields)")
    return tuple(_checked(number, scene, start) for number, scene in enumerate(scenes, 1))


def _checked(number: int, scene: Scene | tuple[Any, ...], start: Recipe) -> Scene:
    try:
        made = scene if isinstance(scene, Scene) else Scene(*scene)
        start.replace(**made.recipe)
    except (TypeError, ValueError) as error:
        raise ValueError(f"scene {number}: {error}") from None
    return made


def plan(scenes: Sequence[Scene], begins: float) -> list[str]:
    """For each scene, from which minute to which it lasts; "" where it has no minutes."""
    said, now = [], begins
    for scene in scenes:
        said.append(f"Minutes {now:g} to {now + scene.minutes:g}." if scene.minutes else "")
        now += scene.minutes
    return said


def plain(text: str) -> str:
    """The text without the marks of code."""
    return text.replace("`", "")
