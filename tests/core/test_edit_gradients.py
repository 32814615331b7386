"""Edits hung on an optimizer equal edits made by hand, however it is stepped."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Clip, Mask, Penalty, Recipe, Scale, edit_gradients, train
from gradwidgets.core.optimizers import OPTIMIZERS
from tests.examples import double_model, double_problem, doubles


def steps(name: str, use: Callable[[torch.optim.Optimizer, nn.Module], Any]) -> list[float]:
    """Losses of a few plain steps; `use` makes one step on given gradients."""
    torch.manual_seed(0)
    model = double_model()
    if name == "Muon":  # takes matrices only
        model = nn.Sequential(nn.Linear(3, 2, bias=False)).double()
    optimizer = OPTIMIZERS[name](model.parameters(), lr=0.01)
    losses = []
    x, y = doubles()
    for _ in range(4):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        losses.append(loss.item())
        use(optimizer, model)
    return losses


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - {"LBFGS", "SparseAdam"}))
def test_edits_hung_on_any_optimizer_equal_edits_by_hand(name: str) -> None:
    def by_hand(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
        for p in model.parameters():
            p.grad = p.grad * 3 + 0.5 * p.detach()
        optimizer.step()

    def hung(optimizer: torch.optim.Optimizer, _: nn.Module) -> None:
        with edit_gradients(optimizer, Scale(3.0), Penalty(l2=0.5)):
            optimizer.step()

    plain = steps(name, lambda optimizer, _: optimizer.step())
    assert steps(name, hung) == steps(name, by_hand) != plain


@pytest.mark.parametrize("name", ["LBFGS", "SGD", "Adam"])
@pytest.mark.parametrize("passed", ["positional", "keyword"])
def test_edits_count_within_a_closure(name: str, passed: str) -> None:
    x, y = doubles()

    def losses(edit: Callable[..., Any] | None, hang: bool) -> list[float]:
        torch.manual_seed(0)
        model = double_model()
        optimizer = OPTIMIZERS[name](model.parameters(), lr=0.05)
        if hang:
            edit_gradients(optimizer, edit)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            if edit and not hang:
                edit(list(model.parameters()))
            return loss

        given = {"closure": closure} if passed == "keyword" else {}
        return [
            float(optimizer.step(*([] if given else [closure]), **given).detach()) for _ in range(4)
        ]

    def third(parameters: list[Tensor]) -> None:
        for p in parameters:
            p.grad /= 3

    assert losses(third, hang=True) == losses(third, hang=False) != losses(None, hang=False)


def test_lbfgs_of_a_recipe_edits_at_every_evaluation() -> None:
    counted = []

    def count(_: list[Tensor]) -> None:
        counted.append(1)

    recipe = Recipe(optimizer="LBFGS", options={"max_iter": 5}, updates=3, edits=(count,))
    history = train(double_problem(), recipe)
    assert len(counted) > history.updates == 3
    masked = train(double_problem(), recipe.replace(mask=1.0))
    assert masked.loss.tolist() == [history.loss[0]] * 3
    assert (masked.change_norms == 0).all()


def test_edits_are_made_in_the_order_given() -> None:
    parameter = nn.Parameter(torch.tensor([2.0]))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    parameter.grad = torch.tensor([1.0])
    with edit_gradients(optimizer, Scale(10.0), Penalty(l2=1.0)):
        optimizer.step()
    assert parameter.item() == 2 - (10 * 1 + 2)


def test_a_handle_takes_the_edits_off_again() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)

    def moved() -> float:
        parameter.data.zero_()
        parameter.grad = torch.ones(1)
        optimizer.step()
        return -parameter.item()

    handle = edit_gradients(optimizer, Scale(5.0))
    assert moved() == 5
    handle.remove()
    assert moved() == 1
    with edit_gradients(optimizer, Scale(7.0)):
        assert moved() == 7
    assert moved() == 1


@pytest.mark.single_precision("a GradScaler overflows in single precision only")
def test_edits_see_unscaled_gradients_under_a_grad_scaler() -> None:
    def final(scaled: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=scaled)
        edit_gradients(optimizer, Clip(0.1))
        x, y = (part.float() for part in doubles())
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale(F.mse_loss(model(x), y)).backward()
            scaler.step(optimizer)
            scaler.update()
        return [p.detach() for p in model.parameters()]

    for scaled, plain in zip(final(True), final(False), strict=True):
        torch.testing.assert_close(scaled, plain, rtol=1e-6, atol=1e-7)


def test_a_step_that_the_grad_scaler_skips_makes_no_edit() -> None:
    parameter = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scaler = torch.amp.GradScaler("cpu")
    calls: list[int] = []
    edit_gradients(optimizer, lambda _: calls.append(1))
    scaler.scale(parameter * float("inf")).backward()
    scaler.step(optimizer)
    assert calls == []
    assert parameter.item() == 1


def test_edits_survive_a_deep_copy_of_the_recipe() -> None:
    recipe = Recipe(updates=5, edits=(Mask(0.5, "random", seed=3),))
    again = copy.deepcopy(recipe)
    assert train("bowl", again).loss.tolist() == train("bowl", recipe).loss.tolist()
