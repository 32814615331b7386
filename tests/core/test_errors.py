"""What goes wrong in a run is said once, clearly, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets.core import Problem, Recipe, TrainingError, train
from gradwidgets.core.loop import Run
from tests.examples import SAMPLES, double_model, double_problem, doubles

X, Y = doubles()


class Answer(nn.Module):
    """A model that gives whatever a function makes of its linear output."""

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2).double()
        self.change = change

    def forward(self, x: Tensor) -> Any:
        return self.change(self.linear(x))


def no_graph(output: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(output.detach(), target)


ABSOLUTE = nn.L1Loss()


def with_loss(loss: Callable[..., Any]) -> Problem:
    return double_problem(loss=loss)


FAILURES: dict[str, tuple[Problem, list[str]]] = {
    "output does not fit": (
        double_problem(loss=F.cross_entropy, data=(X, torch.zeros(22, 5).double())),
        ["loss raised at update 0", "output (22, 2) float64", "target (22, 5) float64"],
    ),
    "input does not fit": (
        double_problem(data=(torch.zeros(22, 7).double(), Y)),
        ["model raised at update 0 on (22, 7) float64", "RuntimeError"],
    ),
    "model asks for too much": (
        double_problem(model=lambda: Answer(lambda _: torch.empty(10**15, dtype=torch.float32))),
        ["model raised at update 0", "there is no memory for 4e+06 GB; make the model or"],
    ),
    "model returns None": (
        double_problem(model=lambda: Answer(lambda _: None)),
        ["model returned None at update 0", "return"],
    ),
    "model returns a pair": (
        double_problem(model=lambda: Answer(lambda output: (output, output))),
        ["loss raised at update 0", "output a tuple"],
    ),
    "loss is not scalar": (
        with_loss(lambda output, target: (output - target) ** 2),
        ["loss returned (22, 2) float64", ".mean() or .sum()"],
    ),
    "loss is a number": (
        with_loss(lambda *_: 3.0),
        ["loss returned a float", "one number, a tensor"],
    ),
    "loss is a pair": (
        with_loss(lambda output, target: (F.mse_loss(output, target), 1.0)),
        ["loss returned a tuple", "one number"],
    ),
    "loss broadcasts": (
        double_problem(data=(X, Y[:, 0]), model=lambda: nn.Linear(3, 1).double()),
        ["mse_loss would broadcast the output (22, 1) and the target", "unsqueeze(1) is (22, 1)"],
    ),
    "loss as a module broadcasts": (
        double_problem(data=(X, Y[:, :1]), model=lambda: Answer(lambda o: o[:, 0]), loss=ABSOLUTE),
        ["L1Loss would broadcast the output", "and the target (22, 1)", "target.squeeze(1) is"],
    ),
    "x has another dtype": (
        double_problem(data=(X.float(), Y)),
        ["model raised", "x is float32", "parameters are float64", "x.to(torch.float64)"],
    ),
    "y has another dtype": (
        double_problem(data=(X, Y.float()), loss=lambda output, target: (output @ target.T).mean()),
        ["loss raised", "y is float32", "output is float64", "y.to(torch.float64)"],
    ),
    "loss is None": (with_loss(lambda *_: None), ["loss returned a NoneType"]),
    "loss has no graph": (with_loss(no_graph), ["loss returned () float64", "detach()"]),
    "output has no graph": (
        double_problem(model=lambda: Answer(lambda output: output.detach())),
        ["loss returned () float64", "detach()", "depend on a parameter"],
    ),
    "NaN in x": (
        double_problem(data=(X.index_fill(0, torch.tensor([4]), torch.nan), Y)),
        ["data of update 0 is not finite", "x holds 3 NaN", "the first at (4, 0)"],
    ),
    "infinity in y": (
        double_problem(data=(X, Y.index_fill(0, torch.tensor([2]), torch.inf))),
        ["data of update 0", "y holds 2 NaN or infinite", "(2, 0)"],
    ),
    "batch is no pair": (
        double_problem(data=DataLoader(TensorDataset(X), batch_size=5)),
        ["Problem.data: a batch must be (x, y), not a list of 1"],
    ),
    "batch is a tensor": (
        double_problem(data=[X]),
        ["Problem.data: a batch must be (x, y), not a Tensor"],
    ),
    "no batch": (double_problem(data=[]), ["Problem.data: no batch in it"]),
    "empty batch": (
        double_problem(data=[(torch.zeros(0, 3).double(), torch.zeros(0, 2).double())]),
        ["Problem.data: a batch holds no sample"],
    ),
    "no sample": (
        double_problem(data=(torch.zeros(0, 3), torch.zeros(0, 2))),
        ["Problem.data: shapes (0, 3) and (0, 2)", "> 0"],
    ),
    "unequal lengths": (
        double_problem(data=(torch.zeros(5, 3), torch.zeros(4, 2))),
        ["shapes (5, 3) and (4, 2)", "same number of samples"],
    ),
    "data is a number": (double_problem(data=3), ["Problem.data=3", "(x, y) tensors"]),
    "no parameter": (
        double_problem(model=nn.Identity),
        ["Problem.model", "with a parameter to train"],
    ),
    "all frozen": (
        double_problem(model=lambda: double_model().requires_grad_(False)),
        ["Problem.model", "with a parameter to train"],
    ),
    "frozen instance": (
        double_problem(model=double_model().requires_grad_(False)),
        ["Problem.model", "with a parameter to train"],
    ),
    "sparse parameter": (
        double_problem(model=lambda: nn.ParameterDict({"w": torch.eye(3).to_sparse()})),
        ["Problem.model", "parameter 'w'", "torch.sparse_coo", "dense"],
    ),
    "lazy layer": (
        double_problem(model=lambda: nn.Sequential(nn.LazyLinear(2))),
        ["Problem.model", "'0.weight'", "lazy", "no size yet"],
    ),
    "class needs arguments": (
        double_problem(model=nn.Linear),
        ["Problem.model", "Linear() raised TypeError", "'in_features'", "needs no arguments"],
    ),
    "factory returns no module": (
        double_problem(model=lambda: 3),
        ["Problem.model()=3", "an nn.Module from the factory"],
    ),
}


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(updates=3),
        Recipe(updates=3, accumulation_steps=2, scale=2.0),
        Recipe(updates=3, optimizer="LBFGS"),
    ],
    ids=["plain", "accumulated", "closure"],
)
@pytest.mark.parametrize("failure", FAILURES)
def test_one_clear_message(failure: str, recipe: Recipe) -> None:
    problem, words = FAILURES[failure]
    with pytest.raises((ValueError, TrainingError)) as raised:
        train(problem, recipe)
    message = str(raised.value)
    for word in words:
        assert word.replace("(22, ", f"({SAMPLES // recipe.accumulation_steps}, ") in message
    assert "\n" not in message
    assert len(message) < 500


def failing_at(update: int) -> Callable[[], nn.Module]:
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = double_model()
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            if self.calls == update:
                raise RuntimeError("a wire came loose\nand more of it")
            self.calls += 1
            output: Tensor = self.inner(x)
            return output

    return Failing


@pytest.mark.parametrize("fields", [{}, {"scale": 2.0}, {"clear": "never"}], ids=repr)
def test_a_model_that_raises_at_update_57_leaves_57_rows(fields: dict[str, Any]) -> None:
    recipe = Recipe(updates=200, **fields)
    with pytest.raises(TrainingError, match=r"model raised at update 57 .*a wire came loose") as e:
        train(double_problem(model=failing_at(57)), recipe)
    history = e.value.history
    expected = train(double_problem(model=failing_at(999)), recipe.replace(updates=57))
    assert history.updates == 57
    assert history.stopped == (57, "failed")
    assert history.loss.tolist() == expected.loss.tolist()
    np.testing.assert_array_equal(history.change_norms, expected.change_norms)
    assert history.summary().startswith("Failed after 57 updates of 200")
    assert isinstance(e.value.__cause__, RuntimeError)


def test_an_edit_that_raises_leaves_the_completed_rows() -> None:
    calls: list[int] = []

    def refuse(_: list[Tensor]) -> None:
        calls.append(1)
        if len(calls) == 5:
            raise KeyError("weight")

    with pytest.raises(TrainingError, match="update 4 with SGD raised: KeyError") as e:
        train(double_problem(), Recipe(edits=(refuse,), scale=2.0))
    history = e.value.history
    assert history.updates == 4
    assert history.grad_norms.shape == history.edited_norms.shape == (4, 4)
    assert history.parameters["0.bias"].shape == (5, 5)


def bag(sparse: bool = True) -> nn.Module:
    return nn.Sequential(nn.EmbeddingBag(4, 2, sparse=sparse), nn.Linear(2, 1))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(optimizer="Adam"),
        Recipe(optimizer="SparseAdam"),
        Recipe(options={"weight_decay": 0.1}),
    ],
    ids=str,
)
def test_sparse_gradients_that_an_optimizer_refuses_are_named(recipe: Recipe) -> None:
    data = (torch.tensor([[0, 1], [2, 2]]), torch.ones(2, 1))
    words = r"update 0 with .* raised: .*; sparse are the gradients of \['0.weight'\]: sparse=False"
    with pytest.raises(TrainingError, match=words):
        train(Problem("bag", bag, data, F.mse_loss), recipe)
    if recipe.optimizer != "SparseAdam":
        train(Problem("bag", lambda: bag(sparse=False), data, F.mse_loss), recipe)


@pytest.mark.parametrize("fields", [{"l1": 0.1}, {"l2": 0.1}])
def test_a_penalty_makes_gradients_dense_and_sparse_adam_is_refused(fields: dict[str, Any]) -> None:
    data = (torch.tensor([[0, 1], [2, 2]]), torch.ones(2, 2))
    problem = Problem("bag", lambda: nn.EmbeddingBag(4, 2, sparse=True), data, F.mse_loss)
    with pytest.raises(ValueError, match="'SparseAdam' is not allowed; give one that takes dense"):
        train(problem, Recipe(optimizer="SparseAdam", **fields))


def test_an_edit_that_raises_within_a_closure_is_named_too() -> None:
    def refuse(_: list[Tensor]) -> None:
        raise KeyError("weight")

    with pytest.raises(TrainingError, match="update 0 with LBFGS raised: KeyError"):
        train(double_problem(), Recipe(optimizer="LBFGS", edits=(refuse,)))


def test_a_batch_that_turns_bad_later_keeps_what_went_before() -> None:
    x, y = doubles()
    bad = x.clone()
    bad[3, 1] = torch.nan
    run = Run(double_problem(data=[(x, y), (x, y), (bad, y)]), Recipe(updates=9))
    with pytest.raises(TrainingError, match=r"update 2 is not finite.*\(3, 1\)") as e:
        run.advance()
    assert e.value.history.updates == 2
    assert run.done
    assert run.history().stopped == (2, "failed")


def test_a_run_that_failed_goes_no_further_and_others_are_untouched() -> None:
    problem = double_problem(model=failing_at(3))
    run = Run(problem, Recipe(updates=9))
    with pytest.raises(TrainingError):
        run.advance()
    run.advance()
    assert len(run.losses) == 3
    assert train(problem, Recipe(updates=3)).updates == 3


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "LBFGS"])
def test_divergence_is_no_failure(optimizer: str) -> None:
    recipe = Recipe(optimizer=optimizer, scale=100.0, lr=1e200, updates=60)
    history = train(double_problem(model=lambda: nn.Linear(3, 2).double()), recipe)
    assert history.stopped == (history.updates, "diverged")
    assert np.isfinite(history.loss).all()
    assert history.summary().startswith(f"Diverged at update {history.updates}")
