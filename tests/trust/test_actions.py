"""Whatever a learner does, however fast, a lab ends as it would from fresh."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gradwidgets import GradLab, Recipe
from gradwidgets.core import settings
from tests.trust.effort import tried

SHOW = tuple(settings.controls())
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
"""Seconds after which a lab that has not settled never will."""

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
    """Does to a lab what a browser and its owner can do."""

    def __init__(self, lab: GradLab) -> None:
        self.lab = lab
        self.cancelled = False
        rows = lab.widget.children[2].children
        self.buttons = {button.description: button for button in rows}

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
        self.buttons[name].click()

    async def focus(self, name: str, focused: bool) -> None:
        widget = self.lab.controls[name]
        if widget.has_trait("focused"):
            widget.focused = focused

    async def recipe(self, recipe: Recipe) -> None:
        self.lab.recipe = recipe

    async def cancel(self) -> None:
        self.lab._screen._received(None, {"kind": "cancel"}, [])
        self.cancelled = True

    def try_again(self) -> None:
        """Ask for what was cancelled once more: how far it came depends on the machine."""
        if self.cancelled:
            self.lab.recipe = self.lab.recipe
        self.cancelled = False

    async def dark(self, dark: bool) -> None:
        self.lab._screen.dark = dark

    async def ask(self) -> None:
        assert self.lab.summary
        assert self.lab.picture

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def made(start: Recipe, look_ahead: bool) -> GradLab:
    return GradLab("moons", show=SHOW, recipe=start, look_ahead=look_ahead)


async def until(condition: Callable[[], bool]) -> None:
    async def met() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(met(), WORK)


def is_there(lab: GradLab) -> bool:
    """Whether all that the lab was asked for is trained exactly, bands included, and drawn."""
    work = lab._work
    wanted = work._wanted(work.recipe)
    trained = all(work.results.history(r) or work.results.error(r) for r in wanted)
    told = work.rerun._answered == work.rerun.turn
    return trained and told and (not work.bands or all(r in work._seeded for r in wanted))


async def settled(lab: GradLab) -> None:
    await asyncio.sleep(0.02)
    await until(lambda: is_there(lab))
    await asyncio.sleep(0.05)
    await until(lambda: is_there(lab))


def shown(lab: GradLab) -> dict[str, Any]:
    """All that a learner sees."""
    screen = lab._screen
    return {
        "recipe": lab.recipe,
        "controls": {n: w.value for n, w in lab.controls.items() if not w.disabled},
        "sentence": screen.sentence,
        "alt": screen.alt,
        "trace": screen.trace,
        "progress": screen.progress,
        "listing": [text for text, _ in lab._listing.lines],
        "picture": screen.png,
    }


def from_fresh(lab: GradLab) -> dict[str, Any]:
    """What a new lab shows that is given the same recipes, pins and switches one after another."""
    fresh = made(lab.start, look_ahead=False)
    for pinned in lab._picture._pinned:
        fresh.recipe = pinned.history.recipe
        fresh.pin(pinned.label)
    fresh._screen.dark = lab._screen.dark
    if lab._work.bands:
        fresh.seeds()
    if lab._shown_text:
        fresh.toggle(lab._shown_text)
    fresh._picture._canvas._limits = list(lab._picture._canvas._limits)  # they move in coarse steps
    fresh.recipe = lab.recipe
    seen = shown(fresh)
    fresh.close()
    return seen


async def sequence(steps: Sequence[Sequence[Any]]) -> None:
    lab = made(START, look_ahead=True)
    learner = Learner(lab)
    for step in steps:
        await learner.does(step)
    learner.try_again()
    await settled(lab)
    seen = shown(lab)
    lab._work.stop()  # the seed of a process is one for all its threads
    expected = await asyncio.to_thread(from_fresh, lab)
    picture, wanted = seen.pop("picture"), expected.pop("picture")
    assert seen == expected
    assert lab._controls.recipe() == lab.recipe
    assert picture == wanted
    lab.close()


@tried(25, soak=500)
@given(actions)
def test_any_sequence_of_actions_ends_where_the_same_recipe_leads_from_fresh(
    steps: list[Any],
) -> None:
    asyncio.run(sequence(steps))
