"""The picture in words says what each curve does, in numbers that stand in the history."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gradwidgets.core import Recipe, train
from gradwidgets.plots import StyledRun, describe


def words(history: object, *panels: str) -> str:
    return describe([StyledRun(history, "now")], panels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Learning rate 0.1 all the time."),
        ({"schedule": "linear"}, "Learning rate from 0.1 to 0.01."),
        (
            {"schedule": "linear", "warmup_steps": 4},
            "Learning rate from 0.02 to 0.0167, highest, 0.1, at update 4.",
        ),
    ],
)
def test_the_learning_rate_is_told(changes: dict[str, object], said: str) -> None:
    history = train("line", Recipe(updates=10, **changes))  # type: ignore[arg-type]
    assert said in words(history, "loss", "lr")
    assert "earning rate" not in words(history, "loss")


def test_the_learning_rate_of_each_group_is_told() -> None:
    groups = {
        "0.*": {"lr": 0.5, "frozen_until": 3, "frozen_from": 7, "freeze_by": "left out"},
        "2.bias": {"lr": 0.3, "frozen_until": 5, "freeze_by": "lr"},
    }
    said = words(train("moons", Recipe(lr=0.1, groups=groups, updates=10)), "lr")
    assert "Learning rate of the rest 0.1 all the time." in said
    assert "Learning rate of 0.* 0.5 from update 3 until update 6." in said
    assert "Learning rate of 2.bias from 0 to 0.3." in said
    alike = words(train("moons", Recipe(lr=0.1, groups={"0.*": {"weight_decay": 1}})), "lr")
    assert "Learning rate 0.1 all the time." in alike


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((2.0, 1.0, 0.5), "Held-out loss ends at 0.5."),
        ((2.0, 0.5, 1.0), "Held-out loss ends at 1; it was lowest, 0.5, after 10 updates."),
        ((np.nan, np.nan, np.nan), "Held-out loss ends at nan."),
        ((2.0, 0.5, np.nan), "Held-out loss ends at nan."),
    ],
)
def test_a_held_out_loss_that_rises_again_is_told(values: list[float], said: str) -> None:
    history = train("line", Recipe(updates=20))
    held_out = np.stack([np.array([0.0, 10.0, 20.0]), np.array(values)], axis=1)
    measured = dataclasses.replace(history, held_out=held_out, metric="loss")
    assert words(measured, "loss").endswith(said)
    accuracy = dataclasses.replace(measured, metric="accuracy")
    assert "lowest" not in words(accuracy, "loss")


def test_the_share_that_rounding_loses_is_told() -> None:
    history = train("moons", Recipe(lr=0.01, dtype="bfloat16", updates=20))
    first, last = history.lost[[0, -1]]
    assert f"{first:.0%} of the elements at first, {last:.0%} at last." in words(history, "lost")
