"""Going back is exact for models with odd parts too: the state, read by hand, is the same bits."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Problem, Recipe, train
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.stepper.snapshot import Snapshot
from tests.examples import SAMPLES, InTurn, double_problem, doubles


class Tied(nn.Module):
    """One weight under two names, one frozen, one that no loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(3, 3, bias=False).double()
        self.out = nn.Linear(3, 3, bias=False).double()
        self.out.weight = self.into.weight
        self.frozen = nn.Parameter(torch.ones(2, dtype=torch.float64), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.into(x).tanh())[:, :2] * self.frozen


class Normed(nn.Module):
    """BatchNorm without a momentum of its own, whose running mean depends on a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=None), nn.Dropout(0.3), nn.Linear(4, 2)
        ).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Bags(nn.Module):
    """Embeddings with sparse gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 2, sparse=True).double()

    def forward(self, words: Tensor) -> Tensor:
        return self.table(words).mean(1)


class Shrinking(nn.Module):
    """A buffer that becomes another tensor, of another size, at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2).double()
        self.register_buffer("seen", torch.zeros(0, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.layer(x)
        self.seen = torch.cat([self.seen, output.detach().mean().reshape(1)])
        return output * (1 + 0.01 * len(self.seen))


class Spectral(nn.Module):
    """A parametrised weight, whose power iteration is a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2).double())

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def words() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randint(0, 7, (SAMPLES, 3), generator=draw), doubles()[1]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "tied": Tied,
    "normed": Normed,
    "shrinking": Shrinking,
    "spectral": Spectral,
    "in turn": InTurn,
}
RECIPES = {
    "Adam": Recipe(optimizer="Adam", lr=0.05, accumulation_steps=2),
    "momentum": Recipe(options={"momentum": 0.9}, clear="zero", batch_size=9),
    "amsgrad": Recipe(optimizer="AdamW", options={"amsgrad": True}, clear="never", l2=0.1),
    "LBFGS": Recipe(optimizer="LBFGS", lr=0.3, options={"max_iter": 3, "history_size": 2}),
    "LBFGS, strong Wolfe": Recipe(
        optimizer="LBFGS", options={"max_iter": 4, "line_search_fn": "strong_wolfe"}
    ),
}
CASES = [(double_problem(model=m), r) for m in MODELS.values() for r in RECIPES.values()]
BAGS = double_problem(model=Bags, data=words())
CASES += [(BAGS, Recipe(optimizer=o, lr=0.1)) for o in ("SparseAdam", "SGD", "Adagrad")]
CASES += [(BAGS, Recipe(optimizer="SGD", clear="never", accumulation_steps=2))]
NAMES = [f"{m}, {r}" for m in MODELS for r in RECIPES]
NAMES += ["sparse, SparseAdam", "sparse, SGD", "sparse, Adagrad", "sparse, never cleared"]


def bits(value: Any) -> Any:
    """Something that is equal only where every bit, every None and every layout is."""
    if isinstance(value, Tensor):
        dense = value.detach().to_dense() if value.is_sparse else value.detach()
        return str(value.dtype), value.layout, tuple(value.shape), dense.double().numpy().tobytes()
    if isinstance(value, dict):
        return {name: bits(each) for name, each in value.items()}
    return [bits(each) for each in value] if isinstance(value, (list, tuple)) else value


def state_of(steps: StepperEngine) -> Any:
    space = steps.workspace
    with space.isolation.inside():
        rng = torch.get_rng_state().tolist()
    parameters = list(space.model.named_parameters(remove_duplicate=False))
    return {
        "values": {name: bits(p) for name, p in parameters},
        "grads": {name: bits(p.grad) for name, p in parameters},
        "buffers": {name: bits(b) for name, b in space.model.named_buffers()},
        "optimizer": bits(space.optimizer.state_dict()),
        "losses": list(space.names["losses"]),
        "calls": getattr(space.model, "calls", None),
        "rng": rng,
    }


@pytest.mark.parametrize(("problem", "recipe"), CASES, ids=NAMES)
def test_losses_are_those_of_train(problem: Problem, recipe: Recipe) -> None:
    steps = StepperEngine(problem, recipe.replace(updates=6))
    assert steps.run(6).failure is None
    assert steps.workspace.names["losses"] == train(problem, steps.recipe).loss.tolist()


@pytest.mark.parametrize(("problem", "recipe"), CASES, ids=NAMES)
def test_back_and_forward_again_is_bit_identical(problem: Problem, recipe: Recipe) -> None:
    steps = StepperEngine(problem, recipe.replace(updates=5))
    states = [state_of(steps)]
    while len(states) < 26 and not steps.snapshot.ended:
        assert steps.next().failure is None
        states.append(state_of(steps))
    for state in reversed(states[:-1]):
        steps.previous()
        assert state_of(steps) == state
    for state in states[1:]:
        steps.next()
        assert state_of(steps) == state


def place_of(shot: Snapshot) -> tuple[int | None, ...]:
    return shot.update, shot.index, shot.micro_batch, shot.executed


@pytest.mark.parametrize("seed", range(100))
def test_random_walks_end_where_a_fresh_walk_ends(seed: int) -> None:
    """Next, previous, run and restart at random; then the same place from the start."""
    draw = random.Random(seed)
    problem, recipe = CASES[seed % len(CASES)]
    recipe = recipe.replace(updates=9, seed=seed)
    steps = StepperEngine(problem, recipe)
    own = copy.deepcopy(steps.problem.batches())
    for _ in range(15):
        action = draw.choices(("next", "previous", "run", "restart", "advance"), (9, 9, 3, 1, 3))[0]
        if action == "run":
            steps.run(draw.randrange(1, 3))
        elif action == "advance":
            steps.advance(3, seconds=0)
            steps.advance(0)
        else:
            getattr(steps, action)()
    shot = steps.snapshot
    fresh = StepperEngine(problem, recipe)
    for _ in range(9 * 4 * len(fresh.statements)):
        if place_of(fresh.snapshot) != place_of(shot):
            fresh.next()
    assert place_of(fresh.snapshot) == place_of(shot)
    assert state_of(steps) == state_of(fresh)
    assert fresh.snapshot.changed == shot.changed
    assert bits(steps.problem.batches()) == bits(own)


def test_frozen_tied_and_unused_parameters_are_shown_as_they_are() -> None:
    steps = StepperEngine(double_problem(model=Tied), Recipe(optimizer="Adam", updates=3))
    rows = {row.name: row for row in steps.run(1).parameters}
    assert list(rows) == ["frozen", "unused", "into.weight"]
    assert rows["frozen"].grad is rows["unused"].grad is None
    assert set(rows["into.weight"].state) == {"step", "exp_avg", "exp_avg_sq"}
    x, y = doubles()
    torch.manual_seed(0)
    model = Tied()
    F.mse_loss(model(x), y).backward()
    assert rows["into.weight"].grad is not None
    assert bits(torch.from_numpy(rows["into.weight"].grad.values)) == bits(model.into.weight.grad)


def test_sparse_gradients_are_shown_as_dense_numbers() -> None:
    grad = StepperEngine(BAGS, Recipe(updates=2)).run(1).parameters[0].grad
    torch.manual_seed(0)
    model = Bags()
    x, y = words()
    F.mse_loss(model(x), y).backward()
    assert grad is not None
    assert grad.values.tobytes() == model.table.weight.grad.to_dense().numpy().tobytes()
