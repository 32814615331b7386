"""The record of an update against a loop record by hand and the optimizers' published formulas."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Clip, Penalty, Problem, Recipe, problems, train
from gradwidgets.ledger.record import ParameterRecord, UpdateRecord, record_updates
from tests.examples import double_model, double_problem, doubles

EDITED = Recipe(scale=0.5, mask=0.4, l1=0.01, l2=0.1, max_norm=0.3, accumulation_steps=3)
OPTIMIZERS = {
    "SGD": {},
    "SGD with decay": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.9, "dampening": 0.2, "weight_decay": 0.05},
    "Nesterov": {"momentum": 0.9, "nesterov": True},
    "Adam": {"betas": (0.8, 0.95), "weight_decay": 0.1},
    "AdamW": {"weight_decay": 0.1},
}


def record_update(problem: Problem | str, recipe: Recipe, update: int = 0) -> UpdateRecord:
    return next(islice(record_updates(problem, recipe), update, None))


def recipe_of(name: str, **changes: Any) -> Recipe:
    kind = name if name.startswith("Adam") else "SGD"
    return EDITED.replace(optimizer=kind, lr=0.05, options=OPTIMIZERS[name], **changes)


def by_hand(recipe: Recipe, updates: int) -> list[list[np.ndarray[Any, Any]]]:
    """Every parameter before each update and after the last, from a loop without this package."""
    x, y = doubles()
    torch.manual_seed(0)
    model = double_model()
    ps = list(model.parameters())
    optimizer = getattr(torch.optim, recipe.optimizer)(ps, lr=recipe.lr, **recipe.options)
    seen = [[p.detach().numpy().copy() for p in ps]]
    for _ in range(updates):
        optimizer.zero_grad()
        for xk, yk in zip(x.chunk(3), y.chunk(3), strict=True):
            (F.mse_loss(model(xk), yk) / 3).backward()
        for p in ps:
            p.grad *= recipe.scale
            p.grad.view(-1)[: round(recipe.mask * p.numel())] = 0
            p.grad += recipe.l1 * p.detach().sign()
            p.grad.add_(p.detach(), alpha=recipe.l2)
        nn.utils.clip_grad_norm_(ps, recipe.max_norm)
        optimizer.step()
        seen.append([p.detach().numpy().copy() for p in ps])
    return seen


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("update", [0, 1, 6])
def test_the_last_column_is_after_minus_before(name: str, update: int) -> None:
    record = record_update(double_problem(), recipe_of(name), update)
    seen = by_hand(recipe_of(name), update + 1)
    for row, before, after in zip(record.parameters, seen[update], seen[update + 1], strict=True):
        assert row.before.tobytes() == before.tobytes()
        assert row.after.tobytes() == after.tobytes()
        assert row.change.tobytes() == (after - before).tobytes()
        assert np.abs(row.change).max() > 0


def formula(name: str, row: ParameterRecord, lr: float) -> np.ndarray[Any, Any]:
    """What the papers say the optimizer does with the gradient it read."""
    options = {"momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}
    options |= {"betas": (0.9, 0.999)} | OPTIMIZERS[name]
    g, p, decay = row.read, row.before, options["weight_decay"]
    kept = row.state_before
    if name != "AdamW":
        g = g + decay * p
    if not name.startswith("Adam"):
        mu = options["momentum"]
        if mu:
            old = kept.get("momentum_buffer")
            buffer = g if old is None else mu * old + (1 - options["dampening"]) * g
            g = g + mu * buffer if options["nesterov"] else buffer
        return -lr * g
    one, two = options["betas"]
    step = 1 + float(kept.get("step", 0))
    mean = one * kept.get("exp_avg", 0) + (1 - one) * g
    square = two * kept.get("exp_avg_sq", 0) + (1 - two) * g**2
    move = mean / (1 - one**step) / (np.sqrt(square / (1 - two**step)) + 1e-8)
    return -lr * move - (lr * decay * p if name == "AdamW" else 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("update", [0, 1, 9])
def test_the_columns_replay_to_the_update_of_the_optimizer(name: str, update: int) -> None:
    for row in record_update(double_problem(), recipe_of(name), update).parameters:
        np.testing.assert_allclose(row.change, formula(name, row, 0.05), rtol=1e-11, atol=1e-15)
        assert row.lr == 0.05
        np.testing.assert_allclose(row.step, row.change / -0.05, rtol=1e-15)


@pytest.mark.parametrize("clear", ["none", "zero", "never"])
@pytest.mark.parametrize("update", [0, 4])
def test_each_column_follows_from_the_one_before(clear: str, update: int) -> None:
    record = record_update(double_problem(), EDITED.replace(clear=clear), update)
    assert record.active == ("scaled", "masked", "penalised", "clipped")
    joint = np.sqrt(sum((row.gradient("penalised") ** 2).sum() for row in record.parameters))
    assert record.joint.norms["penalised"] == pytest.approx(joint)
    for row in record.parameters:
        assert len(row.raw) == 3
        assert (row.carried is None) == (clear == "none" or update == 0)
        total = row.raw[0] if row.carried is None else row.carried + row.raw[0]
        for raw in row.raw[1:]:
            total = total + raw
        assert row.gradient("accumulated").tobytes() == total.tobytes()
        scaled = total * 0.5
        assert row.gradient("scaled").tobytes() == scaled.tobytes()
        masked = scaled.copy()
        masked.ravel()[: round(0.4 * masked.size)] = 0
        assert row.gradient("masked").tobytes() == masked.tobytes()
        penalised = masked + 0.01 * np.sign(row.before) + 0.1 * row.before
        np.testing.assert_allclose(row.gradient("penalised"), penalised, rtol=1e-13, atol=1e-17)
        clipped = row.gradient("penalised") * min(1, 0.3 / (joint + 1e-6))
        np.testing.assert_allclose(row.gradient("clipped"), clipped, rtol=1e-13)
        assert row.read is row.gradient("clipped")
    assert record.joint.norms["clipped"] == pytest.approx(0.3 if joint > 0.3 else joint, rel=1e-4)


@pytest.mark.parametrize("average", [True, False])
def test_raw_gradients_are_those_of_each_micro_batch(average: bool) -> None:
    recipe = Recipe(accumulation_steps=4, average=average)
    record = record_update(double_problem(), recipe, 2)
    x, y = doubles()
    model = double_model()
    for p, row in zip(model.parameters(), record.parameters, strict=True):
        p.data = torch.from_numpy(row.before)
    for part, (xk, yk) in enumerate(zip(x.chunk(4), y.chunk(4), strict=True)):
        loss = F.mse_loss(model(xk), yk)
        found = torch.autograd.grad(loss / 4 if average else loss, list(model.parameters()))
        for row, gradient in zip(record.parameters, found, strict=True):
            np.testing.assert_allclose(row.raw[part], gradient.numpy(), rtol=1e-12, atol=1e-17)


def test_adam_cancels_a_constant_scale_and_sgd_does_not() -> None:
    for kind, low, high in (("Adam", 0, 1e-4), ("RMSprop", 0, 1e-3), ("SGD", 0.98, 1)):
        recipe = Recipe(optimizer=kind, lr=0.01)
        plain = record_update(double_problem(), recipe, 10)
        small = record_update(double_problem(), recipe.replace(scale=0.01), 10)
        ratio = small.joint.norms["scaled"] / small.joint.norms["accumulated"]
        assert ratio == pytest.approx(0.01)
        assert low <= small.difference(plain) <= high, kind
    assert plain.difference(plain) == 0


class Pair(nn.Module):
    """Two numbers, 1 and 10."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([1.0, 10.0], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2] * self.p


@pytest.mark.parametrize(
    ("optimizer", "change"), [("Adam", (-0.01, -0.01)), ("AdamW", (-0.001, -0.01))]
)
def test_decay_of_a_zero_gradient_is_coupled_in_adam_only(
    optimizer: str, change: tuple[float, float]
) -> None:
    recipe = Recipe(optimizer=optimizer, lr=0.01, options={"weight_decay": 0.1}, mask=1.0)
    row = record_update(double_problem(model=Pair), recipe)["p"]
    np.testing.assert_allclose(row.change, change, rtol=1e-6)
    assert row.moved_without_gradient == 1


@pytest.mark.parametrize(
    ("options", "optimizer", "moves"),
    [
        ({}, "SGD", False),
        ({"weight_decay": 0.1}, "SGD", True),
        ({"momentum": 0.9, "weight_decay": 0.1}, "SGD", True),
        ({"weight_decay": 0.1}, "AdamW", True),
        ({"weight_decay": 0.0}, "AdamW", False),
    ],
)
def test_masked_elements_move_under_decay(
    options: dict[str, Any], optimizer: str, moves: bool
) -> None:
    recipe = Recipe(optimizer=optimizer, options=options, mask=0.4)
    record = record_update(double_problem(), recipe, 3)
    assert record["0.weight"].moved_without_gradient == (6 / 15 if moves else 0)
    # 6 of 15 weights and 2 of 5 biases, 4 of 10 weights and 1 of 2 biases
    assert record.joint.moved_without_gradient == pytest.approx(13 / 32 if moves else 0)


def test_a_filled_momentum_buffer_moves_elements_without_gradient() -> None:
    calls = []

    def late_mask(parameters: list[nn.Parameter]) -> None:
        calls.append(1)
        if len(calls) > 3:
            for p in parameters:
                p.grad.zero_()

    for options, share in (({"momentum": 0.9}, 1.0), ({}, 0.0)):
        calls.clear()
        record = record_update(double_problem(), Recipe(options=options, edits=(late_mask,)), 3)
        assert record.active == ("edited",)
        assert record.joint.norms["accumulated"] > 0
        assert record.joint.norms["edited"] == 0
        assert record.joint.moved_without_gradient == share
        assert math.isnan(record.joint.angle)


def test_penalty_before_or_after_clipping_differs() -> None:
    before = record_update(double_problem(), Recipe(l2=0.5, max_norm=0.1))
    after = record_update(double_problem(), Recipe(max_norm=0.1, edits=(Penalty(l2=0.5),)))
    assert (before.active, after.active) == (("penalised", "clipped"), ("clipped", "edited"))
    assert before.joint.norms["edited"] == pytest.approx(0.1, rel=1e-4)
    for row in after.parameters:
        np.testing.assert_allclose(row.read, row.gradient("clipped") + 0.5 * row.before, rtol=1e-12)
    assert after.difference(before) > 1


def test_own_edits_come_last_whatever_their_kind() -> None:
    recipe = Recipe(scale=2.0, edits=(Clip(0.05), lambda ps: [p.grad.mul_(3) for p in ps]))
    record = record_update(double_problem(), recipe)
    assert record.active == ("scaled", "edited")
    assert record.joint.norms["edited"] == pytest.approx(0.15, rel=1e-3)
    assert record.joint.norms["change"] == pytest.approx(0.015, rel=1e-3)


def test_never_clearing_sums() -> None:
    gathered = list(islice(record_updates(double_problem(), Recipe(clear="never", lr=0.0)), 4))
    norms = [each.joint.norms["accumulated"] for each in gathered]
    np.testing.assert_allclose(norms, norms[0] * np.arange(1, 5), rtol=1e-12)
    assert [each.joint.norms["carried"] for each in gathered] == [0, *norms[:3]]
    assert np.isnan(gathered[0].parameters[0].step).all()


def test_angles() -> None:
    assert record_update(double_problem(), Recipe()).joint.angle == pytest.approx(180)
    up = record_update(double_problem(), Recipe(options={"maximize": True}))
    assert up.joint.angle == pytest.approx(0, abs=1e-5)
    row = record_update(double_problem(), Recipe(optimizer="Adam"))["0.weight"]
    cosine = (row.read * row.change).sum() / np.sqrt((row.read**2).sum() * (row.change**2).sum())
    assert row.angle == pytest.approx(math.degrees(math.acos(cosine)))
    assert 90 < row.angle < 179


@pytest.mark.parametrize("update", [0, 2])
def test_lbfgs_records_the_gradients_of_its_first_evaluation(update: int) -> None:
    recipe = Recipe(optimizer="LBFGS", lr=0.5, accumulation_steps=2, scale=0.5)
    record = record_update(double_problem(), recipe, update)
    x, y = doubles()
    model = double_model()
    for p, row in zip(model.parameters(), record.parameters, strict=True):
        p.data = torch.from_numpy(row.before)
    halves = [F.mse_loss(model(xk), yk) / 2 for xk, yk in zip(x.chunk(2), y.chunk(2), strict=True)]
    found = torch.autograd.grad(sum(halves), list(model.parameters()))
    for row, gradient in zip(record.parameters, found, strict=True):
        assert row.gradient("accumulated").tobytes() == (row.raw[0] + row.raw[1]).tobytes()
        np.testing.assert_allclose(row.gradient("accumulated"), gradient, rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(row.read, gradient / 2, rtol=1e-10, atol=1e-15)
    assert record.parameters[0].state_after["func_evals"] > 1 + update
    assert record.joint.norms["change"] > 0


class Tied(nn.Module):
    """One weight used twice, one that no loss reaches, one that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(3, 3, bias=False).double()
        self.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))
        self.frozen = nn.Parameter(torch.ones(2, dtype=torch.float64), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.twice(self.twice(x).tanh())[:, :2] * self.frozen


def test_tied_unused_and_frozen_parameters() -> None:
    recipe = Recipe(accumulation_steps=2, options={"weight_decay": 0.1})
    record = record_update(double_problem(model=Tied), recipe, 1)
    tied = record["twice.weight"]
    assert tied.gradient("accumulated").tobytes() == (tied.raw[0] + tied.raw[1]).tobytes()
    for name in ("unused", "frozen"):
        row = record[name]
        assert row.raw == (None, None)
        assert (row.read, row.carried, row.moved_without_gradient) == (None, None, 0)
        assert math.isnan(row.angle)
        assert math.isnan(row.norms["edited"])
        assert row.norms["change"] == 0
    assert record.joint.angle == pytest.approx(tied.angle)


def test_recording_leaves_the_run_as_it_is() -> None:
    recipe = recipe_of("Adam", updates=5)
    records = list(record_updates(double_problem(), recipe))
    assert [each.update for each in records] == list(range(5))
    assert [each.loss for each in records] == train(double_problem(), recipe).loss.tolist()


def test_a_run_that_diverges_has_the_records_of_the_updates_that_it_made() -> None:
    recipe = Recipe(lr=1e30, updates=50)
    made = train("line", recipe).loss
    assert 0 < len(made) < 50
    assert [record.loss for record in record_updates("line", recipe)] == made.tolist()


def test_float32_is_exact_too() -> None:
    record = record_update("moons", Recipe(optimizer="Adam"), 3)
    torch.manual_seed(0)
    model = problems.get("moons").build()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    x, y = problems.get("moons").batches()
    for _ in range(4):
        before = [p.detach().clone() for p in model.parameters()]
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    for row, p, old in zip(record.parameters, model.parameters(), before, strict=True):
        assert row.change.tobytes() == (p.detach().double() - old.double()).numpy().tobytes()


def test_the_caller_stays_as_it_is() -> None:
    own = double_model()
    held = [p.detach().clone() for p in own.parameters()]
    torch.manual_seed(3)
    rng = torch.get_rng_state()
    with torch.no_grad():
        record_update(double_problem(model=own), EDITED, 2)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), rng)
    for p, old in zip(own.parameters(), held, strict=True):
        assert p.grad is None
        assert torch.equal(p, old)


def test_complex_parameters_are_recorded_as_real_and_imaginary_parts() -> None:
    def model() -> nn.Module:
        return nn.Linear(3, 2, dtype=torch.complex128)

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output - target).abs().square().mean()

    x, y = doubles()
    data = (x.to(torch.complex128), y)
    row = record_update(Problem("complex", model, data, loss), Recipe(lr=0.1)).parameters[0]
    torch.manual_seed(0)
    by_hand = model()
    loss(by_hand(data[0]), y).backward()
    gradient = torch.view_as_real(by_hand.weight.grad).numpy()
    np.testing.assert_array_equal(row.before, torch.view_as_real(by_hand.weight.detach()))
    np.testing.assert_array_equal(row.read, gradient)
    np.testing.assert_allclose(row.change, -0.1 * gradient, rtol=1e-12)
    assert row.angle == pytest.approx(180, abs=1e-4)
