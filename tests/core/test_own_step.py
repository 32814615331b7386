"""A problem with a step of its own trains as the loop by hand does, whatever its batches are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets import Problem, Recipe, TrainingError, sweep, train
from gradwidgets.meter.measure import measure
from gradwidgets.script import script
from gradwidgets.stepper.engine import StepperEngine
from tests.by_hand import mean as mean_of

DRAW = torch.Generator().manual_seed(0)
X = torch.randn(24, 3, generator=DRAW, dtype=torch.float64)
Y = torch.randn(24, 1, generator=DRAW, dtype=torch.float64)
W = torch.rand(24, 1, generator=DRAW, dtype=torch.float64)


def make_net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.1), nn.Linear(5, 1)).double()


def of_dict(net: nn.Module, given: Any) -> Tensor:
    return F.mse_loss(net(given["x"]), given["y"])


def of_triple(net: nn.Module, given: Any) -> Tensor:
    x, y, weight = given
    return (weight * (net(x) - y) ** 2).mean()


def of_arrays(net: nn.Module, given: Any) -> Tensor:
    x, y = map(torch.from_numpy, given)
    return F.mse_loss(net(x), y)


def rows_of(given: Any) -> int:
    return len(given[0])


def split_dict(given: Any, count: int) -> list[Any]:
    pairs = zip(given["x"].chunk(count), given["y"].chunk(count), strict=True)
    return [{"x": x, "y": y} for x, y in pairs]


def dicts(*sizes: int) -> list[dict[str, Tensor]]:
    pairs = zip(X.split(list(sizes)), Y.split(list(sizes)), strict=True)
    return [{"x": x, "y": y} for x, y in pairs]


LOADER = DataLoader(TensorDataset(X, Y, W), batch_size=7)
ARRAYS = [(x.numpy(), y.numpy()) for x, y in zip(X.split(10), Y.split(10), strict=True)]
CASES: dict[str, tuple[dict[str, Any], Callable[[Any], float]]] = {
    "dicts": ({"data": dicts(8, 6, 10), "step": of_dict}, lambda b: len(b["x"])),
    "one dict": (
        {"data": {"x": X, "y": Y}, "step": of_dict, "split": split_dict},
        lambda b: len(b["x"]),
    ),
    "cut dicts": (
        {"data": dicts(14, 10), "step": of_dict, "split": split_dict},
        lambda b: len(b["x"]),
    ),
    "triples": ({"data": LOADER, "step": of_triple}, lambda b: len(b[0])),
    "arrays": ({"data": ARRAYS, "step": of_arrays, "samples": rows_of}, lambda b: len(b[0])),
}


def by_hand(how: dict[str, Any], recipe: Recipe, size: Callable[[Any], float]) -> list[float]:
    torch.manual_seed(recipe.seed)
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=recipe.lr)
    count, losses, data = recipe.accumulation_steps, [], how["data"]
    batches = [data] if isinstance(data, dict) else data
    while True:
        if "split" in how and count > 1:
            groups = [how["split"](batch, count) for batch in batches]
        else:
            epoch = list(batches)
            groups = [epoch[i : i + count] for i in range(0, len(epoch), count)]
        for group in groups:
            optimizer.zero_grad()
            found = []
            for batch in group:
                loss = how["step"](net, batch)
                (loss / count if recipe.average else loss).backward()
                found.append(loss.item())
            optimizer.step()
            sizes = [size(batch) for batch in group]
            mean = mean_of(found, sizes)
            losses.append(found[0] if count == 1 else mean)
            if len(losses) == recipe.updates:
                return losses


def problem_of(case: str, **more: Any) -> Problem:
    return Problem("own", make_net, **CASES[case][0], **more)


def brought(case: str) -> dict[str, Any]:
    data = CASES[case][0]["data"]
    return {"batch" if isinstance(data, dict) else "loader": data}


def losses_of(program: str, **names: Any) -> list[float]:
    with torch.random.fork_rng():
        names["__name__"] = "a_program"
        exec(program, names)
    return names["losses"]


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_train_script_and_stepper_are_the_loop_by_hand(
    case: str, steps: int, average: bool
) -> None:
    how, size = CASES[case]
    recipe = Recipe(accumulation_steps=steps, average=average, updates=7)
    expected = by_hand(how, recipe, size)
    problem = problem_of(case)
    assert train(problem, recipe).loss.tolist() == expected
    assert train(problem, recipe).loss.tolist() == expected
    assert losses_of(script(problem, recipe), **brought(case)) == expected
    engine = StepperEngine(problem, recipe)
    assert engine.run(7).failure is None
    assert engine.workspace.names["losses"] == expected


def test_the_programs_say_step_of_model_and_batch() -> None:
    text = script(problem_of("cut dicts"), Recipe(accumulation_steps=2))
    assert "for part in split_dict(batch, 2):" in text
    assert "loss = of_dict(model, part)" in text
    assert "def of_dict(net" in text
    assert "loss = of_triple(model, batch)" in script(problem_of("triples"))


@pytest.mark.parametrize("metric", [None, "loss"])
def test_held_out_batches_are_weighed_by_their_samples_in_eval_mode(metric: Any) -> None:
    held = dicts(3, 21)
    problem = problem_of("dicts", held_out=held, metric=metric)
    history = train(problem, Recipe(updates=5))
    assert history.metric == "loss"
    net = history.model.eval()
    expected = F.mse_loss(net(X), Y).item()
    assert history.held_out[-1].tolist() == [5, pytest.approx(expected, rel=1e-12)]


def worst(net: nn.Module, given: Any) -> Tensor:
    return (net(given["x"]) - given["y"]).abs().max()


@pytest.mark.parametrize(("metric", "better"), [(None, None), (worst, "lower")])
@pytest.mark.parametrize("held", [dicts(3, 21), {"x": X, "y": Y}])
def test_patience_stops_its_program_and_its_stepper_at_the_same_update(
    held: Any, metric: Any, better: Any
) -> None:
    problem = problem_of("dicts", held_out=held, metric=metric, better=better)
    recipe = Recipe(updates=60, lr=0.8, patience=1)
    history = train(problem, recipe)
    assert history.stopped is not None
    program = script(problem, recipe)
    assert losses_of(program, **brought("dicts"), held_out=held) == history.loss.tolist()
    engine = StepperEngine(problem, recipe)
    engine.run(60)
    assert engine.workspace.names["losses"] == history.loss.tolist()


@pytest.mark.filterwarnings("ignore:sweep")
def test_a_sweep_goes_one_by_one_and_says_why() -> None:
    with pytest.warns(UserWarning, match="the problem's own step is written for one model"):
        histories = sweep(problem_of("dicts"), Recipe(updates=4), "lr", [0.1, 0.2])
    for history in histories:
        expected = train(problem_of("dicts"), history.recipe).loss
        assert history.loss.tolist() == expected.tolist()


def test_a_meter_refuses_it_in_words() -> None:
    with pytest.raises(ValueError, match=r"a meter needs data \(x, y\) and Problem\.loss; 'own'"):
        measure(problem_of("dicts"), Recipe())


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"data": [(X, Y)]}, "give a function loss.* or a step=step"),
        ({"data": [(X, Y)], "loss": F.mse_loss, "step": of_dict}, "both loss and step are given"),
        ({"data": [(X, Y)], "step": 3}, r"Problem\.step=3"),
        ({"data": [(X, Y)], "step": of_dict, "metric": "accuracy"}, r"Problem\.metric='accuracy'"),
        ({"data": [(X, Y)], "step": of_dict, "split": 3}, r"Problem\.split=3"),
        ({"data": [(X, Y)], "loss": F.mse_loss, "split": len}, "None without a step"),
    ],
)
def test_what_does_not_go_together_is_refused(how: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Problem("own", make_net, **how)


@pytest.mark.parametrize(
    ("how", "recipe", "words"),
    [
        ({"data": iter([])}, Recipe(), r"Problem\.data=.*a list of batches, or a DataLoader"),
        ({"data": []}, Recipe(), "no batch in it"),
        ({}, Recipe(batch_size=4), "the data makes the batches"),
        ({}, Recipe(dtype="bfloat16"), "the model and the step choose it"),
        ({"data": {"x": X, "y": Y}}, Recipe(accumulation_steps=2), "the data is one batch"),
        ({"split": lambda b, _: [b] * 5}, Recipe(accumulation_steps=2), r"split\(batch, 2\)=5"),
        ({"samples": lambda _: 0}, Recipe(accumulation_steps=2), r"samples\(batch\)=0"),
        (
            {"data": [[1], [2]], "step": lambda m, _: m(X).sum()},
            Recipe(accumulation_steps=2),
            "nothing to count in a list of",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(how: Any, recipe: Recipe, words: str) -> None:
    problem = Problem("own", make_net, **{"data": dicts(8, 16), "step": of_dict} | how)
    with pytest.raises(ValueError, match=words):
        train(problem, recipe)


class Output:
    def __init__(self, loss: Tensor) -> None:
        self.loss = loss


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda m, b: m(b["z"]), r"the step raised at update 0 on a dict of x \(8, 3\) float64, y"),
        (lambda *_: None, "returned a NoneType at update 0: it must return the loss"),
        (lambda m, b: Output(of_dict(m, b)), "returned a Output at update 0: .* return its .loss"),
        (lambda m, b: m(b["x"]), r"one number; end it with .mean\(\)"),
        (lambda m, b: of_dict(m, b).detach(), "must depend on a parameter"),
    ],
)
def test_a_step_that_fails_is_explained(step: Any, words: str) -> None:
    problem = Problem("own", make_net, dicts(8, 16), step=step)
    with pytest.raises(TrainingError, match=words):
        train(problem)


def test_a_step_that_differentiates_is_told_of_no_grad() -> None:
    def step(net: nn.Module, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(net(x).sum(), x, create_graph=True)[0].square().mean()

    problem = Problem("own", make_net, X, step=step, held_out=X)
    with pytest.raises(TrainingError, match=r"begins with `with torch\.enable_grad\(\):`"):
        train(problem)


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    history = train(Problem("own", make_net, X, step=lambda m, b: m(b).sum() / 0 * 0))
    assert history.stopped == (0, "diverged")
    assert np.isfinite(history.loss).all()


@pytest.mark.parametrize("per", ["update", "micro-batch"])
def test_a_schedule_is_stepped_in_the_program_and_the_stepper_as_in_train(per: str) -> None:
    recipe = Recipe(schedule="cosine", schedule_per=per, accumulation_steps=2, updates=8)
    problem = problem_of("cut dicts")
    history = train(problem, recipe)
    assert (
        history.loss.tolist() != train(problem, recipe.replace(schedule="constant")).loss.tolist()
    )
    assert losses_of(script(problem, recipe), **brought("cut dicts")) == history.loss.tolist()
    engine = StepperEngine(problem, recipe)
    engine.run(8)
    assert engine.workspace.names["losses"] == history.loss.tolist()
