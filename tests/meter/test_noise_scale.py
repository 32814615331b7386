"""The noise scale against closed forms, per-sample gradients in NumPy, and the paper's formulas."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets import train
from gradwidgets.core import Problem, Recipe
from gradwidgets.meter import NoiseScale, noise_scale, noise_scale_of
from gradwidgets.meter.noise_scale import unbiased_parts
from gradwidgets.meter.setups import padded_lengths, samples, tokens

DIMENSIONS, NOISE = 5, 2.0


def linear_problem(count: int = 8000, **changes: Any) -> Problem:
    """Least squares from a start at distance 1 of the truth: x normal, y with normal noise."""
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(count, DIMENSIONS, generator=draw, dtype=torch.float64)
    y = NOISE * torch.randn(count, 1, generator=draw, dtype=torch.float64)

    def model() -> nn.Module:
        layer = nn.Linear(DIMENSIONS, 1, bias=False).double()
        nn.init.constant_(layer.weight, 1 / math.sqrt(DIMENSIONS))  # the truth is 0
        return layer

    parts: dict[str, Any] = {"model": model, "data": (x, y), "loss": F.mse_loss}
    return Problem("linear", **(parts | changes))


def exact(per_sample: np.ndarray) -> tuple[float, float]:
    """tr(Sigma) and |G|^2 of a finite population of gradients, (samples, elements)."""
    mean = per_sample.mean(0)
    return float(((per_sample - mean) ** 2).sum(1).mean()), float(mean @ mean)


def linear_gradients(problem: Problem) -> np.ndarray:
    """The gradient of each sample's squared error, written out."""
    x, y = (part.numpy() for part in problem.batches())
    return 2 * (x.sum(1, keepdims=True) / math.sqrt(DIMENSIONS) - y) * x


def test_within_a_tenth_of_the_closed_form() -> None:
    """Of normal x and noise: Sigma = 4 ((|w|^2 + s^2) I + w w^T), G = 2 w, here with |w| = 1."""
    closed = (DIMENSIONS + 1) + DIMENSIONS * NOISE**2  # 26
    problem = linear_problem()
    trace, square = exact(linear_gradients(problem))
    assert trace / square == pytest.approx(closed, rel=0.05)  # the data is what it should be
    for sizes in ([8] * 8, [5, 20, 7], [64]):
        found = noise_scale(problem, sizes, draws=400)
        assert found.scale == pytest.approx(closed, rel=0.1)
        assert found.scale == pytest.approx(trace / square, rel=0.1)
        assert found.low < found.scale < found.high
        assert found.trace == pytest.approx(trace, rel=0.1)


def test_both_parts_are_unbiased_and_their_ratio_is_not() -> None:
    draw = np.random.default_rng(0)
    population = draw.standard_normal((10, 3)) + 0.3
    trace, square = exact(population)
    sizes = [1, 2, 5]
    rounds = 20_000
    picked = population[draw.integers(0, 10, (rounds, sum(sizes)))]
    means = np.stack([part.mean(1) for part in np.split(picked, np.cumsum(sizes)[:-1], axis=1)], 1)
    found = np.array([unbiased_parts(torch.tensor(each), sizes) for each in means])
    errors = found.std(0) / math.sqrt(rounds)
    assert abs(found[:, 0].mean() - trace) < 4 * errors[0]
    assert abs(found[:, 1].mean() - square) < 4 * errors[1]
    assert (found[:, 1] < 0).any()
    naive = (np.average(means, axis=1, weights=sizes) ** 2).sum(1).mean()
    assert naive - square > 20 * errors[1]  # |g|^2 itself is too large, by tr(Sigma) / B
    assert naive - square == pytest.approx(trace / sum(sizes), rel=0.1)


def test_for_equal_sizes_the_parts_are_those_of_the_papers_appendix() -> None:
    gradients = np.random.default_rng(1).standard_normal((4, 6))
    small, big = 8, 32
    square_small = (gradients**2).sum(1).mean()
    square_big = (gradients.mean(0) ** 2).sum()
    square = (big * square_big - small * square_small) / (big - small)
    trace = (square_small - square_big) / (1 / small - 1 / big)
    assert unbiased_parts(torch.tensor(gradients), [small] * 4) == pytest.approx((trace, square))
    found = noise_scale_of(torch.tensor(gradients), [small] * 4)
    assert (found.trace, found.square) == pytest.approx((trace, square))


def test_the_interval_is_a_jackknife_over_the_batches() -> None:
    gradients = np.random.default_rng(2).standard_normal((12, 4)) + 1
    sizes = np.arange(1, 13)
    found = noise_scale_of(torch.tensor(gradients), sizes.tolist())

    def inverse(keep: np.ndarray) -> float:
        trace, square = unbiased_parts(torch.tensor(gradients[keep]), sizes[keep].tolist())
        return square / trace

    without = np.array([inverse(np.arange(12) != i) for i in range(12)])
    error = math.sqrt(11 / 12 * ((without - without.mean()) ** 2).sum())
    middle = inverse(np.arange(12) >= 0)
    assert found.low == pytest.approx(1 / (middle + 2 * error))
    assert found.high == pytest.approx(1 / (middle - 2 * error))


def test_the_interval_holds_the_truth_most_of_the_time() -> None:
    problem = linear_problem(count=500)
    trace, square = exact(linear_gradients(problem))
    hits = 0
    for seed in range(60):
        found = noise_scale(problem, Recipe(accumulation_steps=4, batch_size=32, seed=seed))
        hits += found.low < trace / square < found.high
    assert 50 <= hits < 60  # about 95 % are promised; 50 is 83 %


def test_without_a_mean_gradient_it_cannot_be_told() -> None:
    """Targets that are +1 and -1 for the same x: the gradient's mean is exactly zero."""
    x, y = torch.ones(40, 1), torch.tensor([1.0, -1.0] * 20).unsqueeze(1)
    problem = Problem(
        "balance", partial(nn.Linear, 1, 1, bias=False), (x, y), lambda o, t: (o * t).mean()
    )
    found = [noise_scale(problem, Recipe(batch_size=8, seed=seed)) for seed in range(20)]
    assert np.mean([each.trace for each in found]) == pytest.approx(1.0, rel=0.2)
    assert sum(each.clear for each in found) <= 3
    assert all(each.clear or math.isnan(each.scale) for each in found)
    unclear = noise_scale(problem, Recipe(batch_size=8))
    assert "Cannot tell: the mean gradient is not clearly above its noise." in repr(unclear)
    assert unclear.page()["rows"] == []


def test_without_noise_one_sample_is_enough() -> None:
    x = torch.ones(8, 1)
    problem = Problem("same", partial(nn.Linear, 1, 1), (x, 0 * x), F.mse_loss)
    found = noise_scale(problem, [2, 2])
    assert (found.trace, found.scale, found.high) == (0.0, 0.0, 0.0)
    assert "one sample tells as much as any batch" in repr(found)
    nowhere = Problem("flat", partial(nn.Linear, 1, 1), (x, x), lambda o, _: (0 * o).mean())
    assert not noise_scale(nowhere, [2, 2]).clear


def test_unequal_tokens_weigh_as_the_loss_does() -> None:
    """The noise of a ratio of sums: e = sum of a sequence's token gradients - tokens * G."""
    lengths = padded_lengths(1.0) * 8
    problem = tokens(lengths)
    found = noise_scale(problem, [16] * 4, draws=400)
    torch.manual_seed(0)
    model = problem.build()
    x, y = problem.batches()
    rows = []
    for one, labels, length in zip(x, y, lengths, strict=True):
        model.zero_grad()
        loss = F.cross_entropy(model(one[None]).reshape(-1, 11), labels, reduction="sum")
        assert int((labels != -100).sum()) == length
        loss.backward()
        rows.append(torch.cat([p.grad.flatten() for p in model.parameters()]).numpy())
    sums, counts = np.stack(rows), np.array(lengths)
    mean = sums.sum(0) / counts.sum()
    apart = sums - counts[:, None] * mean
    in_sequences = (apart**2).sum(1).mean() / counts.mean() ** 2 / (mean @ mean)
    assert found.scale == pytest.approx(in_sequences, rel=0.1)
    assert found.tokens == pytest.approx(counts.mean())
    assert "targets that count" in repr(found)


def test_the_mean_gradient_is_weighed_by_the_targets_that_count() -> None:
    """Nine targets whose slope is 1 for each one whose slope is -1: G = 0.8, and not 0."""
    x = torch.ones(20, 9, 1, dtype=torch.float64)
    y = torch.where(torch.arange(20) % 2 == 0, 1, 0)[:, None].repeat(1, 9)
    y[1::2, 1:] = -100

    def slope(output: Tensor, target: Tensor) -> Tensor:
        signs = torch.where(target == 0, -1.0, 1.0)
        return (output.squeeze(-1) * signs)[target != -100].mean()

    problem = Problem("slopes", lambda: nn.Linear(1, 1, bias=False).double(), (x, y), slope)
    assert noise_scale(problem, [1] * 16, draws=200).square == pytest.approx(0.64, rel=0.1)


def test_every_micro_batch_draws_masks_of_its_own() -> None:
    """Equal samples: all noise is dropout's. Each element is 0 or 2: variance 1, mean 1."""
    x = torch.ones(16, 6, dtype=torch.float64)

    def model() -> nn.Module:
        return nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 1, bias=False)).double()

    problem = Problem("masks", model, (x, x[:, :1]), lambda output, _: output.mean())
    assert noise_scale(problem, [4] * 8, draws=100).scale == pytest.approx(1.0, rel=0.1)
    assert noise_scale(problem, [4] * 8, "dropout in eval").scale == 0.0


def test_after_some_updates_it_is_that_of_the_trained_model() -> None:
    problem = linear_problem(count=60)
    recipe = Recipe(lr=0.01, updates=10, batch_size=20, accumulation_steps=4)
    layer = problem.build()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(train(problem, recipe).parameters["weight"][3]))
    trained = Problem("trained", layer, problem.batches(), F.mse_loss)
    expected, found = noise_scale(trained, recipe), noise_scale(problem, recipe, after=3)
    assert (found.trace, found.square) == (expected.trace, expected.square)
    assert found.sizes == (5,) * 4
    assert found.trace != noise_scale(problem, recipe).trace


def test_nothing_of_the_learners_is_changed() -> None:
    layer = nn.Linear(DIMENSIONS, 1).double()
    problem = linear_problem(count=30, model=layer)
    before = layer.weight.detach().clone()
    draws = torch.get_rng_state()
    first = noise_scale(problem, [4, 4], after=2)
    assert torch.equal(draws, torch.get_rng_state())
    assert torch.equal(layer.weight, before)
    assert layer.weight.grad is None
    assert layer.training
    assert noise_scale(problem, [4, 4], after=2) == first


def test_batches_of_a_loader_are_drawn_from_together() -> None:
    whole = linear_problem(count=40)
    x, y = whole.batches()
    parts = linear_problem(data=list(zip(x.split(7), y.split(7), strict=True)))
    assert noise_scale(parts, [4, 4]).trace == noise_scale(whole, [4, 4]).trace
    assert noise_scale(parts, [4, 4]).population == 40


def test_batch_norm_is_refused_and_measured_in_eval() -> None:
    problem = samples(batch_norm=True)
    with pytest.raises(ValueError, match=r"mode='train' .* 'BatchNorm in eval': in training it"):
        noise_scale(problem, [8] * 4)
    assert noise_scale(problem, [8] * 4, "BatchNorm in eval").trace > 0

    def without_statistics() -> nn.Module:
        layers = [nn.Linear(8, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 1)]
        return nn.Sequential(*layers).double()

    coupled = Problem("coupled", without_statistics, problem.batches(), F.mse_loss)
    with pytest.raises(ValueError, match="running statistics"):
        noise_scale(coupled, [8] * 4, "eval")


def test_a_loss_that_is_no_mean_is_refused() -> None:
    for loss in (nn.MSELoss(reduction="sum"), lambda o, t: (o - t).square().sum()):
        with pytest.raises(ValueError, match=r"Problem\.loss: it sums over the samples"):
            noise_scale(linear_problem(loss=loss), [4, 4])

    def contrast(output: Tensor, _: Tensor) -> Tensor:
        return (output - output.mean()).square().mean()

    with pytest.raises(
        ValueError, match=r"Problem\.loss: of some samples it is .* mean over samples"
    ):
        noise_scale(linear_problem(loss=contrast), [4, 4])


def test_targets_that_are_ignored_must_be_counted_as_the_loss_counts_them() -> None:
    words = torch.randint(0, 5, (30, 4), generator=torch.Generator().manual_seed(0))
    words[::3, 1:] = 0

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output.flatten(0, 1), target.flatten(), ignore_index=0)

    def model() -> nn.Module:
        return nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))

    problem = Problem("words", model, (words, words), loss)
    with pytest.raises(ValueError, match="give `count` if it counts others"):
        noise_scale(problem, [8, 8])
    assert noise_scale(problem, [8, 8], count=lambda y: int((y != 0).sum())).trace > 0


def test_what_is_random_in_eval_too_is_measured() -> None:
    class Jitter(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + torch.randn_like(x))

    problem = linear_problem(model=lambda: Jitter(DIMENSIONS, 1).double())
    assert noise_scale(problem, [4, 4]).trace > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"split": []}, "sizes="),
        ({"split": [4, 0]}, "sizes=0"),
        ({"mode": "test"}, "mode='test'"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"after": 201}, "after=201"),
        ({"draws": 1}, "draws=1"),
    ],
)
def test_what_is_not_allowed_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        noise_scale(linear_problem(count=40), **arguments)


def test_gradients_that_are_not_finite_or_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="a gradient is not finite"):
        noise_scale(linear_problem(loss=lambda o, _: o.mean() * math.nan), [4, 4])
    for shape, sizes in [((3,), [1, 1, 1]), ((3, 2), [1, 1]), ((1, 2), [1])]:
        with pytest.raises(ValueError, match="gradients of shape="):
            noise_scale_of(torch.ones(shape), sizes)
    with pytest.raises(ValueError, match=r"sizes=\[1, 0\]"):
        noise_scale_of(torch.ones(2, 2), [1, 0])


def columns(found: NoiseScale) -> dict[str, list[str]]:
    return {row["name"]: [each["text"] for each in row["cells"]] for row in found.page()["rows"]}


def test_the_table_gives_updates_and_samples_for_each_batch() -> None:
    found = NoiseScale(16.0, 1.0, 12.0, 22.0, sizes=(4, 4, 4), draws=9, population=10, name="mine")
    shown = columns(found)
    assert shown["batch of 16"] == ["2 x", "2 x"]
    assert shown["batch of 4"] == ["5 x", "1.2 x"]
    assert shown["batch of 12 ◀ here"] == ["2.3 x", "1.8 x"]
    text = repr(found)
    assert text.startswith("mine: Gradient noise scale after 0 updates")
    assert "about 16 (12 to 22) samples" in text
    assert "more than the 10 samples that there are" in text
    assert "Measured on 9 batches of 12 samples in micro-batches of 4, 4, 4" in text
    assert "<table>" in found._repr_html_()


def test_a_run_with_the_noise_scale_as_batch_takes_twice_the_fewest_of_both() -> None:
    found = NoiseScale(30.0, 2.0, 12.0, 22.0)
    assert (found.steps(15), found.samples(15)) == (2.0, 2.0)
    for batch in (1, 7, 100):  # eq. 2.11 of the paper
        assert (found.steps(batch) - 1) * (found.samples(batch) - 1) == pytest.approx(1.0)
