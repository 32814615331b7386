"""Bands are quartiles, by nearest rank; runs that diverged count as infinite."""

import dataclasses

import numpy as np
import torch
from torch import nn

from gradwidgets import Problem, Recipe, train
from gradwidgets.plots import over_seeds
from gradwidgets.plots.lines import quartiles


def test_quartiles_are_numpys_at_every_update():
    curves = np.random.default_rng(0).normal(size=(9, 30))
    found = quartiles([(np.arange(30.0), curve) for curve in curves])
    ranked = np.sort(curves, axis=0)
    assert np.array_equal(found.low, ranked[2])
    assert np.array_equal(found.median, ranked[4])
    assert np.array_equal(found.high, ranked[6])


def test_a_curve_that_ended_early_is_infinite_from_there():
    whole, short = np.ones(10), np.zeros(4)
    x = np.arange(10.0)
    found = quartiles([(x, whole), (x, whole), (x[:4], short)])
    assert found.x.tolist() == x.tolist()
    assert found.median.tolist() == [1.0] * 10
    assert np.isinf(found.high[4:]).all()
    assert np.isfinite(found.high[:4]).all()


def test_seeds_that_change_nothing_are_said_to():
    x = torch.linspace(-1, 1, 8)[:, None]
    problem = Problem("mine", nn.Linear(1, 1), (x, x), nn.functional.mse_loss)
    same = [train(problem, Recipe(updates=5, seed=seed)) for seed in range(3)]
    assert over_seeds(same) == "All 3 seeds give the same losses: the seed changes nothing in them."
    drawn = [train(problem, Recipe(updates=5, batch_size=3, seed=seed)) for seed in range(3)]
    assert over_seeds(drawn).startswith("Over 3 seeds it ends at ")


def test_seeds_end_where_their_sentences_say_and_a_lucky_last_batch_moves_nothing():
    plain = train("bowl", Recipe(updates=40))
    flat = [np.array([9.0, *[level] * 38, lucky]) for level, lucky in ((3, 0.1), (2, 2), (4, 9))]
    runs = [dataclasses.replace(plain, loss=loss) for loss in flat]
    assert over_seeds(runs) == "Over 3 seeds it ends at 3 (middle half 2 to 4)."
    for level, run in zip("324", runs, strict=True):
        assert f"{level} at the end" in run.summary()
