"""A run with patience is, to the last bit, the early stopping loop that a person writes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets import GradLab, Problem, Recipe, sweep, train
from gradwidgets.core import patience_of, verdict
from gradwidgets.script import script
from gradwidgets.stepper.engine import StepperEngine
from tests.sweep.same_bits import difference


def noisy(count: int, seed: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 12, generator=draw, dtype=torch.float64)
    return x, x[:, :1] + 2 * torch.randn(count, 1, generator=draw, dtype=torch.float64)


TRAIN, HELD = noisy(16, 0), noisy(30, 1)
CLASSES = tuple((y[:, 0] > 0).long() for _, y in (TRAIN, HELD))
SIGNS = tuple((y > 0).double() for _, y in (TRAIN, HELD))


def make_net(outputs: int = 1) -> nn.Module:
    layers = nn.Linear(12, 8), nn.Tanh(), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, outputs)
    return nn.Sequential(*layers).double()


def worst(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).abs().max()


def precision(output: Tensor, target: Tensor) -> float:
    """NaN where nothing is said to be positive."""
    said = output > 1.0
    return (said & (target == 1)).sum().item() / said.sum().item() if said.any() else math.nan


def unequal() -> list[tuple[Tensor, Tensor]]:
    return [(HELD[0][:7], HELD[1][:7]), (HELD[0][7:], HELD[1][7:])]


def regression(held: Any = HELD, **how: Any) -> Problem:
    how.setdefault("loss", F.mse_loss)
    return Problem("noisy", make_net, TRAIN, held_out=held, **how)


TWO = Problem(
    "two", partial(make_net, 2), (TRAIN[0], CLASSES[0]), F.cross_entropy, (HELD[0], CLASSES[1])
)
ONE = Problem(
    "one", make_net, (TRAIN[0], SIGNS[0]), F.binary_cross_entropy_with_logits, (HELD[0], SIGNS[1])
)
RECIPE = Recipe(lr=0.03, updates=80, options={"momentum": 0.9})


def mse(net: nn.Module) -> float:
    return F.mse_loss(net(HELD[0]), HELD[1]).item()


def weighted(net: nn.Module) -> float:
    return sum(F.mse_loss(net(x), y).item() * len(y) for x, y in unequal()) / 30


def summed(net: nn.Module) -> float:
    return sum(F.mse_loss(net(x), y, reduction="sum").item() for x, y in unequal())


def accuracy(net: nn.Module) -> float:
    return (
        sum(int(a) == int(b) for a, b in zip(net(HELD[0]).argmax(1), CLASSES[1], strict=True)) / 30
    )


def binary_error(net: nn.Module) -> float:
    return sum((a > 0) != (b > 0) for a, b in zip(net(HELD[0]), SIGNS[1], strict=True)).item() / 30


ERROR = Problem(
    "one", make_net, ONE.data, F.binary_cross_entropy_with_logits, ONE.held_out, metric="error"
)
SUM = nn.MSELoss(reduction="sum")
CASES: dict[str, tuple[Problem, Callable[[nn.Module], float], bool]] = {
    "loss": (regression(), mse, False),
    "unequal batches": (regression(unequal()), weighted, False),
    "sums of batches": (regression(unequal(), loss=SUM), summed, False),
    "accuracy": (TWO, accuracy, True),
    "error": (ERROR, binary_error, False),
    "a function": (
        regression(metric=worst, better="lower"),
        lambda net: worst(net(HELD[0]), HELD[1]).item(),
        False,
    ),
    "NaN at first": (
        Problem(
            "nan", make_net, ONE.data, ONE.loss, ONE.held_out, metric=precision, better="higher"
        ),
        lambda net: precision(net(HELD[0]), SIGNS[1]),
        True,
    ),
}


def first_best(values: list[float], higher: bool) -> int:
    """The place of the first value that no other beats; NaN is beaten by every number."""
    ranked = [-math.inf if math.isnan(v) else v if higher else -v for v in values]
    return ranked.index(max(ranked))


def by_hand(
    problem: Problem, recipe: Recipe, measure: Callable[[nn.Module], float], higher: bool
) -> tuple[list[float], list[tuple[int, float]]]:
    """The losses of each update, and (updates done, value) of each measurement."""
    torch.manual_seed(recipe.seed)
    net = problem.model()
    optimizer = torch.optim.SGD(net.parameters(), lr=recipe.lr, **recipe.options)
    x, y = problem.data
    losses: list[float] = []
    measured: list[tuple[int, float]] = []

    def look() -> bool:
        net.eval()
        with torch.no_grad():
            measured.append((len(losses), measure(net)))
        net.train()
        values = [value for _, value in measured]
        return len(values) - 1 - first_best(values, higher) >= recipe.patience

    look()
    while len(losses) < recipe.updates:
        optimizer.zero_grad()
        loss = problem.loss(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) % (recipe.updates // 20) == 0 and look():
            break
    return losses, measured


def losses_of(program: str, **brought: Any) -> list[float]:
    names: dict[str, Any] = {"__name__": "a_program", **brought}
    with torch.random.fork_rng():
        exec(program, names)
    return names["losses"]


def brought(problem: Problem) -> dict[str, Any]:
    """All that a program may ask for."""
    names = {"x": TRAIN[0], "y": problem.data[1], "make_model": problem.model, "loss_fn": SUM}
    if not isinstance(problem.held_out, tuple):
        return names | {"held_out": problem.held_out}
    return names | {"held_x": problem.held_out[0], "held_y": problem.held_out[1]}


@pytest.mark.parametrize("patience", [1, 2, 4])
@pytest.mark.parametrize("case", CASES)
def test_a_run_stops_where_the_loop_by_hand_stops(case: str, patience: int) -> None:
    problem, measure, higher = CASES[case]
    recipe = RECIPE.replace(patience=patience, lr=0.01 if "sums" in case else 0.03)
    losses, measured = by_hand(problem, recipe, measure, higher)
    history = train(problem, recipe)
    assert history.loss.tolist() == losses
    np.testing.assert_allclose(history.held_out, measured, rtol=1e-14)
    early = len(losses) < recipe.updates
    assert history.stopped == ((len(losses) - 1, "patience") if early else None)


def test_the_cases_stop_early_and_at_different_updates() -> None:
    ends = {
        case: train(problem, RECIPE.replace(patience=2)) for case, (problem, *_) in CASES.items()
    }
    assert all(history.stopped for name, history in ends.items())
    assert len({history.updates for history in ends.values()}) > 1


@pytest.mark.parametrize("patience", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_its_program_and_its_stepper_stop_there_too(case: str, patience: int) -> None:
    problem = CASES[case][0]
    recipe = RECIPE.replace(patience=patience)
    history = train(problem, recipe)
    assert losses_of(script(problem, recipe), **brought(problem)) == history.loss.tolist()
    engine = StepperEngine(problem, recipe)
    shot = engine.run(recipe.updates)
    assert engine.workspace.names["losses"] == history.loss.tolist()
    assert shot.ended == (history.stopped[1] if history.stopped else "updates")


def test_going_back_in_the_stepper_takes_the_waiting_back() -> None:
    engine = StepperEngine(regression(), RECIPE.replace(patience=2, updates=20))
    states = []
    for _ in range(4):
        engine.finish()
        states.append((engine.workspace.names["best"], engine.workspace.names["waited"]))
    while engine.snapshot.update > 0 or engine.snapshot.executed is not None:
        engine.previous()
    assert engine.workspace.names["waited"] == 0
    for state in states:
        engine.finish()
        assert (engine.workspace.names["best"], engine.workspace.names["waited"]) == state


@pytest.mark.parametrize("optimizer", ["LBFGS", "Adam"])
def test_any_optimizer_and_accumulation_stop_early(optimizer: str) -> None:
    recipe = Recipe(optimizer=optimizer, lr=0.05, patience=1, accumulation_steps=3, updates=30)
    history = train(regression(), recipe)
    assert history.stopped is not None
    assert losses_of(script(regression(), recipe), **brought(regression())) == history.loss.tolist()


@pytest.mark.parametrize("own", [True, False])
def test_a_shuffled_loader_of_held_out_data_leaves_the_run_alone(own: bool) -> None:
    generator = torch.Generator() if own else None
    held = DataLoader(TensorDataset(*HELD), batch_size=7, shuffle=True, generator=generator)
    problem, recipe = regression(held), RECIPE.replace(patience=2)
    history = train(problem, recipe)
    assert history.loss.tolist() == train(problem, RECIPE).loss[: history.updates].tolist()
    assert losses_of(script(problem, recipe), **brought(problem) | {"held_out": held}) == (
        history.loss.tolist()
    )


class Frozen(nn.Sequential):
    """A model whose BatchNorm is never in training mode."""


def frozen_model() -> nn.Module:
    net = Frozen(*make_net().children())
    net[3].eval()
    return net


def test_modules_that_are_in_eval_mode_stay_so() -> None:
    problem = Problem("frozen", frozen_model, TRAIN, F.mse_loss, HELD)
    recipe = RECIPE.replace(patience=2)
    program = script(problem, recipe)
    assert losses_of(program, **brought(problem)) == train(problem, recipe).loss.tolist()
    assert "modes = " in program


def ignoring_problem() -> Problem:
    target = CLASSES[1].clone()
    target[::3] = -100
    return Problem("some", TWO.model, TWO.data, F.cross_entropy, (HELD[0], target))


def test_targets_that_the_loss_ignores_are_not_judged_in_the_program_either() -> None:
    problem, recipe = ignoring_problem(), RECIPE.replace(patience=2)
    program = script(problem, recipe)
    assert "[held_y != -100]" in program
    assert losses_of(program, **brought(problem)) == train(problem, recipe).loss.tolist()


@pytest.mark.parametrize("case", ["loss", "accuracy"])
def test_a_sweep_stops_each_replica_where_it_stops_alone(case: str) -> None:
    problem, recipe = CASES[case][0], RECIPE.replace(patience=2)
    plain = Problem(case, lambda: plain_model(case), problem.data, problem.loss, problem.held_out)
    for field, values in (("lr", [0.01, 0.3]), ("patience", [1, 2, 5, None])):
        swept = sweep(plain, recipe, field, values)
        for value, history in zip(values, swept, strict=True):
            alone = train(plain, recipe.replace(**{field: value}))
            assert difference(history, alone) == ""
            assert history.stopped == alone.stopped
        assert len({history.updates for history in swept}) > 1


def plain_model(case: str) -> nn.Module:
    return nn.Sequential(
        nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1 + (case == "accuracy"))
    ).double()


def test_the_last_update_is_no_early_stop() -> None:
    history = train(regression(), RECIPE.replace(patience=2))
    whole = train(regression(), RECIPE.replace(patience=2, updates=20))
    assert history.stopped
    ends = [train(regression(), RECIPE.replace(patience=k, updates=20)) for k in range(1, 21)]
    for end in ends:
        assert (end.stopped is None) == (end.updates == 20)
    assert whole.updates <= 20


def test_a_threshold_at_the_same_update_comes_first() -> None:
    recipe = RECIPE.replace(patience=2)
    history = train(regression(), recipe)
    again = train(regression(), recipe.replace(stop_below=history.loss[-1] + 1e-9))
    assert again.stopped is not None
    assert again.stopped[1] == "threshold"


def test_the_sentence_and_the_verdict_say_so() -> None:
    history = train(regression(), RECIPE.replace(patience=3))
    count, values = history.updates, history.held_out
    best = values[values[:, 1].argmin()]
    assert history.summary() == (
        f"Stopped early after {count} updates of 80: the held-out loss had not improved for 3 "
        f"measurements; best {best[1]:.4g} at update {int(best[0])}; the loss went from "
        f"{history.loss[0]:.4g} to {history.loss[-1]:.4g}."
    )
    assert verdict(history.loss, history.stopped) == "early"


NONE_HELD = Problem("none", make_net, TRAIN, F.mse_loss)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (NONE_HELD, r"Recipe.patience=\d .*'none' has no held-out data; give it Problem\(held_out"),
        (regression(metric=worst), r"metric 'worst' are better: Problem\(better=\"higher\"\) or"),
    ],
)
def test_what_cannot_stop_early_is_refused_in_words(problem: Problem, words: str) -> None:
    recipe = Recipe(patience=3)
    for refuses in (
        lambda: train(problem, recipe),
        lambda: script(problem, recipe),
        lambda: StepperEngine(problem, recipe),
        lambda: sweep(problem, recipe, "lr", [0.1, 0.2]),
        lambda: patience_of(problem, recipe),
        lambda: GradLab(problem, show=("patience",)),
    ):
        with pytest.raises(ValueError, match=words):
            refuses()


@pytest.mark.parametrize(("metric", "better"), [(worst, "up"), ("loss", "lower"), (None, "higher")])
def test_a_direction_is_for_a_function_of_ones_own(metric: Any, better: str) -> None:
    with pytest.raises(ValueError, match=r"Problem\.better="):
        regression(metric=metric, better=better)


def test_the_picture_has_the_held_out_loss_beside_the_loss() -> None:
    from gradwidgets.plots import StyledRun, make

    problem = regression()
    history = train(problem, RECIPE)
    panel = make(["loss"], problem)[0]
    run = StyledRun(history, "now")
    held, loss = panel.series(history)
    assert np.array_equal(np.stack([held.x, held.y], 1), history.held_out)
    assert np.array_equal(loss.y, history.loss)
    assert held.dash == "dotted"
    assert [text for _, text in panel.labels(run)] == ["held-out", "now"]
    assert panel.title == "loss (dotted: held-out)"
    assert "Plots of loss (dotted: held-out), gradient" in str(
        GradLab(problem, recipe=RECIPE)._screen.alt
    )
    low, high = panel.limits([run]).y
    assert low <= held.y.min() <= held.y.max() <= high


def test_only_means_of_the_same_loss_are_drawn_on_one_axis() -> None:
    from gradwidgets.plots import LOSS, make

    for problem in (TWO, NONE_HELD, CASES["sums of batches"][0], CASES["a function"][0]):
        assert make(["loss"], problem) == [LOSS]
