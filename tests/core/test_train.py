"""`train` does what the loop written by hand does, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from gradwidgets.core import Edit, Problem, Recipe, problems, train
from tests.by_hand import loop, shuffled, whole
from tests.examples import InTurn, assert_same_run, double_model, double_problem, doubles

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "Adam": ("Adam", {}),
    "AdamW": ("AdamW", {"weight_decay": 0.1}),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "scale": {"scale": 3.0},
    "mask-first": {"mask": 0.4},
    "mask-random": {"mask": 0.4, "mask_kind": "random"},
    "mask-unit": {"mask": 0.4, "mask_kind": "unit"},
    "mask-pattern": {"mask": 0.7, "mask_kind": "*.weight"},
    "l1": {"l1": 0.05},
    "l2": {"l2": 0.3},
    "clip": {"max_norm": 0.2},
    "accumulate": {"accumulation_steps": 4},
    "accumulate-sum": {"accumulation_steps": 3, "average": False},
}
PAIRS = [
    (one, other)
    for one, other in combinations(SETTINGS, 2)
    if not SETTINGS[one].keys() & SETTINGS[other].keys()
]


def assert_equals_the_hand_written_loop(
    optimizer: str, settings: dict[str, Any], batch_size: int | None = None, seed: int = 0
) -> None:
    name, options = OPTIMIZERS[optimizer]
    recipe = Recipe(
        optimizer=name,
        options=options,
        lr=0.05,
        updates=6,
        batch_size=batch_size,
        seed=seed,
        **settings,
    )
    parts = settings.get("accumulation_steps", 1)
    data = doubles()
    groups = whole(*data, parts) if batch_size is None else shuffled(*data, batch_size, parts, seed)
    by_hand = loop(
        double_model,
        groups,
        F.mse_loss,
        lambda parameters: getattr(torch.optim, name)(parameters, lr=0.05, **options),
        updates=6,
        seed=seed,
        **settings,
    )
    assert_same_run(train(double_problem(), recipe), by_hand)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_one_setting_equals_the_hand_written_loop(setting: str, optimizer: str) -> None:
    assert_equals_the_hand_written_loop(optimizer, SETTINGS[setting])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_settings_equal_the_hand_written_loop(pair: tuple[str, str], optimizer: str) -> None:
    assert_equals_the_hand_written_loop(optimizer, SETTINGS[pair[0]] | SETTINGS[pair[1]])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_everything_at_once_equals_the_hand_written_loop(optimizer: str) -> None:
    everything = {
        "scale": 2.0,
        "mask": 0.3,
        "mask_kind": "random",
        "l1": 0.01,
        "l2": 0.1,
        "max_norm": 0.5,
        "accumulation_steps": 3,
    }
    assert_equals_the_hand_written_loop(optimizer, everything, batch_size=9, seed=5)


@pytest.mark.parametrize("clear", ["none", "zero", "never"])
@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("batch_size", [None, 4, 9, 22, 100])
@pytest.mark.parametrize("parts", [1, 3, 5, 40])
def test_accumulation_over_mini_batches_equals_the_hand_written_loop(
    parts: int, batch_size: int | None, average: bool, clear: str
) -> None:
    settings = {"accumulation_steps": parts, "average": average, "clear": clear}
    assert_equals_the_hand_written_loop("SGD", settings, batch_size, seed=3)


@pytest.mark.parametrize("name", problems.names())
@pytest.mark.parametrize("setting", ["scale", "mask-random", "l1", "l2", "clip", "accumulate"])
def test_built_in_problems_equal_the_hand_written_loop_in_float32(name: str, setting: str) -> None:
    problem, fields = problems.get(name), SETTINGS[setting]
    recipe = Recipe(optimizer="Adam", lr=0.01, updates=4, batch_size=32, **fields)
    groups = shuffled(*problem.batches(), 32, fields.get("accumulation_steps", 1))
    by_hand = loop(
        problem.build,
        groups,
        problem.loss,
        lambda parameters: torch.optim.Adam(parameters, lr=0.01),
        updates=4,
        **fields,
    )
    history = train(name, recipe)
    np.testing.assert_allclose(history.loss, by_hand.losses, rtol=1e-6)
    for column, parameter in enumerate(history.names):
        last = by_hand.after[-1][column].numpy()
        np.testing.assert_allclose(history.parameters[parameter][-1], last, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("parts", [2, 11])
def test_equal_micro_batches_give_the_gradient_of_the_whole_batch(parts: int) -> None:
    whole_batch = train(double_problem(), Recipe(updates=20))
    cut = train(double_problem(), Recipe(updates=20, accumulation_steps=parts))
    np.testing.assert_allclose(cut.loss, whole_batch.loss, rtol=1e-12)
    np.testing.assert_allclose(cut.grad_norms, whole_batch.grad_norms, rtol=1e-10)


def test_without_average_the_gradient_is_as_many_times_as_large() -> None:
    averaged = train(double_problem(), Recipe(updates=1, accumulation_steps=11))
    summed = train(double_problem(), Recipe(updates=1, accumulation_steps=11, average=False))
    np.testing.assert_allclose(summed.grad_norms, 11 * averaged.grad_norms, rtol=1e-12)


@pytest.mark.parametrize("parts", [1, 3])
def test_never_clearing_is_momentum_one_to_the_last_bit(parts: int) -> None:
    forgotten = Recipe(lr=0.01, updates=40, clear="never", accumulation_steps=parts)
    momentum = Recipe(lr=0.01, updates=40, options={"momentum": 1.0}, accumulation_steps=parts)
    if parts == 1:
        assert train("moons", forgotten).loss.tolist() == train("moons", momentum).loss.tolist()
    runs = train(double_problem(), forgotten), train(double_problem(), momentum)
    rtol = 0 if parts == 1 else 1e-10  # with parts, the old gradient is added to first
    np.testing.assert_allclose(runs[0].loss, runs[1].loss, rtol=rtol)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop", "Adagrad"])
def test_l2_is_the_coupled_weight_decay_to_the_last_bit(optimizer: str) -> None:
    common: dict[str, Any] = {"optimizer": optimizer, "lr": 0.02, "updates": 40}
    penalty = train("moons", Recipe(l2=0.03, **common))
    decay = train("moons", Recipe(options={"weight_decay": 0.03}, **common))
    assert penalty.loss.tolist() == decay.loss.tolist()


def test_l2_is_not_the_decoupled_weight_decay_of_adamw() -> None:
    common: dict[str, Any] = {"optimizer": "AdamW", "lr": 0.02, "updates": 5}
    penalty = train("moons", Recipe(l2=0.5, options={"weight_decay": 0.0}, **common))
    decay = train("moons", Recipe(options={"weight_decay": 0.5}, **common))
    assert penalty.loss[-1] != pytest.approx(decay.loss[-1], rel=1e-4)


@pytest.mark.parametrize("clear", ["none", "zero"])
def test_a_layer_that_is_not_used_is_skipped_or_moved_on_by_its_momentum(clear: str) -> None:
    """A gradient of None is skipped; one filled with 0 lets Adam's momentum move on."""
    by_hand = loop(
        InTurn,
        whole(*doubles()),
        F.mse_loss,
        lambda parameters: torch.optim.Adam(parameters, lr=0.05),
        updates=6,
        clear=clear,
    )
    recipe = Recipe(optimizer="Adam", lr=0.05, updates=6, clear=clear)
    history = train(double_problem(model=InTurn), recipe)
    assert_same_run(history, by_hand)
    rested = history.change_norms[2::2, 0]
    assert (rested == 0).all() if clear == "none" else (rested > 0).all()


def from_update_four(change: Callable[[Tensor], None]) -> Edit:
    """An edit that leaves three updates alone and changes every parameter's gradient after."""
    calls: list[int] = []

    def edit(parameters: Sequence[Tensor]) -> None:
        calls.append(1)
        for p in parameters:
            if len(calls) > 3:
                change(p)

    return edit


def test_momentum_moves_parameters_on_a_gradient_of_zero_but_not_on_none() -> None:
    def fill(p: Tensor) -> None:
        p.grad.zero_()

    def drop(p: Tensor) -> None:
        p.grad = None

    recipe = Recipe(optimizer="Adam", updates=8)
    moving = train("line", recipe.replace(edits=(from_update_four(fill),)))
    skipped = train("line", recipe.replace(edits=(from_update_four(drop),)))
    assert (moving.change_norms > 0).all()
    assert (skipped.change_norms[:3] > 0).all()
    assert (skipped.change_norms[3:] == 0).all()


def test_edits_of_the_recipe_come_after_the_built_in_four() -> None:
    seen = []

    def look(parameters: Sequence[Tensor]) -> None:
        seen.append(torch.cat([p.grad.flatten() for p in parameters]).norm().item())

    train(double_problem(), Recipe(updates=3, scale=1e3, max_norm=0.25, edits=(look,)))
    assert seen == pytest.approx([0.25] * 3, rel=1e-5)


def test_a_stop_below_stops_after_the_first_update_whose_loss_is_below() -> None:
    free = train("line", Recipe(updates=50)).loss
    below = float(free[10]) * 1.0001
    history = train("line", Recipe(updates=50, stop_below=below))
    first = int(np.argmax(free < below))
    assert history.stopped == (first, "threshold")
    assert history.loss.tolist() == free[: first + 1].tolist()


def test_divergence_is_a_result_and_no_error() -> None:
    history = train("line", Recipe(scale=100.0, updates=200))
    assert history.stopped == (history.updates, "diverged")
    assert 0 < history.updates < 200
    assert np.isfinite(history.loss).all()
    assert history.loss[-1] > 1e30


@pytest.mark.parametrize(
    "target", [lambda y: {"a": y, "b": y, "c": y}, lambda y: (y, y), lambda y: [{"deep": y}]]
)
def test_the_reported_loss_counts_samples_whatever_the_target_is_in(target: Any) -> None:
    x = torch.arange(10.0).unsqueeze(1)
    parts = [(x[:7], target(x[:7])), (x[7:], target(x[7:]))]

    def first(y: Any) -> Tensor:
        if isinstance(y, Tensor):
            return y
        return first(next(iter(y.values())) if isinstance(y, dict) else y[0])

    def loss(output: Tensor, y: Any) -> Tensor:
        return F.mse_loss(output, first(y))

    problem = Problem("own", lambda: nn.Linear(1, 1), parts, loss)
    history = train(problem, Recipe(updates=1, accumulation_steps=2))
    torch.manual_seed(0)
    whole = F.mse_loss(nn.Linear(1, 1)(x), x).item()
    assert history.loss[0] == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_a_summed_loss_is_reported_as_the_sum_of_the_whole_batch(k: int) -> None:
    x = torch.arange(10.0).unsqueeze(1)
    problem = Problem("own", lambda: nn.Linear(1, 1), (x, x), nn.MSELoss(reduction="sum"))
    history = train(problem, Recipe(updates=1, accumulation_steps=k))
    torch.manual_seed(0)
    whole = (nn.Linear(1, 1)(x) - x).square().sum().item()
    assert history.loss[0] == pytest.approx(whole, rel=1e-6)


class WarmUp:
    """An edit that remembers how often it was called."""

    calls = 0

    def __call__(self, parameters: Any) -> None:
        self.calls += 1
        for p in parameters:
            p.grad.mul_(min(1.0, self.calls / 10))


def test_an_edit_with_a_memory_begins_again_with_each_run() -> None:
    warm_up = WarmUp()
    recipe = Recipe(lr=0.5, updates=15, edits=(warm_up,))
    first, second = train("moons", recipe), train("moons", recipe)
    np.testing.assert_array_equal(first.loss, second.loss)
    assert warm_up.calls == 0


@pytest.mark.parametrize("where", ["loader", "sampler"])
def test_a_loader_with_its_own_generator_gives_equal_runs_and_follows_the_seed(where: str) -> None:
    x = torch.arange(32.0).unsqueeze(1) / 32
    data, own = TensorDataset(x, x), torch.Generator().manual_seed(3)
    batches = BatchSampler(RandomSampler(data, generator=own), 4, drop_last=False)
    loader = {
        "loader": DataLoader(data, 4, shuffle=True, generator=own),
        "sampler": DataLoader(data, batch_sampler=batches),
    }[where]
    start = nn.Linear(1, 1)
    problem = Problem("own", start, loader, F.mse_loss, recipe=Recipe(updates=8))
    first = train(problem)
    next(iter(loader))
    before = own.get_state()
    second, other = train(problem), train(problem, Recipe(updates=8, seed=1))
    np.testing.assert_array_equal(first.loss, second.loss)
    assert (first.loss != other.loss).any()
    assert torch.equal(own.get_state(), before)
