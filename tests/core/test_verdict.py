"""Curves as a person would call them, and what must hold for the sentence of any curve."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradwidgets.core import Recipe, train
from gradwidgets.core.verdict import ENOUGH, sentence, verdict

N = np.arange(100)
WAVE = np.sin(N / 2)
NOISE = np.random.default_rng(0).standard_normal(100)
CURVES = {
    "fall": ("improving", 1.0 - 0.005 * N),
    "fall below zero": ("improving", 0.4 - 0.01 * N),
    "slow steady fall": ("improving", 20 - 0.01 * N),
    "slow decay": ("improving", 1 / (1 + N)),
    "noisy fall": ("improving", 1.0 - 0.005 * N + 0.02 * NOISE),
    "plateau, then a drop": ("improving", np.r_[np.full(90, 2.3), np.linspace(2.3, 0.1, 10)]),
    "lucky first batch, then a fall": ("improving", np.r_[0.9, np.linspace(1.3, 0.95, 99)]),
    "fall with a spike at its end": ("improving", np.r_[np.exp(-N[:-1] / 15), 40.0]),
    "fall, one high jump, then a fall": (
        "improving",
        np.r_[np.linspace(1, 0.3, 60), 2, 6, 9, 7, 2, np.geomspace(0.5, 0.02, 35)],
    ),
    "plateau with one high jump": (
        "plateau",
        0.3 + 2 * np.exp(-N / 4) + 5 * np.isin(N, range(60, 70)),
    ),
    "plateau with one high jump near its end": (
        "plateau",
        0.3 + 2 * np.exp(-N / 4) + 5 * np.exp(-((N - 88) ** 2) / 9),
    ),
    "fall to a plateau": ("plateau", 0.2 + 2 * np.exp(-N / 5)),
    "noisy plateau": ("plateau", 0.3 + 2 * np.exp(-N / 4) + 0.003 * NOISE),
    "plateau with a spike": ("plateau", 0.3 + 2 * np.exp(-N / 4) + (N == 70)),
    "plateau with a spike at its end": ("plateau", 0.3 + 2 * np.exp(-N / 4) + (N == 99)),
    "plateau below zero": ("plateau", -3 + 2 * np.exp(-N / 5)),
    "constant": ("stalled", np.ones(100)),
    "zero": ("stalled", np.zeros(100)),
    "hardly moving": ("stalled", 1.0 + 0.001 * WAVE),
    "lucky first batch, then flat": ("stalled", np.r_[0.5, np.full(99, 2.0)]),
    "swing as large as the loss": ("oscillating", 1.0 + 0.5 * (-1.0) ** N),
    "slow large wave": ("oscillating", 1.0 + 0.5 * WAVE),
    "small swing after a long fall": ("swinging", 4.0 * np.exp(-N / 4) + 0.025 + 0.01 * WAVE),
    "rise": ("rising", 1.0 + 0.01 * N),
    "rise with one high jump": ("jumped", 1 + 0.01 * N + 4 * np.isin(N, range(86, 90))),
    "explosion": ("rising", 1000.0**N),
    "fall, then a rise": ("rising", np.r_[1.0 - 0.015 * N[:50], 0.25 + 0.01 * N[:50]]),
    "jump, then level": ("risen", np.r_[np.ones(10), np.full(90, 40.0)]),
    "jump, then part of it back": ("risen", np.r_[np.ones(10), np.linspace(80, 40, 90)]),
}
WORDS = {word for word, _ in CURVES.values()}


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_called_what_a_person_calls_it(name: str) -> None:
    word, loss = CURVES[name]
    assert verdict(loss, None) == word


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e6])
@pytest.mark.parametrize("name", CURVES)
def test_the_verdict_does_not_depend_on_the_unit_of_the_loss(name: str, factor: float) -> None:
    word, loss = CURVES[name]
    assert verdict(factor * loss, None) == word


@given(st.integers(0, 99), st.floats(1.5, 100))
def test_one_spike_at_any_place_changes_no_word(at: int, height: float) -> None:
    for name in ("fall", "fall to a plateau", "constant"):
        word, loss = CURVES[name]
        spiked = np.where(at == N, height * loss, loss)
        from_above = word == "stalled" and at == 0  # a first loss that is higher is a start
        assert verdict(spiked, None) == ("plateau" if from_above else word)


def test_a_swing_of_constant_size_is_hardly_ever_a_fall_or_a_rise_and_never_converged() -> None:
    rng = np.random.default_rng(0)
    words = []
    for _ in range(2000):
        at, period = np.arange(int(rng.integers(60, 301))), rng.uniform(2, 9)
        wave = np.sin(2 * np.pi * at / period + rng.uniform(0, 6))
        words.append(verdict(1 + rng.uniform(0.3, 0.9) * wave, None))
    assert words.count("improving") + words.count("rising") <= 40
    assert "converged" not in words


@pytest.mark.parametrize("updates", range(ENOUGH, 21))
def test_a_loss_that_bounces_at_every_update_oscillates_however_short_the_run(updates: int) -> None:
    for swing in (0.3, 0.5, -0.9):
        loss = 1 + swing * (-1.0) ** np.arange(updates)
        assert verdict(loss, None) == "oscillating"
        assert "jumped" not in sentence(loss, None, updates)


def test_noise_alone_is_seldom_a_fall_or_a_rise_and_never_converged() -> None:
    rng = np.random.default_rng(0)
    words = [
        verdict(2 + 0.05 * rng.standard_normal(int(rng.integers(32, 400))), None)
        for _ in range(1000)
    ]
    assert words.count("improving") + words.count("rising") <= 20
    assert "converged" not in words


def test_a_fall_that_is_as_noisy_as_mini_batches_is_a_fall() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        updates = int(rng.integers(150, 400))
        noise = 1 + 0.2 * rng.standard_normal(updates)
        assert verdict(np.linspace(2, 0.5, updates) * noise, None) == "improving"


def test_only_a_gradient_that_has_vanished_tells_that_a_run_converged() -> None:
    loss = CURVES["fall to a plateau"][1]
    assert verdict(loss, None, np.exp(-N / 5)) == "converged"
    assert verdict(loss, None, 0.01 + np.exp(-N / 5)) == "plateau"
    assert verdict(np.ones(100), None, np.exp(-N / 5)) == "stalled"
    assert verdict(CURVES["small swing after a long fall"][1], None, np.ones(100)) == "swinging"
    assert sentence(loss, None, 100, np.exp(-N / 5)).startswith("Converged after 100 updates")


@pytest.mark.parametrize(
    ("stopped", "word"),
    [
        ((99, "diverged"), "diverged"),
        ((99, "threshold"), "stopped"),
        ((99, "cancelled"), "stalled"),
    ],
)
def test_a_stop_decides_before_the_curve(stopped: tuple[int, str], word: str) -> None:
    assert verdict(np.ones(100), stopped) == word


def test_a_short_run_is_not_judged() -> None:
    assert verdict(np.ones(ENOUGH - 1), None) == "short"
    assert verdict(np.ones(ENOUGH), None) == "stalled"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "plateau, then a drop",
            "Still improving after 100 updates: the loss was 2.3 at the start, 2.3 in the third "
            "quarter and 0.7111 at the end; its last loss was 0.1.",
        ),
        (
            "lucky first batch, then flat",
            "Stalled after 100 updates: the loss was 2 over the first updates, 2 in the third "
            "quarter and 2 at the end; its first loss was 0.5.",
        ),
        (
            "swing as large as the loss",
            "Oscillating after 100 updates: the loss was 1.5 at the start, 1 in the third "
            "quarter and 1 at the end; it swings between 0.5 and 1.5 in the second half.",
        ),
        (
            "fall, one high jump, then a fall",
            "Still improving after 100 updates: the loss was 1 at the start, 0.3534 in the third "
            "quarter and 0.02537 at the end; it jumped to 9 in the second half; its last loss was "
            "0.02.",
        ),
        (
            "jump, then level",
            "Above its start after 100 updates: the loss was 1 at the start, 40 in the third "
            "quarter and 40 at the end.",
        ),
    ],
)
def test_the_sentence_gives_the_figures(name: str, text: str) -> None:
    assert sentence(CURVES[name][1], None, 100) == text


@pytest.mark.parametrize(
    ("updates", "stopped", "text"),
    [
        (0, None, "No update was made."),
        (0, (0, "diverged"), "Diverged at update 0: its loss is not finite."),
        (0, (0, "cancelled"), "Cancelled before the first update."),
        (0, (0, "failed"), "Failed before the first update was made."),
        (1, None, "So far 1 of 9 updates: the loss was 1."),
        (2, None, "So far 2 of 9 updates: the loss went from 1 to 1."),
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


def test_the_sentence_of_a_run_too_short_to_be_judged() -> None:
    assert sentence(np.ones(1), None, 1) == "After 1 update the loss was 1."
    assert sentence(np.ones(2), None, 2) == "After 2 updates the loss went from 1 to 1."


FIGURES = (
    r": the loss was (\S+) (?:at the start|over the first updates), "
    r"(\S+) in the third quarter and ([^\s;]+) at the end"
)


@given(st.lists(st.floats(-8e307, 8e307), min_size=ENOUGH, max_size=60))
@example([8e307] * 40)
@example([1e-300] * 20 + [8e307] * 20)
def test_the_figures_are_losses_and_agree_with_the_word(losses: list[float]) -> None:
    with np.errstate(over="ignore"):
        text = sentence(np.array(losses), None, len(losses))
        word = verdict(np.array(losses), None)
    assert word in WORDS
    assert re.fullmatch(r"[A-Z][^\n]*[^.\n]\.", text)
    assert "nan" not in text
    found = re.search(FIGURES, text)
    assert found is not None
    quarter = 2 * (len(losses) // 8)
    assert found[2] == f"{np.median(losses[-2 * quarter : -quarter]):.4g}"
    start, middle, end = (float(figure.rstrip(".")) for figure in found.groups())
    agrees = {
        "improving": end < middle and end <= start,
        "rising": end > middle,
        "jumped": end > middle,
        "risen": end > start,
    }
    assert agrees.get(word, True)


@pytest.mark.parametrize(
    ("name", "recipe", "word"),
    [
        ("line", Recipe(updates=200), "Converged"),
        ("line", Recipe(lr=1e-5), "Stalled"),
        ("moons", Recipe(lr=0.02), "Still improving"),
        ("moons", Recipe(lr=0.5), "On a plateau"),
        ("line", Recipe(scale=100.0), "Diverged"),
        ("moons", Recipe(lr=0.5, stop_below=0.4), "Stopped at its threshold"),
    ],
)
def test_real_runs_are_judged_as_a_person_would(name: str, recipe: Recipe, word: str) -> None:
    assert train(name, recipe).summary().startswith(word)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop", "Adagrad"])
@pytest.mark.parametrize("name", ["line", "bowl", "moons"])
def test_a_run_that_converged_gains_nothing_more_in_five_times_the_updates(
    name: str, optimizer: str, seed: int
) -> None:
    for lr in (0.01, 0.1, 0.5):
        run = train(name, Recipe(optimizer, lr=lr, seed=seed))
        if run.summary().startswith("Converged"):
            longer = train(name, run.recipe.replace(updates=1000)).loss
            assert longer[-1] == pytest.approx(run.loss[-1], abs=0.2 * (run.loss[0] - run.loss[-1]))
