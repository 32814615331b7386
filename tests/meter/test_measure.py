"""The meter against gradients accumulated by hand, and the known figures."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets.core import Problem, Recipe, problems
from gradwidgets.meter.measure import (
    MODES,
    Measurement,
    count_tokens,
    measure,
    ragged_sizes,
    recipe_sizes,
)
from gradwidgets.meter.setups import padded_lengths, samples, tokens
from tests.examples import SAMPLES, double_problem, doubles

EQUAL, RAGGED = [8] * 4, [10, 10, 10, 2]
ROUNDING = 1e-15
ALL_BUT_SUM = ("mean", "samples", "tokens")
PADDED = tokens([12, 10, 3, 2, 11, 1, 2, 2])


def one_layer(between: nn.Module, loss: Any = F.mse_loss) -> Problem:
    """The network of `samples` with something between its layers."""

    def model() -> nn.Module:
        parts = [nn.Linear(8, 16), copy.deepcopy(between), nn.Tanh(), nn.Linear(16, 1)]
        return nn.Sequential(*parts).double()

    return Problem("one layer", model, samples().batches(), loss)


SUMMED = one_layer(nn.Identity(), nn.MSELoss(reduction="sum"))
LAYER_NORM = one_layer(nn.LayerNorm(16))
ONE_DROPOUT = one_layer(nn.Dropout(0.5))


def exact(found: Measurement, *rules: str) -> bool:
    return all(found.differences[rule] < ROUNDING for rule in rules) and found.correct == rules


@pytest.mark.parametrize(
    ("problem", "sizes", "rule", "expected"),
    [
        (samples(), RAGGED, "mean", 0.23),
        (SUMMED, EQUAL, "mean", 0.75),
        (samples(batch_norm=True), EQUAL, "mean", 0.37),
        (samples(batch_norm=True), EQUAL, "samples", 0.37),
        (PADDED, [2] * 4, "mean", 0.63),
        (PADDED, [2] * 4, "samples", 0.63),
        (samples(), EQUAL, "sum", 3.0),
    ],
)
@pytest.mark.single_precision("torch draws other numbers in double precision")
def test_wrong_rules_cost_what_is_known(
    problem: Problem, sizes: list[int], rule: str, expected: float
) -> None:
    found = measure(problem, sizes)
    assert found.differences[rule] == pytest.approx(expected, abs=0.005)
    assert rule not in found.correct


@pytest.mark.parametrize(
    ("problem", "sizes", "mode", "correct"),
    [
        (samples(), EQUAL, "train", ALL_BUT_SUM),
        (samples(), RAGGED, "train", ("samples", "tokens")),
        (samples(), [1] * 32, "train", ALL_BUT_SUM),
        (SUMMED, EQUAL, "train", ("sum",)),
        (samples(batch_norm=True), EQUAL, "BatchNorm in eval", ALL_BUT_SUM),
        (LAYER_NORM, EQUAL, "train", ALL_BUT_SUM),
        (LAYER_NORM, RAGGED, "train", ("samples", "tokens")),
        (ONE_DROPOUT, EQUAL, "train", ALL_BUT_SUM),  # its draws are those of the full batch
        (samples(dropout=0.5), EQUAL, "train", ()),
        (samples(dropout=0.5), RAGGED, "dropout in eval", ("samples", "tokens")),
        (PADDED, [2] * 4, "train", ("tokens",)),
        (PADDED, [5, 2, 1], "train", ("tokens",)),
        (tokens([12] * 8), [2] * 4, "train", ALL_BUT_SUM),
    ],
)
def test_correct_rules_are_correct_to_rounding(
    problem: Problem, sizes: list[int], mode: str, correct: tuple[str, ...]
) -> None:
    found = measure(problem, sizes, mode)
    assert exact(found, *correct), found


@pytest.mark.single_precision("it measures the rounding of single precision")
def test_single_precision_shows_its_own_rounding() -> None:
    found = measure(samples(), EQUAL, dtype="float32")
    assert 1e-8 < found.differences["mean"] < 1e-6
    assert found.correct == ("mean", "samples", "tokens")
    assert measure("moons", [50] * 4, dtype="float64").differences["mean"] < ROUNDING
    assert 1e-8 < measure("moons", [50] * 4).differences["mean"] < 1e-6
    assert measure(samples(), RAGGED, dtype="float32").correct == ("samples", "tokens")


@pytest.mark.single_precision("torch draws other numbers in double precision")
def test_batch_norm_statistics_differ_too() -> None:
    """One update of a running mean by the full batch, against four by quarters."""
    found = measure(samples(batch_norm=True), EQUAL)
    problem = samples(batch_norm=True)
    x, _ = problem.batches()
    torch.manual_seed(0)
    once = problem.build()
    torch.manual_seed(0)
    often = problem.build()
    once(x)
    for part in x.split(8):
        often(part)
    pairs = zip(once.buffers(), often.buffers(), strict=True)
    apart = [float((a - b).abs().max()) for a, b in pairs if a.is_floating_point()]
    assert found.buffers == pytest.approx(max(apart))
    assert apart[0] == pytest.approx(0.09, abs=0.005)
    assert measure(samples(batch_norm=True), EQUAL, "BatchNorm in eval").buffers == 0


@pytest.mark.single_precision("torch draws other numbers in double precision")
def test_two_dropout_layers_with_the_known_seed() -> None:
    def model() -> nn.Module:
        torch.manual_seed(0)
        layers = [nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.5)]
        layers += [nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 1)]
        torch.manual_seed(9)  # what the masks are drawn with
        return nn.Sequential(*layers).double()

    found = measure(Problem("two", model, samples().batches(), F.mse_loss), EQUAL)
    assert found.differences["mean"] == pytest.approx(0.55, abs=0.005)


def gradient(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("sizes", [[3, 4, 1], [8], [1, 7], [2, 2]])
def test_every_rule_against_accumulation_by_hand(sizes: list[int]) -> None:
    problem = PADDED
    x, y = problem.batches()
    x, y = x[: sum(sizes)], y[: sum(sizes)]
    torch.manual_seed(0)
    model = problem.build()

    def accumulated(weights: list[float]) -> Tensor:
        model.zero_grad()
        parts = zip(x.split(sizes), y.split(sizes), weights, strict=True)
        for xk, yk, weight in parts:
            output = model(xk)
            loss = F.cross_entropy(output.reshape(-1, 11), yk.reshape(-1), ignore_index=-100)
            (weight * loss).backward()
        return gradient(model)

    full_tokens = float((y != -100).sum())
    counts = [float((yk != -100).sum()) for yk in y.split(sizes)]
    model.zero_grad()
    F.cross_entropy(model(x).reshape(-1, 11), y.reshape(-1)).backward()
    full = gradient(model)
    rules = {
        "sum": [1.0] * len(sizes),
        "mean": [1 / len(sizes)] * len(sizes),
        "samples": [size / sum(sizes) for size in sizes],
        "tokens": [count / full_tokens for count in counts],
    }
    found = measure(problem, sizes)
    assert list(found.differences) == list(rules)
    assert found.tokens == tuple(counts)
    for rule, weights in rules.items():
        sums = accumulated(weights)
        expected = float((sums - full).norm() / full.norm())
        assert found.differences[rule] == pytest.approx(expected, rel=1e-9, abs=ROUNDING)
        assert found.ratios[rule] == pytest.approx(float(sums.norm() / full.norm()))


def test_a_micro_batch_of_padding_only_adds_nothing() -> None:
    x, y = PADDED.batches()
    y = y.clone()
    y[2:4] = -100
    found = measure(Problem("padded", PADDED.model, (x, y), problems.token_loss), [2] * 4)
    assert found.correct == ("tokens",)
    assert found.tokens[1] == 0
    assert found.differences["mean"] > 0.5


def test_padding_is_one_number() -> None:
    assert padded_lengths(0) == (12,) * 8
    assert padded_lengths(1)[0] == 12
    assert padded_lengths(1)[-1] == 1
    costs = [measure(tokens(padded_lengths(p)), [2] * 4).differences["mean"] for p in (0, 0.5, 1)]
    assert costs[0] < ROUNDING < costs[1] < costs[2]


def test_tokens_are_the_targets_that_count() -> None:
    assert count_tokens(torch.tensor([[1, -100], [2, 0]])) == 3
    assert count_tokens(torch.zeros(3, 2)) == 6


@pytest.mark.single_precision("it asks for the usual default dtype")
def test_a_loader_and_an_own_model_stay_as_they_are() -> None:
    own = samples(batch_norm=True).build()
    held = [value.clone() for value in own.state_dict().values()]
    loader = DataLoader(TensorDataset(*samples().batches()), batch_size=8, shuffle=True)
    torch.manual_seed(6)
    rng = torch.get_rng_state()
    with torch.no_grad():
        found = measure(Problem("own", own, loader, F.mse_loss), [8, 4], "BatchNorm in eval")
    assert found.correct == ("samples", "tokens")
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.get_default_dtype() == torch.float32
    for value, old in zip(own.state_dict().values(), held, strict=True):
        assert torch.equal(value, old)
    assert all(p.grad is None for p in own.parameters())
    assert own.training


class Odd(nn.Module):
    """BatchNorm, dropout as a layer and as a function, a frozen and an unused parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(3, 6), nn.BatchNorm1d(6)
        self.drop, self.last = nn.Dropout(0.4), nn.Linear(6, 2)
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(3))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.drop(self.norm(self.first(x)).tanh())
        hidden = F.dropout(hidden, 0.2, training=self.training)
        return self.last(hidden) * self.frozen


def by_hand(recipe: Recipe, mode: str) -> tuple[float, float]:
    """The recipe's own first gradient against the full batch's: difference and ratio."""
    x, y = doubles()
    order = torch.Generator().manual_seed(recipe.seed)
    if recipe.batch_size:
        index = torch.randperm(SAMPLES, generator=order)[: recipe.batch_size]
        x, y = x[index], y[index]
    k = recipe.accumulation_steps
    found = []
    for pairs, share in (
        ([(x, y)], 1),
        (list(zip(x.chunk(k), y.chunk(k), strict=True)), k if recipe.average else 1),
    ):
        torch.manual_seed(recipe.seed)
        model = Odd().train(mode != "eval")
        if mode == "BatchNorm in eval":
            model.norm.eval()
        if mode == "dropout in eval":
            model.drop.eval()
        for xk, yk in pairs:
            (F.mse_loss(model(xk), yk) / share).backward()
        grads = [torch.zeros(3) if p.grad is None else p.grad for p in model.parameters()]
        found.append(torch.cat([g.flatten() for g in grads if g is not model.frozen.grad]))
    full, sums = found
    return float((sums - full).norm() / full.norm()), float(sums.norm() / full.norm())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(accumulation_steps=4),
        Recipe(accumulation_steps=3, average=False, seed=2),
        Recipe(accumulation_steps=5, batch_size=14, seed=3),
        Recipe(accumulation_steps=6, batch_size=14),  # chunk gives five parts, divided by six
        Recipe(batch_size=8),
    ],
)
def test_a_recipe_is_measured_as_it_accumulates(recipe: Recipe, mode: str) -> None:
    problem = double_problem(model=Odd)
    found = measure(problem, recipe, mode)
    rule = "mean" if recipe.average else "sum"
    apart, ratio = by_hand(recipe, mode)
    assert found.differences[rule] == pytest.approx(apart, rel=1e-9, abs=ROUNDING)
    assert found.ratios[rule] == pytest.approx(ratio)
    assert found.sizes == recipe_sizes(problem, recipe)
    if recipe.accumulation_steps == 1:
        assert found.correct == ("sum", "mean", "samples", "tokens")


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_an_own_model_is_right_in_eval_only(mode: str) -> None:
    found = measure(double_problem(model=Odd), [10, 5, 7], mode)
    assert found.correct == (("samples", "tokens") if mode == "eval" else ())
    assert (found.buffers == 0) == (mode == "eval")


def test_a_models_own_eval_is_kept() -> None:
    def frozen_norm() -> nn.Module:
        model = samples(batch_norm=True).build()
        model[1].eval()
        return model

    problem = Problem("own", frozen_norm, samples().batches(), F.mse_loss)
    assert exact(measure(problem, EQUAL), "mean", "samples", "tokens")


def test_the_micro_batches_of_a_loader_are_its_batches() -> None:
    loader = DataLoader(TensorDataset(*doubles()), batch_size=5, shuffle=True)
    model = nn.Linear(3, 2).double()
    problem = double_problem(model=model, data=loader)
    found = measure(problem, Recipe(accumulation_steps=3))
    assert exact(found, "mean", "samples", "tokens")
    assert found.sizes == recipe_sizes(problem, Recipe(accumulation_steps=3)) == (5, 5, 5)
    whole = measure(problem, Recipe(accumulation_steps=9))  # an epoch holds only five
    assert whole.sizes == (5, 5, 5, 5, 2)
    assert exact(whole, "samples", "tokens")
    assert whole.ratios["sum"] == pytest.approx(9 * whole.ratios["mean"])


@pytest.mark.parametrize("name", problems.names())
def test_the_right_rule_of_every_built_in_problem_is_right(name: str) -> None:
    recipe = problems.get(name).recipe.replace(accumulation_steps=4)
    found = measure(name, recipe, "eval")
    assert "tokens" in found.correct, found
    assert ("samples" in found.correct) == (name not in ("tokens", "chars"))


def test_batches_that_are_no_tensors_are_refused() -> None:
    problem = double_problem(data=[({"x": torch.ones(2, 3)}, torch.ones(2, 2))])
    with pytest.raises(ValueError, match=r"Problem.data.*batches \(x, y\) of tensors"):
        measure(problem, Recipe())


@pytest.mark.parametrize("count", [1, 3, 8, 32, 200])
@pytest.mark.parametrize("steps", range(1, 9))
def test_ragged_sizes_use_every_sample(count: int, steps: int) -> None:
    sizes = ragged_sizes(count, steps)
    assert (len(sizes), sum(sizes)) == (min(count, steps), count)
    assert min(sizes) > 0
    assert len(set(sizes[:-1])) <= 1
    assert (sizes[-1] != sizes[0]) == (1 < steps < count)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ([], {}, "sizes"),
        ([8, 0], {}, "sizes=0"),
        ([2.5], {}, "sizes=2.5"),
        ([30, 3], {}, "at most 32"),
        ([8], {"dtype": "float8"}, "dtype"),
        ([8], {"mode": "test"}, "mode"),
    ],
)
def test_what_is_not_allowed_is_refused(
    sizes: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measure(samples(), sizes, **options)


@pytest.mark.parametrize("share", [-0.1, 2, "much"])
def test_shares_are_checked(share: Any) -> None:
    with pytest.raises(ValueError, match="dropout"):
        samples(dropout=share)
    with pytest.raises(ValueError, match="padding"):
        padded_lengths(share)
