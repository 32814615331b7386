"""A problem and a recipe that do not fit are refused by name."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, Recipe, TrainingError, problems, train
from tests.examples import double_model, doubles


@pytest.mark.parametrize("name", ["Muon", "SparseAdam"])
def test_an_optimizer_that_refuses_the_model_is_named(name: str) -> None:
    with pytest.raises((ValueError, TrainingError), match=name):
        train("moons", Recipe(optimizer=name))


def test_a_mask_pattern_without_a_match_names_the_parameters() -> None:
    with pytest.raises(ValueError, match=r"mask_kind='conv\*'.*'0\.weight', '0\.bias'"):
        train("moons", Recipe(mask=0.5, mask_kind="conv*"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "Problem.name=''"),
        ({"model": 3}, "Problem.model=3"),
        ({"loss": None}, "Problem.loss=None"),
        ({"recipe": {"lr": 1}}, "Problem.recipe={'lr': 1}"),
    ],
)
def test_a_problem_names_its_bad_argument(fields: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {
        "name": "p",
        "model": double_model,
        "data": doubles(),
        "loss": F.mse_loss,
    }
    with pytest.raises(ValueError, match=re.escape(words)):
        Problem(**(good | fields))


def test_an_unknown_built_in_problem_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"problem='moon' is unknown.*'moons'"):
        train("moon")


@pytest.mark.parametrize("name", problems.names())
def test_a_built_in_problem_learns_something_with_its_own_recipe(name: str) -> None:
    history = train(name)
    assert history.stopped is None
    assert history.loss[-1] < 0.5 * history.loss[0]


@pytest.mark.parametrize("name", problems.names())
def test_a_built_in_problem_is_the_same_object_and_the_same_data_each_time(name: str) -> None:
    problem = getattr(problems, name)
    assert problem is problems.get(name)
    assert problem.name == name
    assert problem.description.endswith(".")
    x, y = problem.data()
    again = problem.data()
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    assert len(x) == len(y)


def test_the_bowl_is_a_quadratic_of_condition_25_with_its_minimum_at_one_one() -> None:
    x, y = problems.bowl.batches()
    curvature = torch.linalg.eigvalsh(2 * x.T @ x / len(x))
    assert (curvature[-1] / curvature[0]).item() == pytest.approx(25, rel=1e-5)
    solution = torch.linalg.lstsq(x, y).solution
    assert solution.ravel().tolist() == pytest.approx([1, 1], rel=1e-5)


def test_the_digits_are_those_of_scikit_learn_and_every_fifth_is_held_out() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    held_out = np.arange(1797) % 5 == 0
    (x, y), (test_x, test_y) = problems.digits.batches(), problems.digits.held_out_data()
    assert (len(x), len(test_x)) == (1437, 360)
    np.testing.assert_array_equal(16 * test_x, digits.data[held_out])
    np.testing.assert_array_equal(16 * x, digits.data[~held_out])
    np.testing.assert_array_equal(test_y, digits.target[held_out])
    np.testing.assert_array_equal(y, digits.target[~held_out])


def test_the_digits_need_no_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert len(problems.digits_data()[0]) == 1437


def test_padding_tokens_neither_count_in_the_loss_nor_train_their_embedding() -> None:
    history = train("tokens", Recipe(updates=5))
    table = history.parameters["embedding.weight"]
    assert (table[:, 0] == 0).all()
    assert (table[0, 1:] != table[-1, 1:]).any()
    x, y = problems.tokens.batches()
    assert ((y == -100) == (x == 0)).all()
