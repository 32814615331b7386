"""Models that many people use, each trained by `train` and by the loop that a person writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gradwidgets import Problem, Recipe, train
from gradwidgets.script import script
from gradwidgets.stepper.engine import StepperEngine


def by_hand(
    make_model: Callable[[], nn.Module], batches: list[Any], step: Any, recipe: Recipe
) -> list[float]:
    """The losses of one batch after another, each an update, epoch after epoch."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = make_model()
        optimizer = getattr(torch.optim, recipe.optimizer)(model.parameters(), lr=recipe.lr)
        losses = []
        for update in range(recipe.updates):
            optimizer.zero_grad()
            loss = step(model, batches[update % len(batches)])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def check(make_model: Any, batches: list[Any], step: Any, recipe: Recipe, **names: Any) -> Problem:
    """`train`, its repetition, `script` and the stepper give the losses of the loop by hand.

    Args:
        names: what a program asks to be brought, beside its loader.
    """
    problem = Problem("public", make_model, batches, step=step)
    expected = by_hand(make_model, batches, step, recipe)
    assert expected[-1] < expected[0]
    first, again = train(problem, recipe), train(problem, recipe)
    assert first.loss.tolist() == again.loss.tolist() == expected
    given = {"loader": batches, "__name__": "a_program"} | names
    program = script(problem, recipe)
    with torch.random.fork_rng():
        exec(program, given)
    assert given["losses"] == expected
    engine = StepperEngine(problem, recipe)
    assert engine.run(recipe.updates).failure is None
    assert engine.workspace.names["losses"] == expected
    return problem
