"""Each rule of the verdict on a curve made for it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradwidgets.core import Recipe, train
from gradwidgets.core.verdict import ENOUGH, sentence, verdict

N = np.arange(100)
CURVES = {
    "converged": 0.2 + 2 * np.exp(-N / 5),
    "improving": 1.0 - 0.005 * N,
    "stalled": 1.0 + 0.001 * np.sin(N),
    "oscillating": 1.0 + 0.5 * (-1.0) ** N,
    "rising": np.concatenate([1.0 - 0.015 * N[:50], 0.25 + 0.01 * N[:50]]),
}


@pytest.mark.parametrize("word", CURVES)
def test_a_curve_made_for_a_rule_gets_its_verdict(word: str) -> None:
    assert verdict(CURVES[word], None) == word


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("word", CURVES)
def test_the_verdict_does_not_depend_on_the_unit_of_the_loss(word: str, factor: float) -> None:
    assert verdict(factor * CURVES[word], None) == word


def test_a_curve_that_ends_above_its_start_is_rising() -> None:
    assert verdict(1.0 + 0.01 * N, None) == "rising"


@pytest.mark.parametrize("growth", [1.05, 2.0, 1000.0])
def test_a_curve_that_only_grows_is_rising_however_fast(growth: float) -> None:
    assert verdict(growth**N, None) == "rising"


def test_a_curve_that_swings_while_it_grows_oscillates() -> None:
    assert verdict(1.05**N * (1.5 + (-1.0) ** N), None) == "oscillating"


@pytest.mark.parametrize("updates", [8, 10, 12])
def test_a_short_curve_can_oscillate(updates: int) -> None:
    assert verdict(2.0 + (-1.0) ** np.arange(updates), None) == "oscillating"


def test_a_curve_that_only_falls_is_improving_however_fast() -> None:
    assert verdict(1.0 - 0.0099 * N, None) == "improving"


def test_a_noisy_settled_run_has_converged() -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal(200)
    assert verdict(0.3 + 2 * np.exp(-np.arange(200) / 8) + noise, None) == "converged"


@pytest.mark.parametrize(
    ("stopped", "word"),
    [
        ((99, "diverged"), "diverged"),
        ((99, "threshold"), "stopped"),
        ((99, "cancelled"), "stalled"),
    ],
)
def test_a_stop_decides_before_the_curve(stopped: tuple[int, str], word: str) -> None:
    assert verdict(CURVES["stalled"], stopped) == word


def test_a_short_run_is_not_judged() -> None:
    assert verdict(np.ones(ENOUGH - 1), None) == "short"
    assert verdict(np.ones(ENOUGH), None) == "stalled"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("converged", "Converged after 100 updates: the loss went from 2.2 to 0.2; the last 25 "),
        ("improving", "Still improving after 100 updates: the loss went from 1 to 0.505; the last"),
        ("stalled", "Stalled after 100 updates: the loss went from 1 to 0.999, a change of 0.0 %."),
        ("oscillating", "Oscillating after 100 updates: the loss went from 1.5 to 0.5, and it sti"),
        ("rising", "Rising after 100 updates: the loss went from 1 to 0.74; it goes up in the la"),
    ],
)
def test_the_sentence_gives_the_figures(word: str, text: str) -> None:
    assert sentence(CURVES[word], None, 100).startswith(text)


def test_improving_says_how_much_the_last_quarter_gained() -> None:
    said = re.search(r"the last 25 gained ([\d.]+) %", sentence(CURVES["improving"], None, 100))
    start, third, last = 1.0, np.median(CURVES["improving"][50:75]), 1 - 0.005 * 87
    assert said is not None
    assert float(said[1]) == pytest.approx(100 * (third - last) / (start - last), abs=0.06)


@pytest.mark.parametrize(
    ("updates", "stopped", "text"),
    [
        (0, None, "No update was made."),
        (0, (0, "diverged"), "Diverged at update 0: its loss is not finite."),
        (1, None, "After 1 update the loss went from 1 to 1."),
        (5, (5, "diverged"), "Diverged at update 5: the loss went from 1 to 1, then it was no"),
        (5, (4, "threshold"), "Stopped at its threshold after 5 updates of 9: the loss went"),
        (5, (5, "cancelled"), "Cancelled after 5 updates of 9: the loss went from 1 to 1."),
        (5, (5, "failed"), "Failed after 5 updates of 9: the loss went from 1 to 1."),
    ],
)
def test_the_sentence_of_a_run_that_ended_early(
    updates: int, stopped: tuple[int, str] | None, text: str
) -> None:
    assert sentence(np.ones(updates), stopped, 9).startswith(text)


@given(st.lists(st.floats(1e-300, 1.7e308), min_size=1, max_size=60))
@example([1.7e308] * 40)
@example([1e-300] * 40)
@example([1e-300] * 20 + [1.7e308] * 20)
def test_any_finite_positive_curve_gives_one_sentence(losses: list[float]) -> None:
    with np.errstate(all="ignore"):
        text = sentence(np.array(losses), None, len(losses))
    assert re.fullmatch(r"[A-Z][^\n]*[^.\n]\.", text)
    assert ". " not in text
    assert "nan" not in text


@given(st.lists(st.floats(-1e6, 1e6), min_size=ENOUGH, max_size=60))
def test_any_curve_gets_exactly_one_known_verdict(losses: list[float]) -> None:
    known = {"oscillating", "stalled", "rising", "improving", "converged"}
    assert verdict(np.array(losses), None) in known


@pytest.mark.parametrize(
    ("name", "recipe", "word"),
    [
        ("line", Recipe(updates=200), "Converged"),
        ("line", Recipe(lr=1e-5), "Stalled"),
        ("moons", Recipe(lr=0.02), "Still improving"),
        ("line", Recipe(scale=100.0), "Diverged"),
        ("moons", Recipe(lr=0.5, stop_below=0.4), "Stopped at its threshold"),
    ],
)
def test_real_runs_are_judged_as_a_person_would(name: str, recipe: Recipe, word: str) -> None:
    assert train(name, recipe).summary().startswith(word)
