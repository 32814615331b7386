"""Bars under a slider: one scale for all stops, which is said and read right."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwidgets import Recipe, train
from gradwidgets.plots import outcome_bars
from gradwidgets.plots.outcome_bars import LOWEST

PLAIN = train("bowl", Recipe(updates=20))


def ending(loss, begins=1.0):
    """A stable run from one loss to another, where it stays."""
    path = np.concatenate([np.linspace(begins, loss, 14), np.full(6, loss)])
    return dataclasses.replace(PLAIN, loss=path)


def heights(*histories):
    """The heights of bars, and what is said."""
    found = outcome_bars([str(n) for n in range(len(histories))], histories)
    return [bar and bar[0] for bar in found.bars], found.text


def test_a_setting_that_changes_nothing_looks_flat():
    found, text = heights(ending(0.2839), ending(0.2828), ending(0.2833))
    assert max(found) - min(found) < 0.01
    assert 0.3 < min(found) < 0.7  # of the way from a tenth of the first loss to all of it
    assert text.startswith("Bar heights: final loss, from 0.1 to 1, log scale.")


def test_one_lucky_batch_at_the_end_moves_no_bar():
    calm, lucky = ending(0.1), ending(0.2)
    lucky.loss[-1] = 0.0
    found, text = heights(calm, lucky)
    assert found[0] < found[1]
    assert "lowest at 0 (0.1), highest at 1 (0.2)" in text


def test_equal_factors_are_equal_steps_and_untrained_is_full():
    found, text = heights(ending(1.0), ending(0.1), ending(0.01), ending(0.001))
    assert found[0] == 1.0
    assert found[3] == LOWEST
    assert np.diff(found) == pytest.approx([-(1 - LOWEST) / 3] * 3, abs=0.002)
    assert "from 0.001 to 1, log scale" in text
    assert "lowest at 3 (0.001), highest at 0 (1)" in text


@given(st.lists(st.floats(1e-300, 1.0), min_size=2, max_size=8))
def test_a_bar_is_as_much_higher_as_its_loss(losses):
    found, _ = heights(*map(ending, losses))
    low = min(*losses, 0.1)
    for loss, height in zip(losses, found, strict=True):
        share = math.log(loss / low) / math.log(1.0 / low) if loss / low < math.inf else 1.0
        assert height == pytest.approx(LOWEST + (1 - LOWEST) * share, abs=0.002)


@given(st.lists(st.floats(-1e9, 1.0), min_size=2, max_size=8))
def test_losses_that_are_not_positive_stand_on_a_linear_scale_in_their_order(losses):
    losses.append(0.0)
    found, text = heights(*map(ending, losses))
    assert "linear scale" in text
    assert all(LOWEST <= height <= 1.0 for height in found)
    ranked = [height for _, height in sorted(zip(losses, found, strict=True))]
    assert ranked == sorted(ranked)


def test_a_stop_that_is_not_known_has_no_height_and_is_counted():
    found, text = heights(None, ending(0.5), None, ending(0.2))
    assert found[0] is found[2] is None
    assert text.endswith("2 of 4 stops are not known.")


def test_losses_that_are_all_equal_are_said_to_be():
    _, text = heights(ending(0.5), ending(0.5))
    assert text.endswith("the loss ends at 0.5 wherever it is stable.")


def test_bars_say_where_it_is_low_and_where_it_is_unstable():
    scales = (0.1, 1.0, 0.3, 30.0, 100.0)
    recipes = [Recipe(updates=100, scale=scale) for scale in scales]
    histories = [*(train("bowl", recipe) for recipe in recipes), None]
    bars, _, text = outcome_bars([*map(str, scales), "?"], histories)
    ends = [history.loss[-1] for history in histories[:3]]
    lowest = int(np.argmin(ends))
    assert bars[lowest][0] == min(bar[0] for bar in bars if bar)
    assert [bar[1] for bar in bars[:5]] == ["", "", "", "diverges", "diverges"]
    assert bars[5] is None
    assert f"lowest at {scales[lowest]}" in text
    assert "diverges at 30.0 to 100.0" in text
    assert "1 of 6 stops are not known" in text


def test_a_bar_is_unstable_where_the_loss_rises_above_its_start():
    recipes = [Recipe(updates=20, scale=scale) for scale in (1.0, 23.0)]
    histories = [train("line", recipe) for recipe in recipes]
    assert histories[1].summary().startswith("Rising")
    bars, _, text = outcome_bars(["1", "23"], histories)
    assert [bar[1] for bar in bars] == ["", "rises"]
    assert text.endswith("rises at 23.")


def test_a_rise_with_a_jump_is_unstable_only_above_its_start():
    at = np.arange(100)
    jumping = 1 + 0.01 * at + 4 * np.isin(at, range(86, 90))
    histories = [dataclasses.replace(PLAIN, loss=np.r_[first, jumping]) for first in (0.5, 5.0)]
    assert all(history.summary().startswith("Jumped") for history in histories)
    bars, _, _ = outcome_bars(["low", "high"], histories)
    assert [bar[1] for bar in bars] == ["rises", ""]


def test_only_neighbours_are_joined_to_a_range():
    diverged = train("bowl", Recipe(updates=100, scale=100.0))
    _, text = heights(diverged, ending(0.5), diverged, diverged)
    assert text.endswith("diverges at 0, 2 to 3.")


def test_runs_without_an_order_are_counted():
    diverged = train("bowl", Recipe(updates=100, scale=100.0))
    runs = [diverged, ending(0.5), diverged]
    found = outcome_bars(["SGD", "Adam", "Adagrad"], runs, "3 runs", in_order=False)
    assert found.ends == "Over 3 runs: the loss ends at 0.5 at Adam; diverges in 2 of them."
