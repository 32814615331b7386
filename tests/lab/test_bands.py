"""Ten seeds behind each run: what is drawn and said of them."""

import asyncio

import numpy as np
import pytest

from gradwidgets import GradLab, Recipe, train
from tests.front_end import screen_of
from tests.on_a_loop import on_a_loop, until

START = Recipe(lr=0.5, updates=20)


def median(recipe):
    """The median of the levels of the last six losses under ten seeds, each trained on its own."""
    runs = [train("moons", recipe.replace(seed=seed)) for seed in range(10)]
    ends = [np.median(run.loss[-6:]) for run in runs]
    return f"Over 10 seeds it ends at {np.quantile(ends, 0.5, method='nearest'):.4g}"


def check():
    lab = GradLab("moons", recipe=START)
    before = lab.picture
    lab.seeds()
    assert lab.wait()
    assert median(START) in lab.summary
    assert lab.picture != before
    assert "Over 10 seeds" in screen_of(lab).alt
    lab.seeds()
    assert "seeds" not in lab.summary
    assert lab.picture == before
    lab.close()


@pytest.mark.parametrize("loop", [False, True])
def test_ten_seeds_are_drawn_as_a_band_said_and_hidden_again(loop):
    async def scenario():
        check()

    if loop:
        on_a_loop(scenario)
    else:
        check()


def test_cancel_ends_the_training_of_bands_and_leaves_the_run():
    async def scenario():
        lab = GradLab("moons", recipe=START.replace(updates=3000), look_ahead=False)
        ended = lab.summary
        lab.seeds()
        await asyncio.sleep(0.1)
        assert not lab.wait(timeout=0.0)
        lab.cancel()
        assert lab.wait(timeout=0.5)
        assert repr(lab) == ended
        lab.close()

    on_a_loop(scenario)


def test_the_last_seed_has_a_band():
    lab = GradLab("line", recipe=Recipe(updates=5, seed=2**63 - 1))
    lab.seeds()
    assert "Over 10 seeds" in lab.summary
    lab.close()


def test_the_band_of_a_new_recipe_follows_it():
    first, second = median(START), median(START.replace(scale=3.2))

    async def scenario():
        lab = GradLab("moons", recipe=START)
        lab.seeds()
        await until(lambda: first in repr(lab))
        lab.controls["scale"].value = 3.2
        await until(lambda: second in repr(lab))
        lab.close()

    on_a_loop(scenario)
