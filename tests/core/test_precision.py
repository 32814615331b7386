"""Precision: every run equals a loop by hand to the last bit, and rounding does what it must."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, Recipe, TrainingError, problems, train
from gradwidgets.core.precision import stochastic
from gradwidgets.core.recipe import DTYPES
from gradwidgets.ledger.record import record_updates
from gradwidgets.meter.measure import measure
from gradwidgets.meter.noise_scale import noise_scale
from gradwidgets.sweep import sweep

UPDATES = 8
STORED = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def make_data() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(30, 4, generator=draw, dtype=torch.float32)
    return x, torch.stack([x.sum(1).sin(), x.prod(1)], dim=1)


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2)).float()


PROBLEM = Problem("mine", make_model, make_data, F.mse_loss)
Trained = tuple[list[float], list[list[float]]]


def by_hand(
    update: Callable[[nn.Module, Any, Any, Any], float], prepare: Any = lambda model: (model, model)
) -> Trained:
    """Losses, and the numbers of all parameters after each update."""
    x, y = make_data()
    losses, values = [], []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, stepped = prepare(make_model())
        optimizer = torch.optim.SGD(stepped.parameters(), lr=0.05, momentum=0.9)
        for _ in range(UPDATES):
            losses.append(update(model, optimizer, x, y))
            flat = [p.detach().double().flatten() for p in model.parameters()]
            values.append(torch.cat(flat).tolist())
    return losses, values


def by_train(**settings: Any) -> Trained:
    recipe = Recipe(lr=0.05, options={"momentum": 0.9}, updates=UPDATES, **settings)
    history = train(PROBLEM, recipe)
    rows = [values.reshape(UPDATES + 1, -1)[1:] for values in history.parameters.values()]
    return history.loss.tolist(), np.concatenate(rows, axis=1).tolist()


@pytest.mark.parametrize("name", STORED)
def test_a_storage_type_is_that_of_parameters_and_data(name: str) -> None:
    dtype = STORED[name]

    def update(model: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> float:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x.to(dtype)), y.to(dtype))
        loss.backward()
        assert loss.dtype == dtype
        optimizer.step()
        return loss.item()

    assert by_train(dtype=name) == by_hand(update, lambda model: (model.to(dtype),) * 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_leaves_the_parameters_in_float32(dtype: torch.dtype) -> None:
    scaler = torch.amp.GradScaler("cpu", enabled=dtype is torch.float16)

    def update(model: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> float:
        optimizer.zero_grad()
        losses = []
        for xk, yk in zip(x.chunk(2), y.chunk(2), strict=True):
            with torch.autocast("cpu", dtype=dtype):
                output = model(xk)
                loss = F.mse_loss(output, yk)
            assert output.dtype == dtype
            scaler.scale(loss / 2).backward()
            losses.append(loss.item() * len(yk))
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        return sum(losses) / len(y)

    name = f"{str(dtype).removeprefix('torch.')} autocast"
    trained = by_train(dtype=name, accumulation_steps=2, max_norm=0.1)
    assert trained == by_hand(update)


@pytest.mark.parametrize("rounding", ["master copy", "stochastic"])
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_the_cures_step_a_float32_copy(name: str, rounding: str) -> None:
    dtype = STORED[name]

    def prepare(model: nn.Module) -> tuple[nn.Module, nn.Module]:
        model = model.to(dtype)
        return model, copy.deepcopy(model).float()

    def update(model: nn.Module, optimizer: Any, x: Tensor, y: Tensor) -> float:
        model.zero_grad()
        loss = F.mse_loss(model(x.to(dtype)), y.to(dtype))
        loss.backward()
        copies = optimizer.param_groups[0]["params"]
        for p, wide in zip(model.parameters(), copies, strict=True):
            wide.grad = 2 * p.grad.float()  # twice is exact in any of the types
        optimizer.step()
        with torch.no_grad():
            for p, wide in zip(model.parameters(), copies, strict=True):
                p.copy_(wide if rounding == "master copy" else stochastic(wide, dtype))
                wide.copy_(wide if rounding == "master copy" else p)
        return loss.item()

    assert by_train(dtype=name, rounding=rounding, scale=2.0) == by_hand(update, prepare)


def weights(count: int = 1, dtype: torch.dtype | None = None) -> Problem:
    """Weights that begin at 1 and whose gradient is 1."""

    class Ones(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(count, dtype=dtype))

        def forward(self, _: Tensor) -> Tensor:
            return self.weight.sum()

    data = torch.ones(1, 1), torch.ones(1, 1)
    return Problem("ones", Ones, data, lambda output, _: output)


@pytest.mark.parametrize("lr", [0.0019, 0.0005])
def test_steps_below_half_a_unit_in_the_last_place_are_lost(lr: float) -> None:
    """Just below 1, numbers of bfloat16 are 2**-8 apart."""
    history = train(weights(), Recipe(lr=lr, updates=20, dtype="bfloat16"))
    assert lr < 2**-9
    assert set(history.parameters["weight"].flatten()) == {1.0}
    assert history.lost.tolist() == [1.0] * 20


def test_steps_above_it_are_made_whole() -> None:
    history = train(weights(), Recipe(lr=0.002, updates=20, dtype="bfloat16"))
    expected = 1 - 2.0**-8 * np.arange(21)
    assert history.parameters["weight"].flatten().tolist() == expected.tolist()
    assert history.lost.tolist() == [0.0] * 20


def test_a_master_copy_goes_on_and_the_weight_follows_it() -> None:
    recipe = Recipe(lr=0.0005, updates=20, dtype="bfloat16", rounding="master copy")
    history = train(weights(), recipe)
    master, expected = torch.tensor(1.0), [1.0]
    for _ in range(20):
        master = master - torch.tensor(0.0005)
        expected.append(float(master.bfloat16()))
    assert history.parameters["weight"].flatten().tolist() == expected
    assert expected[-1] < 1.0
    assert history.lost.tolist() == [0.0] * 20


def test_stochastic_rounding_goes_on_as_far_as_the_exact_steps_on_average() -> None:
    count, updates, lr = 2000, 50, 0.0005
    recipe = Recipe(lr=lr, updates=updates, dtype="bfloat16", rounding="stochastic")
    history = train(weights(count), recipe)
    spacing = 2.0**-8
    moved = (1 - history.parameters["weight"][-1]) / spacing
    chance = np.float32(lr) / spacing  # of each step to move a weight by one spacing
    deviation = math.sqrt(updates * chance * (1 - chance) / count)
    assert abs(moved.mean() - updates * chance) < 5 * deviation
    assert set(np.unique(moved)) <= set(range(updates + 1))
    stayed = (np.diff(history.parameters["weight"], axis=0) == 0).mean(axis=1)
    assert history.lost.tolist() == stayed.tolist()


def test_a_model_that_is_built_in_bfloat16_is_rounded_as_the_recipe_says() -> None:
    built = weights(dtype=torch.bfloat16)
    for rounding in ("nearest", "stochastic", "master copy"):
        recipe = Recipe(lr=0.0005, updates=20, rounding=rounding)
        history = train(built, recipe)
        cast = train(weights(), recipe.replace(dtype="bfloat16"))
        assert history.parameters["weight"].tolist() == cast.parameters["weight"].tolist()
        assert history.lost.tolist() == cast.lost.tolist()


@pytest.mark.parametrize("rounding", ["stochastic", "master copy"])
def test_rounding_leaves_float32_alone(rounding: str) -> None:
    plain, rounded = (train(PROBLEM, Recipe(updates=4, rounding=r)) for r in ("nearest", rounding))
    assert plain.loss.tolist() == rounded.loss.tolist()
    assert len(rounded.lost) == 0


def neighbours(values: Tensor, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The largest number of the type that is no larger, and the smallest that is no smaller."""
    if dtype is torch.float16:
        exact = values.numpy().astype(np.float64)
        near = values.numpy().astype(np.float16)
        below = np.where(near > exact, np.nextafter(near, np.float16(-np.inf)), near)
        above = np.where(near < exact, np.nextafter(near, np.float16(np.inf)), near)
        return below.astype(np.float64), above.astype(np.float64)
    bits = values.view(torch.int32)
    inner = (bits >> 16) << 16  # towards zero
    outer = torch.where(bits == inner, inner, inner + 2**16)
    pair = torch.stack([inner.view(torch.float32), outer.view(torch.float32)]).double().numpy()
    return pair.min(0), pair.max(0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_stochastic_rounding_goes_to_a_neighbour_and_leaves_exact_values_alone(
    dtype: torch.dtype,
) -> None:
    draw = torch.Generator().manual_seed(1)
    low, high = (-130, 120) if dtype is torch.bfloat16 else (-26, 15)
    powers = 2.0 ** torch.linspace(low, high, 20_000, dtype=torch.float64)
    values = (torch.randn(20_000, generator=draw, dtype=torch.float64) * powers).float()
    values = torch.cat([values, torch.zeros(1), 2.0 ** torch.arange(-20.0, 15.0).float()])
    values = values[values.abs() < torch.finfo(dtype).max]
    with torch.random.fork_rng():
        rounded = stochastic(values, dtype)
        assert rounded.dtype == dtype
        below, above = neighbours(values, dtype)
        found = rounded.double().numpy()
        assert ((found == below) | (found == above)).all()
        assert (found == below).any()
        assert (found == above).any()
        exact = values.to(dtype)
        assert torch.equal(stochastic(exact.float(), dtype), exact)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_stochastic_rounding_is_right_on_average(dtype: torch.dtype) -> None:
    count = 100_000
    values = [1.0003, -1.0003, 1.9999, 3.14159, -700.3, 0.0001234, 1e-7, -3e-8, 2.0, 0.0]
    torch.manual_seed(0)
    for value in values:
        one = torch.tensor([value], dtype=torch.float32)
        below, above = (float(each[0]) for each in neighbours(one, dtype))
        rounded = stochastic(one.expand(count).contiguous(), dtype).double()
        if below == above:
            assert set(rounded.tolist()) == {below}
            continue
        ups = int((rounded == above).sum())
        chance = (float(one.double()) - below) / (above - below)
        assert abs(ups - count * chance) < 5 * math.sqrt(count * chance * (1 - chance))


def test_stochastic_rounding_keeps_nan_and_is_never_finite_where_the_value_is_not() -> None:
    rounded = stochastic(torch.tensor([torch.nan, torch.inf, -torch.inf]), torch.bfloat16)
    assert not torch.isfinite(rounded).any()


def test_lost_is_the_share_of_what_an_exact_step_would_have_moved() -> None:
    """SGD with momentum, by hand: the exact step reads the buffer as it is stored."""
    x, y = make_data()
    torch.manual_seed(0)
    model = make_model().bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9)
    buffers: list[Any] = [None] * len(list(model.parameters()))
    expected = []
    for _ in range(UPDATES):
        optimizer.zero_grad()
        F.mse_loss(model(x.bfloat16()), y.bfloat16()).backward()
        before = [p.detach().double().numpy().copy() for p in model.parameters()]
        gradients = [p.grad.double().numpy().copy() for p in model.parameters()]
        optimizer.step()
        moved = held = 0
        for i, p in enumerate(model.parameters()):
            buffer = gradients[i] if buffers[i] is None else 0.9 * buffers[i] + gradients[i]
            moving = before[i] - 0.002 * buffer != before[i]
            moved += moving.sum()
            held += (moving & (p.detach().double().numpy() == before[i])).sum()
            buffers[i] = optimizer.state[p]["momentum_buffer"].double().numpy().copy()
        expected.append(held / moved)
    recipe = Recipe(lr=0.002, options={"momentum": 0.9}, updates=UPDATES, dtype="bfloat16")
    lost = train(PROBLEM, recipe).lost
    assert lost.tolist() == expected
    assert 0 < lost.min() < lost.max() < 1


def test_what_was_not_to_move_is_not_lost() -> None:
    assert train(PROBLEM, Recipe(lr=0.0, updates=3, dtype="bfloat16")).lost.tolist() == [0.0] * 3
    masked = Recipe(mask=1.0, updates=3, dtype="bfloat16")
    assert train(PROBLEM, masked).lost.tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("recipe", "measured"),
    [
        (Recipe(), False),
        (Recipe(dtype="float64"), False),
        (Recipe(dtype="bfloat16", optimizer="LBFGS"), False),
        (Recipe(dtype="float32"), True),
        (Recipe(dtype="bfloat16 autocast"), True),
    ],
)
def test_lost_is_measured_where_it_is_said_to_be(recipe: Recipe, measured: bool) -> None:
    history = train(PROBLEM, recipe.replace(updates=3))
    assert len(history.lost) == 3 * measured
    assert ("lost" in history.to_csv().splitlines()[0].split(",")) == measured


def test_watching_changes_nothing() -> None:
    """The step in float64 beside the run: the program of the same run makes none."""
    for optimizer in ("SGD", "Adam", "Adagrad", "RMSprop", "RAdam", "ASGD", "Rprop", "Adafactor"):
        recipe = Recipe(optimizer=optimizer, lr=0.01, updates=5, dtype="bfloat16")
        torch.manual_seed(0)
        model = make_model().bfloat16()
        own = getattr(torch.optim, optimizer)(model.parameters(), lr=0.01)
        x, y = make_data()
        losses = []
        for _ in range(5):
            own.zero_grad()
            loss = F.mse_loss(model(x.bfloat16()), y.bfloat16())
            loss.backward()
            own.step()
            losses.append(loss.item())
        history = train(PROBLEM, recipe)
        assert history.loss.tolist() == losses
        assert len(history.lost) == 5


def overflowing() -> Problem:
    """A gradient of 8 overflows in float16 while the loss is scaled by more than 8188."""

    def model() -> nn.Module:
        layer = nn.Linear(1, 1, bias=False)
        nn.init.constant_(layer.weight, 0.5)
        return layer.float()

    data = torch.full((4, 1), 8.0), torch.zeros(4, 1)
    return Problem("overflowing", model, data, lambda output, _: output.float().mean())


def test_a_step_that_the_scaler_skips_is_recorded_and_is_no_divergence() -> None:
    history = train(overflowing(), Recipe(lr=0.001, updates=20, dtype="float16 autocast"))
    skipped = history.skipped
    assert skipped == tuple(range(len(skipped)))
    assert 0 < len(skipped) < 20
    assert (history.stopped, history.updates) == (None, 20)
    weight = history.parameters["weight"].flatten()
    assert set(weight[: len(skipped) + 1]) == {0.5}
    assert weight[len(skipped) + 1] < 0.5
    assert np.isinf(history.grad_norm[: len(skipped)]).all()
    assert np.isinf(history.edited_norm[: len(skipped)]).all()
    assert history.grad_norm[len(skipped) :].tolist() == [8.0] * (20 - len(skipped))
    assert history.lost[: len(skipped)].tolist() == [0.0] * len(skipped)
    said = f"GradScaler skipped {len(skipped)} steps: a gradient was not finite."
    assert history.summary().endswith(said)
    assert "Converged" not in history.summary()
    json.dumps(history.to_dict(), allow_nan=False)
    assert history.to_dict()["skipped"] == list(skipped)


def test_a_loss_that_is_not_finite_ends_a_run_under_a_scaler_too() -> None:
    endless = Problem("e", make_model, make_data, lambda output, _: output.sum() * torch.inf)
    history = train(endless, Recipe(dtype="float16 autocast"))
    assert history.stopped == (0, "diverged")
    assert history.skipped == ()


def test_adam_in_float16_divides_by_zero_and_bfloat16_does_not() -> None:
    """Its eps of 1e-8, and the square of a small gradient, are zero in float16."""
    recipe = Recipe(optimizer="Adam", lr=0.001, updates=3, scale=1e-5)
    assert train(PROBLEM, recipe.replace(dtype="float16")).stopped == (1, "diverged")
    for dtype in ("bfloat16", "float32"):
        assert train(PROBLEM, recipe.replace(dtype=dtype)).stopped is None


def test_edits_and_the_ledger_see_unscaled_gradients() -> None:
    recipe = Recipe(updates=3, dtype="float16 autocast", accumulation_steps=2, max_norm=0.01)
    plain = train(PROBLEM, recipe.replace(dtype=None))
    history = train(PROBLEM, recipe)
    np.testing.assert_allclose(history.grad_norm, plain.grad_norm, rtol=0.05)
    np.testing.assert_allclose(history.edited_norm, 0.01, rtol=1e-3)
    for record in record_updates(PROBLEM, recipe):
        for parameter in record.parameters:
            first, second = parameter.raw
            accumulated = parameter.gradient("accumulated")
            assert first is not None
            assert second is not None
            np.testing.assert_allclose(first + second, accumulated, rtol=1e-3, atol=1e-7)


def test_the_ledger_finds_the_state_of_a_copy() -> None:
    recipe = Recipe(optimizer="Adam", updates=2, dtype="bfloat16", rounding="master copy")
    *_, record = record_updates(PROBLEM, recipe)
    assert {"exp_avg", "exp_avg_sq"} <= set(record.parameters[0].state_after)


def test_changes_of_bfloat16_parameters_are_recorded_exactly() -> None:
    history = train(PROBLEM, Recipe(lr=3.0, updates=4, dtype="bfloat16", max_norm=1.0))
    for column, name in enumerate(history.names):
        changes = np.diff(history.parameters[name].reshape(history.updates + 1, -1), axis=0)
        exact = np.linalg.norm(changes, axis=1)
        np.testing.assert_allclose(history.change_norms[:, column], exact, rtol=1e-6)


def test_held_out_data_is_cast_too() -> None:
    x, y = make_data()
    problem = Problem("mine", make_model, make_data, F.mse_loss, held_out=(x, y))
    for dtype in DTYPES:
        history = train(problem, Recipe(updates=3, dtype=dtype))
        start, loss = history.held_out[0, 1], history.loss[0]
        assert start == pytest.approx(loss, rel=0.02)


def complex_model() -> nn.Module:
    return nn.Linear(4, 2, dtype=torch.complex64)


class Uncopyable(nn.Linear):
    def __deepcopy__(self, _: object) -> Any:
        raise TypeError("one of a kind")


def uncopyable() -> nn.Module:
    return Uncopyable(4, 2)


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "scaler and closure": (
        make_model,
        {"dtype": "float16 autocast", "optimizer": "LBFGS"},
        r"Recipe.dtype='float16 autocast' is not allowed; give another one with LBFGS: a GradSc",
    ),
    "scaler and never": (
        make_model,
        {"dtype": "float16 autocast", "clear": "never"},
        r"Recipe.dtype='float16 autocast'.*another one with clear='never'",
    ),
    "copy and closure": (
        make_model,
        {"dtype": "bfloat16", "optimizer": "LBFGS", "rounding": "stochastic"},
        r"Recipe.rounding='stochastic' is not allowed; give 'nearest' with LBFGS",
    ),
    "complex": (complex_model, {"dtype": "bfloat16"}, r"for a model with complex parameters"),
    "not copied": (
        uncopyable,
        {"dtype": "bfloat16", "rounding": "master copy"},
        r"Recipe.rounding='master copy'.*'nearest' for a model that cannot be copied \(one of a k",
    ),
    "mixed": (
        lambda: nn.Sequential(nn.Linear(4, 2).bfloat16(), nn.Linear(2, 2).double()),
        {"rounding": "stochastic"},
        r"'nearest' for a model that has parameters of float64",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_refused_in_words(case: str) -> None:
    model, settings, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        train(Problem("mine", model, make_data, F.mse_loss), Recipe(**settings))


def test_a_gauge_that_cannot_be_built_leaves_the_run_alone() -> None:
    problem = Problem("mine", uncopyable, make_data, F.mse_loss)
    history = train(problem, Recipe(updates=3, dtype="bfloat16"))
    assert (history.updates, len(history.lost)) == (3, 0)


def test_a_model_that_makes_float32_of_its_own_says_so() -> None:
    class Own(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(torch.ones(len(x), 4))

    with pytest.raises(TrainingError, match=r"raised at update 0 on .* bfloat16"):
        train(Problem("mine", lambda: Own(4, 2), make_data, F.mse_loss), Recipe(dtype="bfloat16"))


def test_a_meter_refuses_another_precision() -> None:
    with pytest.raises(ValueError, match=r"Recipe.dtype='bfloat16' is not allowed; give None"):
        measure("line", Recipe(dtype="bfloat16"))
    with pytest.raises(ValueError, match=r"Recipe.dtype='bfloat16' is not allowed; give None"):
        noise_scale("line", Recipe(dtype="bfloat16"))


@pytest.mark.parametrize("setting", [{"dtype": "bfloat16"}, {"rounding": "stochastic"}])
def test_a_sweep_goes_one_by_one_and_says_why(setting: dict[str, Any]) -> None:
    recipe, values = Recipe(updates=4, **setting), [0.05, 0.1]
    with pytest.warns(UserWarning, match=f"one by one, because {next(iter(setting))}"):
        swept = sweep("moons", recipe, "lr", values)
    alone = [train("moons", recipe.replace(lr=lr)) for lr in values]
    assert [h.loss.tolist() for h in swept] == [h.loss.tolist() for h in alone]
    with pytest.warns(UserWarning, match="one by one, because dtype"):
        several = sweep("moons", Recipe(updates=4), "dtype", [None, "bfloat16"])
    assert [h.recipe.dtype for h in several] == [None, "bfloat16"]


@pytest.mark.parametrize("name", problems.names())
def test_a_step_below_rounding_moves_no_weight_of_a_built_in_problem(name: str) -> None:
    recipe = Recipe(lr=1e-9, updates=2, dtype="bfloat16", batch_size=16)
    history = train(name, recipe)
    zeros = sum(int((v[0] == 0).sum()) for v in history.parameters.values())
    if not zeros:  # a number that is zero moves by however little
        assert history.lost.tolist() == [1.0, 1.0]
    cured = train(name, recipe.replace(lr=0.01, rounding="master copy"))
    assert cured.lost.max() < 0.2
