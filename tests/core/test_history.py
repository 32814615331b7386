"""A history as its reader meets it: shapes, partial runs, tables and text."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, Recipe, problems, train
from gradwidgets.core.loop import Run, live
from tests.examples import InTurn, double_problem, doubles

EDITED = Recipe(updates=9, scale=2.0, mask=0.3, l2=0.1, max_norm=0.5)


def test_shapes_are_as_documented() -> None:
    history = train("digits", Recipe(updates=7, batch_size=50))
    count = len(history.names)
    assert history.names == ("0.weight", "0.bias", "2.weight", "2.bias")
    assert history.loss.shape == history.grad_norm.shape == history.update_ratio.shape == (7,)
    assert history.grad_norms.shape == history.change_norms.shape == (7, count)
    assert history.parameters["0.weight"].shape == (8, 32, 64)
    assert history.accuracy.shape == (8, 2)
    assert history.updates == 7
    assert history.seconds > 0
    assert history.stopped is None


def test_accuracy_is_measured_in_eval_mode_at_the_updates_it_names() -> None:
    problem_recipe = Recipe(optimizer="Adam", lr=0.01, updates=40, batch_size=64)
    history = train("digits_cnn", problem_recipe)
    assert history.accuracy[0, 0] == 0
    assert history.accuracy[-1, 0] == 40
    assert (np.diff(history.accuracy[:, 0]) > 0).all()
    x, y = Run("digits_cnn").problem.held_out_data()
    assert history.model.training
    with torch.no_grad():
        right = (history.model.eval()(x).argmax(1) == y).float().mean().item()
    assert history.accuracy[-1, 1] == pytest.approx(right, abs=1e-6)


def test_the_history_of_a_running_run_is_the_beginning_of_the_whole() -> None:
    complete = train(double_problem(), EDITED)
    for done, run in enumerate(live(double_problem(), EDITED), start=1):
        partial = run.history()
        assert partial.loss.tolist() == complete.loss[:done].tolist()
        np.testing.assert_array_equal(partial.edited_norms, complete.edited_norms[:done])
        for name in partial.names:
            expected = complete.parameters[name][: done + 1]
            np.testing.assert_array_equal(partial.parameters[name], expected)
    assert done == 9


def test_a_run_that_is_cancelled_says_so_and_keeps_what_it_has() -> None:
    run = Run("moons", Recipe(updates=50))
    assert run.history().summary() == "No update was made."
    run.advance(updates=20)
    run.cancel()
    run.advance()
    assert run.done
    history = run.history()
    assert history.updates == 20
    assert history.stopped == (20, "cancelled")
    assert history.summary().startswith("Cancelled after 20 updates of 50")


@pytest.mark.parametrize("end", [{"updates": 1}, {"stop_below": 1e9}, {}])
def test_a_last_step_that_leaves_no_numbers_has_diverged(end: dict[str, Any]) -> None:
    """No further loss is computed that could tell."""

    def poison(parameters: Sequence[Tensor]) -> None:
        parameters[0].grad = torch.full_like(parameters[0], torch.nan)

    run = Run("moons", Recipe(edits=(poison,), **({"updates": 50} | end)))
    run.advance(updates=1)
    run.cancel()
    history = run.history()
    assert np.isnan(history.parameters["0.weight"][1]).all()
    assert history.stopped == (1, "diverged")
    assert history.summary().startswith("Diverged at update 1: the loss was")


def test_advance_keeps_to_its_slice_of_time_and_makes_progress() -> None:
    run = Run("moons", Recipe(updates=30))
    run.advance(seconds=0.0)
    assert len(run.losses) == 1
    run.advance(seconds=60.0)
    assert run.done


def test_a_history_changes_no_more_when_the_run_goes_on() -> None:
    run = Run(double_problem(), Recipe(updates=8))
    run.advance(updates=3)
    early = run.history()
    kept = {name: value.copy() for name, value in early.parameters.items()}
    losses = early.loss.copy()
    run.advance()
    assert early.loss.tolist() == losses.tolist()
    assert all(np.array_equal(early.parameters[name], kept[name]) for name in kept)


def test_csv_holds_every_update_to_the_last_bit(tmp_path: Path) -> None:
    history = train(double_problem(), EDITED)
    text = history.to_csv(tmp_path / "run.csv")
    assert (tmp_path / "run.csv").read_text(encoding="utf-8") == text
    rows = list(csv.DictReader(text.splitlines()))
    assert [int(row.pop("update")) for row in rows] == list(range(9))
    for name in ("loss", "grad_norm", "edited_norm", "param_norm", "update_ratio"):
        assert [float(row[name]) for row in rows] == getattr(history, name).tolist()


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_csv_holds_the_metric_where_it_was_measured(metric: str) -> None:
    moons = problems.get("moons")
    problem = Problem("mine", moons.model, moons.data, moons.loss, moons.batches(), metric=metric)
    history = train(problem, Recipe(updates=45))
    rows = list(csv.DictReader(history.to_csv().splitlines()))
    read = [
        [int(row["update"]) + 1, float(row[f"held_out_{metric}"])]
        for row in rows
        if row[f"held_out_{metric}"]
    ]
    assert read == history.held_out[1:].tolist()
    assert 1 < len(read) < len(rows) == 45


def test_the_dict_is_plain_json_and_holds_the_same_numbers() -> None:
    history = train(double_problem(), EDITED)
    values = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    for name in ("loss", "grad_norm", "grad_norms", "change_norms", "update_ratio"):
        assert values[name] == getattr(history, name).tolist()
    assert values["names"] == list(history.names)
    assert eval(values["recipe"], {"Recipe": Recipe}) == history.recipe
    assert values["parameters"]["2.bias"] == history.parameters["2.bias"].tolist()
    assert "model" not in values


def numbers(value: Any) -> Any:
    """Texts such as "nan" as the floats that they stand for."""
    return [numbers(each) for each in value] if isinstance(value, list) else float(value)


def test_numbers_that_are_not_finite_come_back_from_the_dict() -> None:
    history = train(
        double_problem(model=lambda: InTurn(), held_out=doubles()), Recipe(lr=1e150, updates=6)
    )
    values = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    found = []
    for name in ("loss", "grad_norms", "edited_norms", "change_norms", "held_out", "update_ratio"):
        np.testing.assert_array_equal(numbers(values[name]), getattr(history, name))
        found.append(getattr(history, name).ravel())
    for name, kept in history.parameters.items():
        np.testing.assert_array_equal(numbers(values["parameters"][name]), kept)
    every = np.concatenate(found)
    assert history.diverged
    assert np.isnan(every).any()
    assert np.isinf(every).any()


def test_a_ratio_is_zero_where_nothing_moves_and_infinite_where_one_leaves_zero() -> None:
    def start_at_zero() -> nn.Module:
        model = nn.Linear(3, 2).double()
        nn.init.zeros_(model.bias)
        return model

    moved = train(double_problem(model=start_at_zero), Recipe(updates=1))
    assert moved.update_ratios[0, 1] == math.inf
    still = train(double_problem(model=start_at_zero), Recipe(updates=1, lr=0.0))
    assert still.update_ratios.tolist() == [[0.0, 0.0]]


def test_nbytes_counts_the_arrays() -> None:
    history = train("bowl", Recipe(updates=10))
    arrays = [value for value in vars(history).values() if isinstance(value, np.ndarray)]
    assert history.nbytes == sum(a.nbytes for a in [*arrays, *history.parameters.values()])
    assert history.nbytes > 8 * 10 * 5


def test_one_parameter_with_a_closed_form() -> None:
    """x -> w x on (1, 0) with squared error: w(n) = w(0) (1 - 2 lr)^n, gradient 2 w."""

    def make() -> nn.Module:
        model = nn.Linear(1, 1, bias=False).double()
        nn.init.constant_(model.weight, 3.0)
        return model

    data = (torch.ones(1, 1).double(), torch.zeros(1, 1).double())
    history = train(Problem("decay", make, data, F.mse_loss), Recipe(lr=0.1, updates=20))
    weight = 3 * 0.8 ** np.arange(21)
    np.testing.assert_allclose(history.parameters["weight"].ravel(), weight, rtol=1e-12)
    np.testing.assert_allclose(history.loss, weight[:20] ** 2, rtol=1e-12)
    np.testing.assert_allclose(history.grad_norm, 2 * weight[:20], rtol=1e-12)
    np.testing.assert_allclose(history.update_ratio, np.full(20, 0.2), rtol=1e-12)
