"""Whatever a learner does, however fast, a lab ends as it would from fresh."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gradwidgets import GradLab, Recipe
from gradwidgets.core import settings
from tests.front_end import buttons_of, lines_of, screen_of, send
from tests.trust.effort import tried

SHOW = tuple(name for name in settings.controls() if name != "patience")  # moons holds out nothing
START = Recipe(lr=0.5, updates=20)
RECIPES = (
    START,
    START.replace(lr=10.0, scale=100.0),
    START.replace(mask=1.0, updates=1),
    START.replace(mask=0.5, mask_kind="nobody"),
    Recipe(optimizer="Adam", lr=0.03, batch_size=16, accumulation_steps=3, updates=50),
    Recipe(optimizer="LBFGS", max_norm=0.5, updates=5),
    Recipe(options={"momentum": 0.9}, clear="never", seed=3, updates=30),
    START.replace(updates=3000),
)
SLOWEST = 100
"""Updates that a control may ask for: stops above are left to the recipes of code."""
WORK = 60
"""Seconds after which a lab that has not answered never will."""

places = st.integers(0, 99)
controls = st.tuples(st.just("control"), st.sampled_from(SHOW), places, st.booleans())
drags = st.tuples(
    st.just("drag"),
    st.sampled_from(("scale", "lr", "mask", "accumulation_steps")),
    st.lists(places, min_size=2, max_size=8),
)
buttons = st.tuples(
    st.just("press"),
    st.sampled_from(("Reset", "Pin", "Unpin", "10 seeds", "Code", "Share", "Save picture")),
)
others = st.one_of(
    st.tuples(st.just("focus"), st.sampled_from(SHOW), st.booleans()),
    st.tuples(st.just("recipe"), st.sampled_from(RECIPES)),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("dark"), st.booleans()),
    st.tuples(st.just("ask")),
    st.tuples(st.just("wait"), st.sampled_from((0.0, 0.001, 0.01, 0.05, 0.4))),
)
actions = st.lists(st.one_of(controls, drags, buttons, others, others), min_size=1, max_size=12)


class Learner:
    """Does to a lab what a browser and its owner can do, and remembers what a fresh one needs."""

    def __init__(self, lab: GradLab) -> None:
        self.lab = lab
        self.buttons = buttons_of(lab)
        self.cancelled = self.is_dark = self.banded = False
        self.listed = ""
        self.pins: list[Recipe] = []

    async def does(self, action: Sequence[Any]) -> None:
        await getattr(self, action[0])(*action[1:])

    async def control(self, name: str, place: int, elsewhere: bool) -> None:
        move = partial(self.move, name, place)
        if elsewhere:  # as some front ends do
            hand = threading.Thread(target=move)
            hand.start()
            hand.join()
        else:
            move()

    def move(self, name: str, place: int) -> None:
        widget = self.lab.controls[name]
        if getattr(widget, "disabled", False):
            return
        stops = settings.controls()[name].stops
        if name == "updates":
            stops = tuple(stop for stop in stops if stop <= SLOWEST)
        widget.value = stops[place % len(stops)]

    async def drag(self, name: str, places: Sequence[int]) -> None:
        for place in places:
            self.move(name, place)
            await asyncio.sleep(0.005)

    async def press(self, name: str) -> None:
        if name == "Pin":
            self.try_again()
            self.pins.append(self.lab.recipe)
        elif name == "Unpin":
            self.pins.clear()
        elif name == "10 seeds":
            self.banded = not self.banded
        elif name in ("Code", "Share"):
            self.listed = "" if self.listed == name.lower() else name.lower()
        self.buttons[name]()

    async def focus(self, name: str, focused: bool) -> None:
        widget = self.lab.controls[name]
        if widget.has_trait("focused"):
            widget.focused = focused

    async def recipe(self, recipe: Recipe) -> None:
        self.lab.recipe = recipe

    async def cancel(self) -> None:
        send(screen_of(self.lab), {"kind": "cancel"})
        self.cancelled = True

    def try_again(self) -> None:
        """Ask for what was cancelled once more: how far it came depends on the machine."""
        if self.cancelled:
            self.lab.recipe = self.lab.recipe
        self.cancelled = False

    async def dark(self, dark: bool) -> None:
        self.is_dark = screen_of(self.lab).dark = dark

    async def ask(self) -> None:
        assert self.lab.summary
        assert self.lab.picture

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def made(start: Recipe, look_ahead: bool) -> GradLab:
    return GradLab("moons", show=SHOW, recipe=start, look_ahead=look_ahead)


def shown(lab: GradLab) -> dict[str, Any]:
    """All that a learner sees, but for the picture."""
    screen = screen_of(lab)
    return {
        "recipe": lab.recipe,
        "controls": {n: w.value for n, w in lab.controls.items() if not w.disabled},
        "sentence": screen.sentence,
        "alt": screen.alt,
        "trace": screen.trace,
        "progress": screen.progress,
        "listing": [text for text, _ in lines_of(lab)],
    }


def picture(lab: GradLab) -> bytes:
    """A lab's picture on new axes: those of old ones move in coarse steps only."""
    screen = screen_of(lab)
    send(screen, {"kind": "shown"})
    send(screen, {"kind": "gone"})  # nobody looks any more, so the axes are let go
    lab.recipe = lab.recipe
    return lab.picture


def from_fresh(learner: Learner) -> tuple[dict[str, Any], bytes]:
    """What a new lab shows that is given the same recipes, pins and switches one after another."""
    fresh = made(learner.lab.start, look_ahead=False)
    for recipe in learner.pins:
        fresh.recipe = recipe
        fresh.pin()
    screen_of(fresh).dark = learner.is_dark
    if learner.banded:
        fresh.seeds()
    if learner.listed:
        fresh.toggle(learner.listed)
    fresh.recipe = learner.lab.recipe
    seen = shown(fresh), picture(fresh)
    fresh.close()
    return seen


async def sequence(steps: Sequence[Sequence[Any]]) -> None:
    lab = made(START, look_ahead=True)
    learner = Learner(lab)
    for step in steps:
        await learner.does(step)
    learner.try_again()
    assert await asyncio.to_thread(lab.wait, WORK)
    seen = shown(lab)
    expected, wanted = await asyncio.to_thread(from_fresh, learner)
    assert seen == expected
    for name, value in seen["controls"].items():
        assert value == settings.get(lab.recipe, name)
    assert picture(lab) == wanted
    lab.close()


@tried(25, soak=500)
@given(actions)
def test_any_sequence_of_actions_ends_where_the_same_recipe_leads_from_fresh(
    steps: list[Any],
) -> None:
    asyncio.run(sequence(steps))
