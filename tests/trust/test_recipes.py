"""Whatever a recipe asks for, a run ends in a history or in an error that is documented."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradwidgets import GradLab
from gradwidgets.core import History, Recipe, TrainingError
from gradwidgets.core.loop import Run
from gradwidgets.ledger.record import record_updates
from gradwidgets.meter.measure import measure
from gradwidgets.script import script
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.sweep import sweep
from tests.front_end import screen_of
from tests.surroundings import surroundings
from tests.trust.effort import tried
from tests.trust.recipes import names, settings_of_recipes, small

UPDATES = 5


@contextmanager
def undisturbed(dtype: torch.dtype, grad: bool, threads: int) -> Iterator[None]:
    """Sets these, fails if anything is different afterwards, and puts everything back."""
    usual = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    try:
        with torch.set_grad_enabled(grad):
            before = surroundings()
            yield
            assert surroundings() == before
    finally:
        torch.set_default_dtype(usual[0])
        torch.set_num_threads(usual[1])


def run_of(name: str, fields: dict[str, Any]) -> Run | None:
    """A run of these settings, trained for a while; None where they are refused."""
    try:
        run = Run(name, Recipe(**fields))
    except ValueError:
        return None
    with suppress(TrainingError):
        run.advance(updates=UPDATES)
    return run


def check(history: History) -> None:
    """All arrays belong together, and what is not a number is explained by how the run ended."""
    count, width = history.updates, len(history.names)
    assert count <= UPDATES
    assert history.loss.shape == (count,)
    for norms in (history.grad_norms, history.edited_norms):
        assert norms.shape == (count, width)
    assert history.param_norms.shape == history.change_norms.shape == (count, width)
    assert np.isfinite(history.loss).all()
    for series in (history.grad_norm, history.param_norm, history.update_ratio):
        assert series.shape == (count,)
    assert all(len(values) == count + 1 for values in history.parameters.values())
    assert history.summary().endswith(".")
    assert len(history.to_csv().splitlines()) == count + 1
    if history.stopped is None or history.stopped[1] in ("threshold", "patience", "cancelled"):
        for values in history.parameters.values():
            assert np.isfinite(values).all()
        assert np.isfinite(history.change_norms).all()
    if history.stopped is not None:
        assert history.stopped[1] in ("threshold", "patience", "diverged", "cancelled", "failed")
    if history.stopped and history.stopped[1] == "threshold":
        assert history.loss[-1] < history.recipe.stop_below


@tried(150, soak=2000)
@given(
    names,
    settings_of_recipes(),
    st.sampled_from((torch.float32, torch.float64)),
    st.booleans(),
    st.sampled_from((1, 2)),
)
def test_a_run_gives_a_history_or_a_documented_error_and_disturbs_nothing(
    name: str, fields: dict[str, Any], dtype: torch.dtype, grad: bool, threads: int
) -> None:
    with undisturbed(dtype, grad, threads):
        run = run_of(name, fields)
        if run:
            assert run.done or len(run.losses) == UPDATES
            run.cancel()
            check(run.history())


def stepped(name: str, recipe: Recipe) -> None:
    stepping = StepperEngine(name, recipe)
    stepping.next()
    stepping.run(2)
    stepping.previous()


def shown(name: str, recipe: Recipe) -> None:
    lab = GradLab(name, recipe=recipe)
    said, alt = lab.summary, screen_of(lab).alt
    lab.close()
    assert said
    assert screen_of(lab).trace or (recipe.optimizer and alt)


USES: dict[str, Callable[[str, Recipe], object]] = {
    "script": lambda name, recipe: ast.parse(script(name, recipe)),
    "sweep": lambda name, recipe: list(map(check, sweep(name, recipe, "scale", [-1e300, 0, 2]))),
    "ledger": lambda name, recipe: list(islice(record_updates(name, recipe), 2)),
    "meter": lambda name, recipe: measure(name, recipe),
    "steps": stepped,
    "lab": shown,
}


@tried(60, soak=600)
@given(st.sampled_from(sorted(USES)), names, settings_of_recipes())
def test_whatever_takes_a_recipe_gives_its_result_or_a_documented_error_and_disturbs_nothing(
    use: str, name: str, fields: dict[str, Any]
) -> None:
    with undisturbed(torch.float32, True, 2), suppress(ValueError, TrainingError):
        USES[use](name, small(Recipe(**fields)))
