"""Random recipes, every problem in its turn: `train`, a program, the stepper and sweeps agree.

`tests/script` tries the programs of more of them at every change.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import pytest
import torch

from gradwidgets.core import problems, settings, train
from gradwidgets.script import script
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.sweep import Sweep, eligibility
from tests.random_recipes import random_recipe
from tests.sweep.same_bits import difference
from tests.trust.effort import SOAK

NUMBERS = range(210) if SOAK else range(0, 210, 13)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_random_recipe_trains_alike_everywhere(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, recipe = random_recipe(number)
    history = train(name, recipe)
    losses = history.loss.tolist()

    engine = StepperEngine(name, recipe)
    engine.run(recipe.updates)
    assert engine.workspace.names["losses"] == losses

    names: dict[str, Any] = {}
    with torch.random.fork_rng(), contextlib.redirect_stdout(io.StringIO()):
        exec(script(name, recipe), names)
    assert names["losses"] == losses

    monkeypatch.setattr(eligibility, "FEW", 2)  # as if two values were many, and runs slow
    monkeypatch.setattr(eligibility, "QUICK", 0.0)
    recipes = [recipe, settings.with_(recipe, lr=recipe.lr / 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # some recipes are trained one by one
        sweep = Sweep(problems.get(name), recipes)
        sweep.advance()
    first, second = sweep.histories()
    assert difference(first, history) == ""
    assert difference(second, train(name, recipes[1])) == ""
