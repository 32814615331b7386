"""The metric on held-out data, against the same figure worked out by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets import Problem, Recipe, TrainingError, sweep, train
from gradwidgets.core.metric import HeldOut

X = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
SIGN = (X[:, 0] > 0).float()
CLASS = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
SHORT = Recipe(lr=0.3, updates=12)


def one() -> nn.Module:
    return nn.Linear(5, 1)


def squeezed() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 1), nn.Flatten(0))


def probability() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 1), nn.Sigmoid())


def three() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 3))


def ends(model: Any, y: torch.Tensor, loss: Any, **options: Any) -> tuple[Any, torch.Tensor]:
    """The history of a short run, and the trained model's outputs in eval mode."""
    history = train(Problem("own", model, (X, y), loss, held_out=(X, y), **options), SHORT)
    return history, history.model.eval()(X).detach()


@pytest.mark.parametrize(
    ("model", "y", "loss", "threshold"),
    [
        (one, SIGN[:, None], F.binary_cross_entropy_with_logits, 0.0),
        (one, SIGN[:, None], nn.BCEWithLogitsLoss(), 0.0),
        (squeezed, SIGN, partial(F.binary_cross_entropy_with_logits), 0.0),
        (probability, SIGN[:, None], nn.BCELoss(), 0.5),
    ],
)
def test_one_score_is_right_on_its_side_of_the_threshold(
    model: Any, y: torch.Tensor, loss: Any, threshold: float
) -> None:
    history, out = ends(model, y, loss)
    right = ((out > threshold).float().flatten() == SIGN).sum().item() / 60
    assert history.metric == "accuracy"
    assert history.held_out[-1].tolist() == [12, right]
    assert history.accuracy.tolist() == history.held_out.tolist()


@pytest.mark.parametrize(("metric", "sign", "start"), [("accuracy", 1, 0), ("error", -1, 1)])
def test_classes_are_compared_with_the_highest_score(metric: str, sign: int, start: int) -> None:
    history, out = ends(three, CLASS, F.cross_entropy, metric=metric)
    right = sum(int(row.argmax()) == int(y) for row, y in zip(out, CLASS, strict=True)) / 60
    assert history.metric == metric
    assert history.held_out[-1, 1] == pytest.approx(start + sign * right)


@pytest.mark.parametrize(
    ("model", "y", "loss"),
    [
        (one, X[:, :1], F.mse_loss),
        (one, SIGN[:, None], lambda o, y: F.binary_cross_entropy_with_logits(o, y)),
        (one, 0.5 * SIGN[:, None], nn.BCEWithLogitsLoss()),
        (three, X[:, :3], F.mse_loss),
        (three, CLASS, lambda o, y: (o - F.one_hot(y, 3)).square().mean()),
        (three, CLASS, nn.MultiMarginLoss()),
        (
            three,
            CLASS,
            lambda o, y: (
                (F.normalize(o) @ F.normalize(o).T - (y[:, None] == y).float()).square().mean()
            ),
        ),
    ],
)
def test_where_no_accuracy_fits_the_loss_is_measured(
    model: Any, y: torch.Tensor, loss: Any
) -> None:
    history, out = ends(model, y, loss)
    assert history.metric == "loss"
    assert history.held_out[-1, 1] == pytest.approx(loss(out, y).item())
    assert history.accuracy.shape == (0, 2)


@pytest.mark.parametrize("loss", [F.cross_entropy, nn.CrossEntropyLoss(), partial(F.nll_loss)])
def test_accuracy_is_the_default_of_a_known_classification_loss(loss: Any) -> None:
    history, out = ends(three, CLASS, loss)
    assert history.metric == "accuracy"
    assert history.held_out[-1, 1] == pytest.approx((out.argmax(1) == CLASS).float().mean().item())


def worst(output: torch.Tensor, target: torch.Tensor) -> float:
    return (output - target).abs().max().item()


def test_a_function_names_itself() -> None:
    history, out = ends(one, X[:, :1], F.mse_loss, metric=worst)
    assert history.metric == "worst"
    assert history.held_out[-1, 1] == pytest.approx(np.abs(out.numpy() - X[:, :1].numpy()).max())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_batches_of_unequal_size_weigh_by_their_samples(reduction: str) -> None:
    loss = partial(F.mse_loss, reduction=reduction)
    y = X[:, :1]
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    whole, parts = (
        train(Problem("own", one, (X, y), loss, held_out=held), Recipe(lr=1e-3, updates=3))
        for held in ((X, y), loader)
    )
    np.testing.assert_allclose(parts.held_out, whole.held_out, rtol=1e-6)
    np.testing.assert_array_equal(parts.loss, whole.loss)


def test_measuring_draws_nothing_from_the_run() -> None:
    def noisy(*_: object) -> float:
        return torch.rand(()).item()

    measured = train(Problem("a", three, (X, CLASS), F.cross_entropy, (X, CLASS), metric=noisy))
    alone = train(Problem("a", three, (X, CLASS), F.cross_entropy))
    np.testing.assert_array_equal(measured.loss, alone.loss)


@pytest.mark.parametrize("metric", [None, "accuracy", "error", "loss", worst])
@pytest.mark.filterwarnings("ignore:sweep")
def test_a_sweep_measures_the_same_bits(metric: Any) -> None:
    y = CLASS if metric is not worst else X[:, :3]
    loss = F.cross_entropy if metric is not worst else F.mse_loss
    problem = Problem("own", lambda: nn.Linear(5, 3), (X, y), loss, held_out=(X, y), metric=metric)
    for history in sweep(problem, SHORT, "lr", [0.1, 0.2, 0.4]):
        alone = train(problem, history.recipe)
        assert history.metric == alone.metric
        np.testing.assert_array_equal(history.held_out, alone.held_out)


@pytest.mark.parametrize("metric", ["precision", 3, True, nn.Linear])
def test_what_is_no_metric_is_refused_at_once(metric: Any) -> None:
    with pytest.raises(ValueError, match=r"Problem\.metric=.* is not allowed; give None, one of"):
        Problem("own", one, (X, X[:, :1]), F.mse_loss, metric=metric)


def test_an_accuracy_that_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"metric='accuracy' does not fit the output \(60, 1\)"):
        ends(one, X[:, :1], F.mse_loss, metric="accuracy")


def test_a_metric_must_return_one_number() -> None:
    with pytest.raises(ValueError, match=r"give one number"):
        ends(one, X[:, :1], F.mse_loss, metric=lambda o, y: (o - y).abs())


def test_a_lambda_goes_by_metric() -> None:
    problem = Problem(
        "own",
        one,
        (X, X[:, :1]),
        F.mse_loss,
        held_out=(X, X[:, :1]),
        metric=lambda output, target: (output - target).abs().mean(),
    )
    assert problem.metric_name() == train(problem, SHORT).metric == "metric"


def test_a_metric_of_ones_own_is_averaged_whatever_its_name_and_the_loss() -> None:
    def loss(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().mean()

    halves = [(X[:40], X[:40, :1]), (X[40:], X[40:, :1])]
    summed = nn.MSELoss(reduction="sum")
    problem = Problem("own", one, (X, X[:, :1]), summed, held_out=halves, metric=loss)
    history = train(problem, Recipe(lr=1e-4, updates=1))
    assert history.model is not None
    expected = (history.model(X) - X[:, :1]).abs().mean().item()
    assert history.held_out[-1, 1] == pytest.approx(expected, rel=1e-5)


def test_the_picture_names_the_metric() -> None:
    from gradwidgets.plots.panels import make, suited

    problem = Problem("own", one, (X, X[:, :1]), F.mse_loss, held_out=(X, X[:, :1]))
    assert suited(problem) == ("loss", "gradient", "ratio")  # it is dotted beside the loss
    assert make(["held_out"], problem)[0].title == "loss on held-out data"
    problem = Problem(
        "own", one, (X, X[:, :1]), F.mse_loss, held_out=(X, X[:, :1]), metric=F.l1_loss
    )
    assert suited(problem) == ("loss", "gradient", "held_out")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10])
def test_accuracy_is_the_share_of_the_judged_samples_however_they_are_batched(size: int) -> None:
    scores = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, -100, 2, -100, -100, 1, 0, 2, 1])
    judged = target != -100
    truth = (scores[judged].argmax(1) == target[judged]).double().mean().item()
    batches = list(zip(scores.split(size), target.split(size), strict=True))
    held_out = HeldOut(batches, "accuracy", F.cross_entropy)
    assert held_out.measure(nn.Identity()) == pytest.approx(truth, abs=1e-15)


def largest(output: torch.Tensor, _: torch.Tensor) -> float:
    return output.max().item()


@pytest.mark.parametrize("metric", [None, "accuracy", "loss", largest])
@pytest.mark.filterwarnings("ignore:sweep")
def test_an_empty_batch_does_not_count(metric: Any) -> None:
    parts: dict[str, Any] = {"model": three, "data": (X, CLASS), "loss": F.cross_entropy}
    empty = (X[:0], CLASS[:0])
    whole, gaps = (
        Problem("gaps", **parts, held_out=held_out, metric=metric)
        for held_out in ([(X, CLASS)], [empty, (X, CLASS), empty])
    )
    recipe = Recipe(updates=3)
    expected = train(whole, recipe).held_out
    assert train(gaps, recipe).held_out.tolist() == expected.tolist()
    assert sweep(gaps, recipe, "lr", [recipe.lr, 0.5])[0].held_out.tolist() == expected.tolist()


def test_a_metric_that_would_broadcast_is_refused_in_words() -> None:
    problem = Problem("b", one, (X, X[:, :1]), F.mse_loss, held_out=(X, X[:, 0]))
    with pytest.raises(TrainingError, match=r"mse_loss would broadcast the output \(60, 1\)"):
        train(problem, Recipe(updates=1))
