"""What a lab says right after a key press is what it says in the end, and what `train` says."""

import pytest

from gradwidgets import train
from gradwidgets.core import problems, settings
from tests.trust.effort import SOAK

SHOWN = "from gradwidgets import GradLab\nlab = GradLab({})\nlab"
WATCH = """
() => {
    const status = document.querySelector('.gradwidgets-screen [role=status]');
    window.said = [];
    new MutationObserver(() => said.push(status.textContent))
        .observe(status, {childList: true, characterData: true, subtree: true});
}
"""
LATER = 1500
"""Milliseconds after a key press."""


def told(front_end, key):
    """The sentences that a key press leads to, the last of which is there in the end."""
    front_end.page.evaluate("said.length = 0")
    front_end.page.keyboard.press(key)
    front_end.page.wait_for_timeout(LATER)
    whole = [one for one in front_end.page.evaluate("said") if not one.startswith("So far")]
    return whole or [front_end.sentence()]


def check(front_end, keys):
    """At the stop that each key leads to, one sentence is said, and it is that of `train`."""
    front_end.page.evaluate(WATCH)
    front_end.slider("scale").focus()
    for key in keys:
        said = told(front_end, key)
        scale = float(front_end.slider("scale").get_attribute("aria-valuetext"))
        sentence = train("moons", problems.moons.recipe.replace(scale=scale)).summary()
        assert len(set(said)) == 1, (scale, said)
        assert said[0].startswith(sentence), (scale, sentence)


SPREAD = ["Home", *["PageUp"] * 6, "End"]
BORDER = ["ArrowLeft"] * 6
"""From the end over 79, near the border of stability, where another rounding would tell."""

EVERY = ["Home", *["ArrowRight"] * (len(settings.controls()["scale"].stops) - 1)]
"""All stops, in `make soak`."""


@pytest.mark.parametrize("arguments", ["", "look_ahead=False"], ids=["prepared", "live"])
def test_the_first_sentence_after_a_key_press_is_the_last(front_end, arguments):
    front_end.show(SHOWN.format(arguments))
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    front_end.slider("scale").focus()
    front_end.run("assert lab.wait(prefetched=True)")
    check(front_end, EVERY if SOAK else [*SPREAD, *BORDER])


def test_it_is_so_too_where_nothing_has_been_prepared_yet(front_end):
    front_end.show(SHOWN.format("show=('scale',)"))
    front_end.page.wait_for_selector(".gradwidgets-screen img[src]")
    check(front_end, ["End", *BORDER[:3]])
