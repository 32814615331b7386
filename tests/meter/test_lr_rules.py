"""The rules for lr against loops written out with `torch.optim`."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, Recipe
from gradwidgets.meter import LrRules, Trial, lr_rules
from tests.examples import SAMPLES, double_model, double_problem, doubles

BATCH, FACTOR, EPOCHS = 4, 4, 3
FIXED = "schedule=.* without schedule_options: options count updates"


def by_hand(
    optimizer: str, lr: float, size: int, seed: int, warmup: int = 0, **options: Any
) -> float:
    """Three epochs of batches in the order of the seed; the loss of all samples at the end.

    With a warm-up lr rises in that many updates and falls to 0 by a cosine in those that are left.
    """
    x, y = doubles()
    torch.manual_seed(seed)
    model = double_model()
    step = getattr(torch.optim, optimizer)(model.parameters(), lr=lr, **options)
    order = torch.Generator().manual_seed(seed)
    epochs = [torch.randperm(SAMPLES, generator=order).split(size) for _ in range(EPOCHS)]
    batches = [index for epoch in epochs for index in epoch]
    for update, index in enumerate(batches):
        if warmup:
            share = max(0, update - warmup) / (len(batches) - warmup)
            rising = min((update + 1) / (warmup + 1), 1)
            step.param_groups[0]["lr"] = lr * rising * (1 + math.cos(math.pi * share)) / 2
        step.zero_grad()
        F.mse_loss(model(x[index]), y[index]).backward()
        step.step()
    return F.mse_loss(model(x), y).item()


@pytest.mark.parametrize(
    ("optimizer", "lr", "options"), [("SGD", 0.05, {"momentum": 0.5}), ("Adam", 0.02, {})]
)
def test_every_loss_is_that_of_a_loop_by_hand(
    optimizer: str, lr: float, options: dict[str, Any]
) -> None:
    recipe = Recipe(
        optimizer=optimizer,
        lr=lr,
        options=options,
        batch_size=BATCH,
        updates=EPOCHS * math.ceil(SAMPLES / BATCH),
        seed=5,
        accumulation_steps=3,
        stop_below=10.0,
        patience=1,
    )
    found = lr_rules(double_problem(), recipe, FACTOR, seeds=3)
    assert found.epochs == EPOCHS
    wanted = {"": (BATCH, 1.0), "none": (16, 1.0), "square root": (16, 2.0), "linear": (16, 4.0)}
    for trial in (found.small, *found.rules):
        size, times = wanted.pop(trial.rule)
        assert (trial.batch, trial.lr) == (size, pytest.approx(lr * times))
        assert trial.updates == EPOCHS * math.ceil(SAMPLES / size)
        losses = [by_hand(optimizer, trial.lr, size, seed, **options) for seed in (5, 6, 7)]
        assert trial.losses == pytest.approx(losses, rel=1e-12)
        assert trial.loss == pytest.approx(sum(losses) / 3)
    assert not wanted
    assert found.best is None


def test_a_schedule_is_as_long_as_each_run_and_a_warm_up_as_many_samples() -> None:
    updates = EPOCHS * math.ceil(SAMPLES / BATCH)
    recipe = Recipe(batch_size=BATCH, updates=updates, seed=5, schedule="cosine", warmup_steps=5)
    found = lr_rules(double_problem(), recipe, FACTOR, seeds=2)
    for trial, warmup in ((found.small, 5), *((rule, 2) for rule in found.rules)):
        losses = [by_hand("SGD", trial.lr, trial.batch, seed, warmup) for seed in (5, 6)]
        assert trial.losses == pytest.approx(losses, rel=1e-9)


def test_of_several_lrs_the_small_batch_takes_the_best_and_the_rules_go_on_from_it() -> None:
    recipe = Recipe(batch_size=BATCH, updates=18)
    lrs = [0.3, 0.003, 0.03]
    found = lr_rules(double_problem(), recipe, FACTOR, seeds=2, lrs=lrs)

    def mean(lr: float, size: int) -> float:
        return sum(by_hand("SGD", lr, size, seed) for seed in (0, 1)) / 2

    best = min(lrs, key=lambda lr: mean(lr, BATCH))
    assert found.small.lr == best
    assert [trial.lr for trial in found.rules] == pytest.approx([best, 2 * best, 4 * best])
    tried = {lr: mean(lr, BATCH * FACTOR) for lr in (*lrs, best, 2 * best, 4 * best)}
    assert found.best is not None
    assert found.best.loss == pytest.approx(min(tried.values()))
    assert found.best.lr == pytest.approx(min(tried, key=tried.__getitem__))


def test_a_run_that_diverges_counts_as_infinite() -> None:
    recipe = Recipe(lr=1e6, batch_size=BATCH, updates=60)
    found = lr_rules("bowl", recipe, FACTOR, seeds=2)
    assert math.isinf(found.small.loss)
    assert found.wins == {"none": 0, "square root": 0, "linear": 0}
    assert "SGD: with each rule a run diverged." in repr(found)
    assert "diverged" in [each["text"] for each in found.page()["rows"][0]["cells"]]


def trial(rule: str, *losses: float) -> Trial:
    return Trial(batch=8, rule=rule, lr=0.1, updates=10, losses=losses)


def test_the_sentence_says_what_was_measured() -> None:
    rules = (
        trial("none", 3.0, 1.0, 5.0),
        trial("square root", 2.0, 2.0, 1.0),
        trial("linear", 9, 9, 9),
    )
    found = LrRules("mine", "SGD", 2, 40, trial("", 0.5, 0.5, 0.5), rules)
    assert found.wins == {"none": 1, "square root": 2, "linear": 0}
    text = repr(found)
    assert (
        "`square root` ended with the lowest mean loss (1.67; the batch of 8 ended at 0.5)" in text
    )
    assert "was lowest in 2 of 3 seeds." in text
    assert "2 passes over the 40 samples" in text
    assert "SGD, batch 8: none" in text
    assert "1 to 5" in text


def test_the_end_of_what_was_tried_is_told() -> None:
    found = lr_rules(
        double_problem(), Recipe(batch_size=4, updates=18), 2, seeds=1, lrs=[1e-4, 1e-3]
    )
    assert found.small.lr == 1e-3
    assert "SGD: that is an end of what was tried" in repr(found)


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({}, {"recipe": Recipe()}, "batch_size=None .* of which 4 fit into the 22 samples"),
        ({}, {"recipe": Recipe(batch_size=6)}, "batch_size=6 is not allowed"),
        ({"data": [doubles()]}, {"recipe": Recipe(batch_size=4)}, r"Problem\.data="),
        ({"loss": torch.nn.MSELoss(reduction="sum")}, {}, r"Problem\.loss=.* a mean"),
        ({"step": F.mse_loss, "loss": None}, {}, "lr_rules needs data .* a step of its own"),
        ({}, {"recipe": Recipe(schedule="ExponentialLR", schedule_options={"gamma": 0.9})}, FIXED),
        ({}, {"recipe": Recipe(schedule="cosine", schedule_options={"T_max": 9})}, FIXED),
        ({}, {"recipe": Recipe(schedule="ReduceLROnPlateau")}, FIXED),
        ({}, {"recipe": Recipe(groups={"*": {"lr": 1.0}})}, "groups=.* none: they count updates"),
        ({}, {"factor": 1}, "factor=1"),
        ({}, {"seeds": 0}, "seeds=0"),
        ({}, {"lrs": [0.0]}, "lrs=0"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    changes: dict[str, Any], arguments: dict[str, Any], said: str
) -> None:
    problem: Problem = double_problem(**changes)
    with pytest.raises(ValueError, match=said):
        lr_rules(problem, **arguments)
