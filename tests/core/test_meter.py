"""The meter against gradients accumulated by hand, and the known figures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets.core import Problem, problems
from gradwidgets.core.meter import Meter, chunk_sizes, count_tokens, meter
from gradwidgets.core.meter_problems import padded_lengths, samples, tokens

EQUAL, RAGGED = [8] * 4, [10, 10, 10, 2]
ROUNDING = 1e-15


def exact(found: Meter, *rules: str) -> bool:
    return all(found.differences[rule] < ROUNDING for rule in rules) and found.right == rules


@pytest.mark.parametrize(
    ("problem", "sizes", "rule", "expected"),
    [
        (samples(), RAGGED, "mean", 0.23),
        (samples(reduction="sum"), EQUAL, "mean", 0.75),
        (samples("batch"), EQUAL, "mean", 0.37),
        (samples("batch"), EQUAL, "samples", 0.37),
        (tokens(), [2] * 4, "mean", 0.63),
        (tokens(), [2] * 4, "samples", 0.63),
        (samples(), EQUAL, "sum", 3.0),
    ],
)
def test_wrong_rules_cost_what_is_known(
    problem: Problem, sizes: list[int], rule: str, expected: float
) -> None:
    found = meter(problem, sizes)
    assert found.differences[rule] == pytest.approx(expected, abs=0.005)
    assert rule not in found.right


@pytest.mark.parametrize(
    ("problem", "sizes", "options", "right"),
    [
        (samples(), EQUAL, {}, ("mean", "samples", "tokens")),
        (samples(), RAGGED, {}, ("samples", "tokens")),
        (samples(), [1] * 32, {}, ("mean", "samples", "tokens")),
        (samples(reduction="sum"), EQUAL, {}, ("sum",)),
        (samples("batch"), EQUAL, {"batch_norm": False}, ("mean", "samples", "tokens")),
        (samples("layer"), EQUAL, {}, ("mean", "samples", "tokens")),
        (samples("layer"), RAGGED, {}, ("samples", "tokens")),
        (samples(dropout=0.5), EQUAL, {}, ("mean", "samples", "tokens")),
        (samples(dropout=0.5, layers=2), EQUAL, {}, ()),
        (samples(dropout=0.5, layers=2), RAGGED, {"dropout": False}, ("samples", "tokens")),
        (tokens(), [2] * 4, {}, ("tokens",)),
        (tokens(), [5, 2, 1], {}, ("tokens",)),
        (tokens([12] * 8), [2] * 4, {}, ("mean", "samples", "tokens")),
    ],
)
def test_right_rules_are_right_to_rounding(
    problem: Problem, sizes: list[int], options: dict[str, Any], right: tuple[str, ...]
) -> None:
    found = meter(problem, sizes, **options)
    assert exact(found, *right), found


def test_single_precision_shows_its_own_rounding() -> None:
    found = meter(samples(), EQUAL, dtype="float32")
    assert 1e-8 < found.differences["mean"] < 1e-6
    assert found.right == ("mean", "samples", "tokens")
    assert meter("moons", [50] * 4, dtype="float64").differences["mean"] < ROUNDING
    assert 1e-8 < meter("moons", [50] * 4).differences["mean"] < 1e-6
    assert meter(samples(), RAGGED, dtype="float32").right == ("samples", "tokens")


def test_batch_norm_statistics_differ_too() -> None:
    """One update of a running mean by the full batch, against four by quarters."""
    found = meter(samples("batch"), EQUAL)
    problem = samples("batch")
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
    assert meter(samples("batch"), EQUAL, batch_norm=False).buffers == 0


def test_two_dropout_layers_with_the_known_seed() -> None:
    def model() -> nn.Module:
        torch.manual_seed(0)
        layers = [nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.5)]
        layers += [nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 1)]
        torch.manual_seed(9)  # what the masks are drawn with
        return nn.Sequential(*layers).double()

    found = meter(Problem("two", model, samples().batches(), F.mse_loss), EQUAL)
    assert found.differences["mean"] == pytest.approx(0.55, abs=0.005)


def gradient(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize("sizes", [[3, 4, 1], [8], [1, 7], [2, 2]])
def test_every_rule_against_accumulation_by_hand(sizes: list[int]) -> None:
    problem = tokens()
    x, y = problem.batches()
    x, y = x[: sum(sizes)], y[: sum(sizes)]
    torch.manual_seed(4)
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
    found = meter(problem, sizes, seed=4)
    assert list(found.differences) == list(rules)
    assert found.tokens == tuple(counts)
    for rule, weights in rules.items():
        sums = accumulated(weights)
        expected = float((sums - full).norm() / full.norm())
        assert found.differences[rule] == pytest.approx(expected, rel=1e-9, abs=ROUNDING)
        assert found.ratios[rule] == pytest.approx(float(sums.norm() / full.norm()))


def test_a_micro_batch_of_padding_only_adds_nothing() -> None:
    x, y = tokens().batches()
    y = y.clone()
    y[2:4] = -100
    found = meter(Problem("padded", tokens().model, (x, y), problems.token_loss), [2] * 4)
    assert found.right == ("tokens",)
    assert found.tokens[1] == 0
    assert found.differences["mean"] > 0.5


def test_padding_is_one_number() -> None:
    assert padded_lengths(0) == (12,) * 8
    assert padded_lengths(1)[0] == 12
    assert padded_lengths(1)[-1] == 1
    costs = [meter(tokens(padded_lengths(p)), [2] * 4).differences["mean"] for p in (0, 0.5, 1)]
    assert costs[0] < ROUNDING < costs[1] < costs[2]


def test_chunk_sizes_are_those_of_the_loop() -> None:
    assert chunk_sizes(22, 4) == (6, 6, 6, 4)
    assert chunk_sizes(9, 6) == (2, 2, 2, 2, 1)  # chunk may give fewer than it is asked for
    assert sum(chunk_sizes(200, 7)) == 200


def test_tokens_are_the_targets_that_count() -> None:
    assert count_tokens(torch.tensor([[1, -100], [2, 0]])) == 3
    assert count_tokens(torch.zeros(3, 2)) == 6


def test_a_loader_and_an_own_model_stay_as_they_are() -> None:
    own = samples("batch").build()
    held = [value.clone() for value in own.state_dict().values()]
    loader = DataLoader(TensorDataset(*samples().batches()), batch_size=8, shuffle=True)
    torch.manual_seed(6)
    rng = torch.get_rng_state()
    with torch.no_grad():
        found = meter(Problem("own", own, loader, F.mse_loss), [8, 4], batch_norm=False)
    assert found.right == ("samples", "tokens")
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.get_default_dtype() == torch.float32
    for value, old in zip(own.state_dict().values(), held, strict=True):
        assert torch.equal(value, old)
    assert all(p.grad is None for p in own.parameters())
    assert own.training


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ([], {}, "sizes"),
        ([8, 0], {}, "sizes=0"),
        ([2.5], {}, "sizes=2.5"),
        ([30, 3], {}, "at most 32"),
        ([8], {"dtype": "float8"}, "dtype"),
        ([8], {"seed": -1}, "seed"),
    ],
)
def test_what_is_not_allowed_is_refused(
    sizes: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        meter(samples(), sizes, **options)


@pytest.mark.parametrize(
    "call",
    [
        lambda: samples("group"),
        lambda: samples(dropout=2),
        lambda: samples(layers=0),
        lambda: samples(reduction="none"),
        lambda: tokens([]),
        lambda: tokens([13]),
        lambda: padded_lengths(2),
    ],
)
def test_knobs_are_checked(call: Any) -> None:
    with pytest.raises(ValueError, match="is not allowed; give"):
        call()
