"""The learning rate is that of PyTorch's own schedulers, and the run that of a loop by hand."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gradwidgets.core import History, Problem, Recipe, TrainingError, settings, train
from gradwidgets.core.loop import Run
from gradwidgets.ledger.record import record_updates
from gradwidgets.script import script
from tests.by_hand import Trace, loop, shuffled, whole
from tests.examples import assert_same_run, double_model, double_problem, doubles
from tests.own_optimizers import Lion, Replacing, head_only, lion_and_sgd

UPDATES = 30


def falling(update: int) -> float:
    return 1 / (1 + update)


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "LambdaLR": [{"lr_lambda": falling}, {"lr_lambda": [falling]}],
    "MultiplicativeLR": [{"lr_lambda": lambda _: 0.9}],
    "StepLR": [{"step_size": 4}, {"step_size": 7, "gamma": 0.5}],
    "MultiStepLR": [{"milestones": [3, 8, 20], "gamma": 0.3}],
    "ConstantLR": [{}, {"factor": 0.5, "total_iters": 11}],
    "LinearLR": [{}, {"start_factor": 0.01, "end_factor": 0.5, "total_iters": 20}],
    "ExponentialLR": [{"gamma": 0.9}],
    "CosineAnnealingLR": [{"T_max": 30}, {"T_max": 7, "eta_min": 0.01}],
    "CosineAnnealingWarmRestarts": [{"T_0": 5}, {"T_0": 3, "T_mult": 2, "eta_min": 0.01}],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 4},
        {"base_lr": 0.01, "max_lr": 0.3, "mode": "exp_range", "gamma": 0.9, "step_size_up": 3},
        {"base_lr": 0.1, "max_lr": 0.2, "scale_fn": falling, "cycle_momentum": False},
    ],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 30},
        {"max_lr": 0.5, "total_steps": 40, "three_phase": True, "anneal_strategy": "linear"},
    ],
    "PolynomialLR": [{"total_iters": 25}, {"total_iters": 10, "power": 2.0}],
}
"""Options to try each class with."""
NEED_NO_METRIC = sorted(
    name
    for name, kind in vars(lr_scheduler).items()
    if inspect.isclass(kind)
    and issubclass(kind, lr_scheduler.LRScheduler)
    and name.removeprefix("_") not in ("LRScheduler", "ReduceLROnPlateau")
)
MADE_OF_OTHERS = {"SequentialLR", "ChainedScheduler"}
PLAIN = [(name, options) for name in OPTIONS for options in OPTIONS[name]]


def test_every_class_that_pytorch_has_is_tried() -> None:
    assert set(NEED_NO_METRIC) - MADE_OF_OTHERS == OPTIONS.keys()


def by_pytorch_alone(make: Callable[[Any], Any], lr: float = 0.1, updates: int = UPDATES) -> Any:
    """The learning rate at each step of a loop that trains nothing."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(updates):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(("name", "options"), PLAIN)
def test_a_class_gives_the_learning_rates_that_pytorch_alone_gives(
    name: str, options: dict[str, Any]
) -> None:
    recipe = Recipe(updates=UPDATES, schedule=name, schedule_options=options)
    make = getattr(lr_scheduler, name)
    history = train("line", recipe)
    assert history.lr.tolist() == by_pytorch_alone(lambda optimizer: make(optimizer, **options))
    assert history.lr.dtype == np.float64
    assert len(set(history.lr.tolist())) > 1


WITH_WARMUP = [(name, some) for name, some in PLAIN if name not in ("OneCycleLR", "CyclicLR")]


@pytest.mark.parametrize(("name", "options"), WITH_WARMUP)
def test_a_warm_up_before_a_class_is_pytorchs_sequence(name: str, options: dict[str, Any]) -> None:
    def make(optimizer: torch.optim.Optimizer) -> Any:
        first = lr_scheduler.LinearLR(optimizer, start_factor=1 / 7, total_iters=6)
        then = getattr(lr_scheduler, name)(optimizer, **options)
        return lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[6])

    recipe = Recipe(updates=UPDATES, schedule=name, schedule_options=options, warmup_steps=6)
    assert train("line", recipe).lr.tolist() == by_pytorch_alone(make)


def lr_of(**fields: Any) -> Any:
    return train("line", Recipe(updates=20, lr=0.3, **fields)).lr


def test_the_shapes_are_what_their_names_say() -> None:
    place = np.arange(20)
    np.testing.assert_allclose(lr_of(), 0.3, rtol=0)
    np.testing.assert_allclose(lr_of(schedule="linear"), 0.3 * (1 - place / 20), rtol=1e-12)
    cosine = 0.15 * (1 + np.cos(np.pi * place / 20))
    np.testing.assert_allclose(lr_of(schedule="cosine"), cosine, rtol=1e-11)
    np.testing.assert_allclose(lr_of(schedule="step"), 0.3 * 0.1 ** (place // 7), rtol=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "step"])
def test_a_warm_up_rises_in_equal_steps_to_the_full_rate(schedule: str) -> None:
    rates = lr_of(schedule=schedule, warmup_steps=4)
    np.testing.assert_allclose(rates[:5], [0.06, 0.12, 0.18, 0.24, 0.3], rtol=1e-12)
    assert (rates[5:] <= 0.3 * (1 + 1e-12)).all()


@pytest.mark.parametrize("warmup", [0, 1, 4, 13, 18, 19, 500])
@pytest.mark.parametrize("updates", [1, 2, 3, 20])
def test_one_cycle_rises_for_the_warm_up_and_falls_to_the_end(warmup: int, updates: int) -> None:
    recipe = Recipe(schedule="one-cycle", lr=0.3, warmup_steps=warmup, updates=updates)
    rates = train("line", recipe).lr
    assert rates.max() <= 0.3 * (1 + 1e-12)
    if warmup and warmup + 2 <= updates:
        assert rates.argmax() == warmup
        assert rates[warmup] == pytest.approx(0.3)
        assert (np.diff(rates[: warmup + 1]) > 0).all()
        assert (np.diff(rates[warmup:]) < 0).all()


def test_one_cycle_leaves_the_momentum_alone_unless_it_is_asked_to_move_it() -> None:
    def momentum(**options: Any) -> float:
        recipe = Recipe(
            options={"momentum": 0.5}, schedule="one-cycle", schedule_options=options, updates=9
        )
        run = Run("line", recipe)
        run.advance(updates=5)
        return float(run.optimizers[0].param_groups[0]["momentum"])

    assert momentum() == 0.5
    assert momentum(cycle_momentum=True) != 0.5


CASES: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "cosine": (
        {"schedule": "cosine"},
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=8),
    ),
    "warm-up": (
        {"warmup_steps": 3},
        lambda optimizer: lr_scheduler.LinearLR(optimizer, start_factor=1 / 4, total_iters=3),
    ),
    "one-cycle": (
        {"schedule": "one-cycle", "schedule_options": {"pct_start": 0.5}},
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.05, total_steps=8, pct_start=0.5, cycle_momentum=False
        ),
    ),
    "momentum cycles": (
        {
            "schedule": "CyclicLR",
            "schedule_options": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3},
        },
        lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3),
    ),
}
KINDS: dict[str, dict[str, Any]] = {"SGD": {"momentum": 0.9}, "AdamW": {"weight_decay": 0.1}}


def assert_equals_the_loop_by_hand(
    history: History, fields: dict[str, Any], groups: Any, **by_hand: Any
) -> Trace:
    name = history.recipe.optimizer
    trace = loop(
        double_model,
        groups,
        F.mse_loss,
        lambda ps: getattr(torch.optim, name)(ps, lr=0.05, **KINDS[name]),
        updates=8,
        **fields,
        **by_hand,
    )
    assert_same_run(history, trace)
    assert history.lr.tolist() == trace.lrs
    return trace


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("parts", [1, 3])
def test_a_run_equals_the_loop_by_hand_to_the_last_bit(case: str, kind: str, parts: int) -> None:
    fields, make = CASES[case]
    recipe = Recipe(
        kind, 0.05, KINDS[kind], updates=8, batch_size=9, accumulation_steps=parts, **fields
    )
    groups = shuffled(*doubles(), 9, parts)
    history = train(double_problem(), recipe)
    assert_equals_the_loop_by_hand(
        history, {"accumulation_steps": parts}, groups, make_scheduler=make
    )


def test_a_step_per_micro_batch_equals_the_loop_by_hand_and_pytorch_warns() -> None:
    fields, make = CASES["cosine"]
    recipe = Recipe(
        "SGD",
        0.05,
        KINDS["SGD"],
        updates=8,
        accumulation_steps=4,
        schedule_per="micro-batch",
        **fields,
    )
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        history = train(double_problem(), recipe)
    trace = assert_equals_the_loop_by_hand(
        history,
        {"accumulation_steps": 4},
        whole(*doubles(), 4),
        make_scheduler=make,
        per_micro_batch=True,
    )
    assert trace.lrs[1] == pytest.approx(0, abs=1e-12)  # at its end after a quarter of the run


def test_without_accumulation_a_micro_batch_is_the_update() -> None:
    recipe = Recipe(schedule="cosine", updates=9)
    once = train("moons", recipe.replace(schedule_per="micro-batch"))
    assert once.lr.tolist() == train("moons", recipe).lr.tolist()


def test_lbfgs_is_scheduled_like_any_other() -> None:
    recipe = Recipe("LBFGS", 0.5, {"max_iter": 3}, schedule="cosine", updates=5, warmup_steps=1)
    x, y = doubles()
    torch.manual_seed(0)
    model = double_model()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=3)
    first = lr_scheduler.LinearLR(optimizer, start_factor=1 / 2, total_iters=1)
    then = lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    scheduler = lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[1])
    losses, rates = [], []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        losses.append(optimizer.step(closure).item())
        scheduler.step()
    history = train(double_problem(), recipe)
    assert (history.loss.tolist(), history.lr.tolist()) == (losses, rates)


def held_out_problem(metric: Any) -> Problem:
    """Three samples to train on, so that what is held out soon gets worse; and dropout."""
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(33, 4, generator=draw, dtype=torch.float64)
    y = (x[:, 0] + torch.randn(33, generator=draw) > 0).long()

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Dropout(0.2), nn.Linear(9, 2)).double()

    training, held_out = (x[:12], y[:12]), (x[12:], y[12:])
    return Problem("held", model, training, F.cross_entropy, held_out=held_out, metric=metric)


MODES = [("loss", "min"), ("error", "min"), ("accuracy", "max")]


@pytest.mark.parametrize(("metric", "mode"), MODES)
def test_reduce_on_plateau_is_fed_what_is_measured_on_held_out_data(metric: str, mode: str) -> None:
    problem = held_out_problem(metric)
    recipe = Recipe(
        "Adam",
        0.1,
        schedule="ReduceLROnPlateau",
        schedule_options={"patience": 1, "factor": 0.5},
        updates=60,
    )
    history = train(problem, recipe)
    (x, y), (far, right) = problem.data, problem.held_out
    torch.manual_seed(0)
    model = problem.model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, mode, patience=1, factor=0.5)
    losses, rates = [], []
    for update in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        losses.append(loss.item())
        if update % 3 == 2:  # the 20 times at which a run measures
            model.eval()
            with torch.no_grad():
                output = model(far)
                accuracy = (output.argmax(1) == right).double().mean().item()
                value = {
                    "loss": F.cross_entropy(output, right).item(),
                    "accuracy": accuracy,
                    "error": 1 - accuracy,
                }[metric]
            model.train()
            scheduler.step(value)
    assert history.loss.tolist() == losses
    assert history.lr.tolist() == rates
    assert len(set(rates)) > 2


def test_a_plateau_needs_held_out_data() -> None:
    recipe = Recipe(schedule="ReduceLROnPlateau")
    for use in (train, script):
        with pytest.raises(ValueError, match=r"schedule='ReduceLROnPlateau'.*held_out"):
            use("moons", recipe)


ONE_CYCLE = {"max_lr": 1.0, "total_steps": 9}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schedule": "SequentialLR"}, ["schedule='SequentialLR'", "warmup_steps"]),
        ({"schedule": "ChainedScheduler"}, ["schedule='ChainedScheduler'", "warmup_steps"]),
        ({"schedule": "StepLR"}, ["schedule_options={}", "'StepLR' takes", "step_size"]),
        (
            {"schedule": "StepLR", "schedule_options": {"step_size": 0}},
            ["schedule_options={'step_size': 0}", "'StepLR' takes"],
        ),
        (
            {"schedule": "cosine", "schedule_options": {"gamma": 0.5}},
            ["schedule_options['gamma']=0.5", "'cosine' only: T_max, eta_min"],
        ),
        ({"schedule_options": {"gamma": 0.5}}, ["schedule_options['gamma']=0.5", "none"]),
        (
            {"schedule": "cosine", "schedule_options": {"eta_min": math.nan}},
            ["schedule_options['eta_min']=nan", "finite"],
        ),
        (
            {"schedule": "LambdaLR", "schedule_options": {"lr_lambda": nn.Linear}},
            ["schedule_options['lr_lambda']", "a number"],
        ),
        ({"schedule": "LambdaLR", "schedule_options": {"lr_lambda": 3}}, ["'LambdaLR' takes"]),
        ({"schedule": "step", "schedule_options": {"last_epoch": 3}}, ["'step' only: step_size"]),
        (
            {"optimizer": "Adagrad", "schedule": "OneCycleLR", "schedule_options": ONE_CYCLE},
            ["schedule_options=", "momentum"],
        ),
        (
            {"schedule": "OneCycleLR", "schedule_options": ONE_CYCLE, "warmup_steps": 2},
            ["warmup_steps=2", "0 with OneCycleLR", "pct_start"],
        ),
        (
            {
                "schedule": "CyclicLR",
                "schedule_options": {"base_lr": 0.1, "max_lr": 1.0},
                "warmup_steps": 2,
            },
            ["warmup_steps=2", "0 with CyclicLR"],
        ),
        (
            {"schedule": "ReduceLROnPlateau", "warmup_steps": 2},
            ["warmup_steps=2", "0 with ReduceLROnPlateau"],
        ),
        (
            {"schedule": "ReduceLROnPlateau", "schedule_per": "micro-batch"},
            ["schedule_per='micro-batch'", "'update' with ReduceLROnPlateau"],
        ),
    ],
)
def test_what_does_not_go_is_refused_in_words(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        Recipe(**fields)


def test_a_schedule_that_is_stepped_beyond_its_end_fails_as_pytorchs_does() -> None:
    options = {"max_lr": 0.1, "total_steps": 4}
    recipe = Recipe(schedule="OneCycleLR", schedule_options=options, updates=9)
    words = r"update 4: OneCycleLR.step\(\) raised: ValueError: Tried to step 5 times"
    with pytest.raises(TrainingError, match=words) as caught:
        train("line", recipe)
    history = caught.value.history
    assert history is not None
    assert history.stopped == (4, "failed")
    assert history.lr.shape == history.loss.shape == (4,)


def test_a_run_that_diverges_has_a_learning_rate_for_each_row() -> None:
    recipe = Recipe(lr=1e30, schedule="cosine", updates=50)
    history = train("line", recipe)
    assert history.diverged
    assert history.lr.shape == history.loss.shape


def test_functions_stay_with_the_recipe_and_are_refused_by_json() -> None:
    recipe = Recipe(schedule="LambdaLR", schedule_options={"lr_lambda": falling})
    assert recipe.schedule_options["lr_lambda"] is falling
    assert hash(recipe) == hash(recipe.replace(lr=0.1))
    with pytest.raises(ValueError, match=r"schedule_options=.*numbers, flags, texts"):
        recipe.to_json()


def test_json_and_repr_bring_options_back() -> None:
    options = {"milestones": [3, 8], "gamma": 0.5}
    recipe = Recipe(schedule="MultiStepLR", schedule_options=options, warmup_steps=2)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert eval(repr(recipe), {"Recipe": Recipe}) == recipe
    options["gamma"] = 0.1
    assert recipe.schedule_options["gamma"] == 0.5


class Counting:
    """A function that remembers how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _: int) -> float:
        self.calls += 1
        return 1 / self.calls


def test_a_function_with_a_memory_begins_again_with_each_run() -> None:
    own = Counting()
    recipe = Recipe(schedule="LambdaLR", schedule_options={"lr_lambda": own}, updates=6)
    first, second = train("line", recipe), train("line", recipe)
    expected = [0.1 * (1 / (1 + n)) for n in range(6)]
    assert first.lr.tolist() == second.lr.tolist() == expected
    assert own.calls == 0


def test_correct_use_makes_pytorch_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "The epoch parameter")  # torch 2.6's SequentialLR uses it
        for fields, _ in CASES.values():
            for kind in ("Adam", "SGD"):
                train("moons", Recipe(kind, 0.05, updates=8, accumulation_steps=2, **fields))
        train("moons", Recipe("LBFGS", updates=3, schedule="cosine", warmup_steps=1))
        plateau = Recipe(schedule="ReduceLROnPlateau", updates=4)
        train(held_out_problem("loss"), plateau)


def test_the_caller_is_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    seen: list[Any] = []
    handle = register_optimizer_step_pre_hook(lambda *_: seen.append(1))
    try:
        Recipe(schedule="cosine", warmup_steps=3)
    finally:
        handle.remove()
    assert not seen
    assert torch.equal(torch.get_rng_state(), before)


def test_another_schedule_begins_without_the_options_of_the_old() -> None:
    start = Recipe(schedule="step", schedule_options={"gamma": 0.5})
    assert settings.with_(start, lr=0.2).schedule_options == {"gamma": 0.5}
    assert settings.with_(start, schedule="cosine").schedule_options == {}
    with pytest.raises(ValueError, match="only: T_max, eta_min"):
        settings.with_(start, schedule="cosine", schedule_options={"gamma": 0.5})


def test_the_words_on_a_recipe_name_its_schedule() -> None:
    recipe = Recipe(schedule="step", schedule_options={"gamma": 0.5}, warmup_steps=5)
    said = "optimizer SGD, learning rate 0.1, schedule step, warm-up 5, updates 200, seed 0, gamma"
    assert settings.in_words([recipe]) == f"{said} 0.5"
    assert settings.differences(recipe, Recipe()) == ["schedule step", "warm-up 5", "gamma 0.5"]
    assert settings.differences(recipe, recipe.replace(lr=0.2)) == ["lr 0.1"]


def test_the_ledger_divides_by_the_rate_of_the_update() -> None:
    recipe = Recipe(schedule="cosine", warmup_steps=2, updates=7)
    history = train("line", recipe)
    for update, record in enumerate(record_updates("line", recipe)):
        for row in record.parameters:
            assert row.lr == history.lr[update]
            np.testing.assert_allclose(row.step, row.read, rtol=1e-4)


def test_csv_has_a_column_of_rates_where_there_is_a_schedule() -> None:
    history = train("line", Recipe(schedule="cosine", updates=3))
    header, *rows = history.to_csv().splitlines()
    assert header == "update,loss,grad_norm,edited_norm,param_norm,update_ratio,lr"
    assert [float(row.split(",")[-1]) for row in rows] == history.lr.tolist()
    assert "lr" not in train("line", Recipe(updates=1)).to_csv()


def losses_of(program: str, **brought: Any) -> Any:
    names: dict[str, Any] = {"__name__": "a_program", **brought}
    with torch.random.fork_rng():
        exec(program, names)
    return names["losses"]


@pytest.mark.parametrize(("name", "options"), PLAIN)
def test_a_program_with_any_class_gives_the_same_losses(name: str, options: dict[str, Any]) -> None:
    recipe = Recipe(updates=12, schedule=name, schedule_options=options)
    program = script("moons", recipe)
    given = recipe.schedule_options
    functions = {key: given[key] for key in ("lr_lambda", "scale_fn") if key in given}
    assert [f"# Bring with you: {key}" in program for key in functions] == [True] * len(functions)
    assert losses_of(program, **functions) == train("moons", recipe).loss.tolist()


def test_a_program_says_what_a_warm_up_is_and_a_constant_rate_adds_no_line() -> None:
    program = script("moons", Recipe(schedule="cosine", warmup_steps=9, updates=100))
    for line in (
        "warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 10, total_iters=9)",
        "after = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=91)",
        "scheduler = torch.optim.lr_scheduler.SequentialLR("
        "optimizer, [warmup, after], milestones=[9])",
    ):
        assert f"\n{line}\n" in program
    assert "\n    optimizer.step()\n    scheduler.step()\n" in program
    assert "schedule" not in script("moons", Recipe(schedule_per="micro-batch"))


def test_a_plateau_on_a_users_own_data_is_measured_in_the_program() -> None:
    problem = held_out_problem("loss")
    options = {"patience": 0, "threshold": 0.3}
    recipe = Recipe("Adam", 0.1, schedule="ReduceLROnPlateau", schedule_options=options, updates=40)
    for patience in (None, 5):
        history = train(problem, recipe.replace(patience=patience))
        program = script(problem, recipe.replace(patience=patience))
        (x, y), (held_x, held_y) = problem.data, problem.held_out
        brought = {"make_model": problem.model, "x": x, "y": y, "held_x": held_x, "held_y": held_y}
        assert losses_of(program, **brought) == history.loss.tolist()
        assert len(set(history.lr.tolist())) > 1


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
@pytest.mark.parametrize("own", [Lion, head_only])
def test_an_optimizer_of_ones_own_is_scheduled(own: Any, schedule: str) -> None:
    recipe = Recipe(own, 0.01, schedule=schedule, warmup_steps=2, updates=9)
    history = train("moons", recipe)
    sgd = train("moons", recipe.replace(optimizer="SGD"))
    assert history.lr.tolist() == sgd.lr.tolist()
    names: dict[str, Any] = {}
    with torch.random.fork_rng():
        exec(script("moons", recipe), names)
    assert names["losses"] == history.loss.tolist()


def two_groups(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    first, *rest = model.parameters()
    return torch.optim.Adam([{"params": [first], "lr": lr / 10}, {"params": rest}], lr=lr)


@pytest.mark.parametrize("schedule", ["linear", "one-cycle"])
def test_every_parameter_group_has_rates_of_its_own(schedule: str) -> None:
    recipe = Recipe(two_groups, 0.1, schedule=schedule, updates=9)
    history = train("moons", recipe)
    assert history.lrs.shape == (9, 2)
    np.testing.assert_allclose(10 * history.lrs[:, 0], history.lrs[:, 1], rtol=1e-12)
    assert history.lr.tolist() == history.lrs[:, 0].tolist()
    assert losses_of(script("moons", recipe)) == history.loss.tolist()
    record = next(record_updates("moons", recipe))
    assert [row.lr for row in record.parameters] == [
        history.lrs[0, 0],
        *[history.lrs[0, 1]] * (len(record.parameters) - 1),
    ]


@pytest.mark.parametrize(("own", "words"), [(lion_and_sgd, "several"), (Replacing, "no 'lr'")])
def test_optimizers_that_no_scheduler_can_change_are_refused(own: Any, words: str) -> None:
    for use in (train, script):
        with pytest.raises(ValueError, match=rf"schedule='cosine'.*{words}"):
            use("moons", Recipe(own, 0.01, schedule="cosine"))
    assert np.isnan(train("moons", Recipe(Replacing, 0.01, updates=3)).lr).all()


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_the_groups_of_a_recipe_are_scheduled_each_from_its_own_rate(schedule: str) -> None:
    groups = {"*bias": {"lr": 0.01, "frozen_until": 2}}
    recipe = Recipe(lr=0.1, groups=groups, schedule=schedule, warmup_steps=2, updates=9)
    history = train("moons", recipe)
    assert history.lrs.shape == (9, 2)
    np.testing.assert_allclose(history.lrs[:, 0], 10 * history.lrs[:, 1], rtol=1e-12)
    assert losses_of(script("moons", recipe)) == history.loss.tolist()


@pytest.mark.parametrize("way", ["lr", "left out"])
def test_groups_that_a_scheduler_would_disturb_are_refused(way: str) -> None:
    groups = {"*bias": {"frozen_until": 2, "freeze_by": way}}
    with pytest.raises(ValueError, match=r"groups=.*'requires_grad' or 'gradient'.*schedule"):
        Recipe(groups=groups, schedule="cosine")
    assert train("moons", Recipe(groups=groups, updates=4)).lrs.shape == (4, 2)
