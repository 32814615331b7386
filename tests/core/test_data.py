"""Users' own models and loaders, as train meets them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from gradwidgets.core import History, Problem, Recipe, train
from tests.by_hand import loop
from tests.examples import assert_same_run, double_model, double_problem, doubles


def batches_of(size: int) -> list[tuple[Tensor, Tensor]]:
    x, y = doubles()
    return list(zip(x.split(size), y.split(size), strict=True))


@pytest.mark.parametrize(("parts", "shares"), [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (9, [5])])
def test_consecutive_batches_make_one_update_and_the_last_group_is_stepped(
    parts: int, shares: list[int]
) -> None:
    batches = batches_of(5)

    def groups() -> Iterator[list[tuple[Tensor, Tensor]]]:
        while True:
            rest = list(batches)
            for share in shares:
                yield [rest.pop(0) for _ in range(share)]

    problem = double_problem(data=DataLoader(TensorDataset(*doubles()), batch_size=5))
    recipe = Recipe(lr=0.05, updates=7, accumulation_steps=parts)
    by_hand = loop(
        double_model,
        groups(),
        F.mse_loss,
        lambda parameters: torch.optim.SGD(parameters, lr=0.05),
        updates=7,
        accumulation_steps=parts,
    )
    assert_same_run(train(problem, recipe), by_hand)
    assert_same_run(train(double_problem(data=batches), recipe), by_hand)


def shuffling(own: str) -> DataLoader[Any]:
    """A loader that draws from a generator of its own, or from the global one."""
    data, generator = TensorDataset(*doubles()), torch.Generator().manual_seed(4)
    if own == "loader":
        return DataLoader(data, batch_size=5, shuffle=True, generator=generator)
    if own == "sampler":
        sampler = RandomSampler(data, generator=generator)
        return DataLoader(data, batch_size=5, sampler=sampler)
    return DataLoader(data, batch_size=5, shuffle=True)


@pytest.mark.parametrize("own", ["loader", "sampler", "nothing"])
def test_a_shuffling_loader_gives_the_same_run_twice(own: str) -> None:
    loader = shuffling(own)
    problem, recipe = double_problem(data=loader), Recipe(updates=12, accumulation_steps=2)
    first = train(problem, recipe)
    assert train(problem, recipe).loss.tolist() == first.loss.tolist()
    assert len(set(first.loss.tolist())) == 12


@pytest.mark.parametrize("own", ["loader", "sampler"])
def test_a_loaders_own_generator_is_left_as_found(own: str) -> None:
    loader = shuffling(own)
    generator = loader.generator if own == "loader" else loader.sampler.generator
    before = generator.get_state()
    train(double_problem(data=loader), Recipe(updates=12))
    assert torch.equal(generator.get_state(), before)


def test_the_seed_shuffles_a_loader_that_has_no_generator() -> None:
    problem = double_problem(data=shuffling("nothing"), model=nn.Linear(3, 2).double())
    one, other = (train(problem, Recipe(updates=4, seed=seed)) for seed in (1, 2))
    assert one.loss.tolist() != other.loss.tolist()


def test_a_one_shot_iterator_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Problem\.data=.*iterated again.*DataLoader"):
        train(double_problem(data=iter(batches_of(5))))
    with pytest.raises(ValueError, match="iterated again"):
        train(double_problem(data=(batch for batch in batches_of(5))))


def test_a_users_model_object_never_changes() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    model = model.double().eval()
    F.mse_loss(model(doubles()[0]), doubles()[1]).backward()
    before = copy.deepcopy(model.state_dict())
    gradients = [p.grad.clone() for p in model.parameters()]
    history = train(double_problem(model=model), Recipe(updates=5))
    assert history.loss[-1] != history.loss[0]
    assert not model.training
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    pairs = zip(model.parameters(), gradients, strict=True)
    assert all(torch.equal(p.grad, gradient) for p, gradient in pairs)


def test_an_instance_begins_where_it_stands_at_each_run() -> None:
    problem = double_problem(model=double_model())
    one, other = (train(problem, Recipe(updates=5, seed=seed)) for seed in (0, 1))
    assert one.loss.tolist() == other.loss.tolist()


def test_a_factory_that_returns_the_same_object_is_refused_every_time() -> None:
    model = double_model()
    problem = double_problem(model=lambda: model)
    for _ in range(2):
        with pytest.raises(ValueError, match="same parameters twice"):
            train(problem)


def test_a_factory_may_put_parts_in_eval_mode() -> None:
    def frozen_statistics() -> nn.Module:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
        model[1].eval()
        return model

    history = train(double_problem(model=frozen_statistics), Recipe(updates=3))
    assert history.model[1].running_mean.tolist() == [0] * 4


class Partly(nn.Module):
    """One parameter is frozen, one unused, one has no dimension, one no element."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(3, 4)
        self.frozen.requires_grad_(False)
        self.unused = nn.Linear(4, 4)
        self.used = nn.Linear(4, 2)
        self.gain = nn.Parameter(torch.tensor(2.0))
        self.nothing = nn.Parameter(torch.zeros(0, 3))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.gain * self.used(self.frozen(x)) + self.nothing.sum()
        return output


PARTLY_RECIPES = [
    {},
    {"scale": 2.0, "mask": 0.5, "l1": 0.01, "l2": 0.1, "max_norm": 0.5},
    {"mask": 0.5, "mask_kind": "random", "accumulation_steps": 3},
    {"clear": "zero", "l2": 0.1},
]


@pytest.mark.parametrize("fields", PARTLY_RECIPES, ids=repr)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_frozen_unused_and_dimensionless_parameters_are_trained_as_by_hand(
    optimizer: str, fields: dict[str, Any]
) -> None:
    parts = fields.get("accumulation_steps", 1)
    pieces = list(zip(*(part.chunk(parts) for part in doubles()), strict=True))
    by_hand = loop(
        Partly,
        iter([pieces] * 6),
        F.mse_loss,
        lambda parameters: getattr(torch.optim, optimizer)(parameters, lr=0.05),
        updates=6,
        **fields,
    )
    recipe = Recipe(optimizer=optimizer, lr=0.05, updates=6, **fields)
    history = train(double_problem(model=Partly), recipe)
    assert_same_run(history, by_hand)
    missing = [name.split(".")[0] in ("frozen", "unused") for name in history.names]
    assert np.isnan(history.grad_norms).tolist() == [missing] * 6


def random_parts() -> nn.Module:
    layers = [nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.4), nn.Linear(8, 2)]
    return nn.Sequential(*layers).double()


def test_dropout_and_batch_normalisation_follow_the_seed_like_the_hand_written_loop() -> None:
    pieces = list(zip(*(part.chunk(3) for part in doubles()), strict=True))
    with torch.random.fork_rng():
        by_hand = loop(
            random_parts,
            iter([pieces] * 8),
            F.mse_loss,
            lambda parameters: torch.optim.SGD(parameters, lr=0.1),
            updates=8,
            accumulation_steps=3,
            seed=11,
        )
    recipe = Recipe(updates=8, accumulation_steps=3, seed=11)
    assert_same_run(train(double_problem(model=random_parts), recipe), by_hand)


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(6, 2, sparse=True)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.table(x).sum(1)
        return output


WORDS = (torch.tensor([[0, 1], [2, 2], [1, 4]]), torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("optimizer", ["SGD", "SparseAdam", "Adagrad"])
def test_sparse_gradients_are_trained_and_recorded(optimizer: str) -> None:
    torch.manual_seed(0)
    bag = Bag()
    loss = F.mse_loss(bag(WORDS[0]), WORDS[1])
    loss.backward()
    by_hand = bag.table.weight.grad.to_dense().norm().item()
    recipe = Recipe(optimizer=optimizer, updates=5, scale=2.0)
    history = train(Problem("bag", Bag, WORDS, F.mse_loss), recipe)
    assert history.loss[0] == loss.item() > history.loss[-1]
    assert history.grad_norm[0] == pytest.approx(by_hand, rel=1e-6)
    assert history.edited_norm[0] == pytest.approx(2 * by_hand, rel=1e-6)


@pytest.mark.parametrize("optimizer", ["SGD", "Adagrad"])
@pytest.mark.parametrize(
    "fields",
    [
        {"mask": 0.4, "mask_kind": "random", "scale": 3.0},
        {"l1": 0.1, "l2": 0.2, "mask": 0.3},
        {"max_norm": 0.05},
        {"scale": 0.5, "clear": "never", "max_norm": 1.0},
        {"l2": 0.1, "clear": "zero", "accumulation_steps": 3},
    ],
    ids=str,
)
def test_edited_sparse_gradients_train_as_dense_ones(
    optimizer: str, fields: dict[str, Any]
) -> None:
    def history(sparse: bool) -> History:
        def model() -> nn.Module:
            bag = nn.EmbeddingBag(6, 2, sparse=sparse).double()
            return nn.Sequential(bag, nn.Linear(2, 1).double(), nn.Flatten(0))

        problem = Problem("bag", model, (WORDS[0], WORDS[1].double()), F.mse_loss)
        return train(problem, Recipe(optimizer=optimizer, updates=5, **fields))

    sparse, dense = history(sparse=True), history(sparse=False)
    for name in ("loss", "grad_norms", "edited_norms", "param_norms", "change_norms"):
        np.testing.assert_allclose(getattr(sparse, name), getattr(dense, name), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_any_precision_are_recorded(dtype: torch.dtype) -> None:
    x, y = (part.to(dtype) for part in doubles())
    problem = Problem("any", lambda: nn.Linear(3, 2).to(dtype), (x, y), F.mse_loss)
    history = train(problem, Recipe(updates=4, lr=0.05))
    assert history.updates == 4
    assert (history.change_norms > 0).all()


def test_targets_may_be_anything_the_loss_understands() -> None:
    x, _ = doubles()
    data = [(x, None), (x, {"weight": 2.0}), (x, 3.0)]

    def loss(output: Tensor, _: Any) -> Tensor:
        return output.square().mean()

    history = train(double_problem(data=data, loss=loss), Recipe(updates=6))
    assert history.updates == 6


A = torch.ones(4, 1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (((A, A), (A, A)), r"two pairs of tensors.*\[\(x, y\), \(x, y\)\]"),
        ((A.numpy(), A.numpy()), "torch.from_numpy"),
        ((A, A.numpy()), "torch.from_numpy"),
        ((A, A, A), r"3 tensors; give \(x, y\)"),
    ],
)
@pytest.mark.parametrize("where", ["data", "held_out"])
def test_data_of_a_wrong_form_is_refused_when_the_problem_is_made(
    data: Any, says: str, where: str
) -> None:
    fields: dict[str, Any] = {"data": (A, A), where: data}
    with pytest.raises(ValueError, match=rf"Problem\.{where}: .*{says}"):
        Problem("mine", nn.Linear(1, 1), loss=F.mse_loss, **fields)


def test_a_list_of_batches_stays_allowed() -> None:
    assert train(Problem("mine", nn.Linear(1, 1), [(A, A), (A, A)], F.mse_loss)).updates


def test_the_class_of_a_loss_is_no_loss() -> None:
    with pytest.raises(ValueError, match=r"Problem\.loss=.*MSELoss\(\)"):
        Problem("mine", nn.Linear(1, 1), (A, A), nn.MSELoss)
