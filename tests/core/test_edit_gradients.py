"""Edits hung on an optimizer equal edits made by hand, however it is stepped."""

from __future__ import annotations

import copy
import functools
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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


FUSED: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": functools.partial(torch.optim.SGD, lr=0.5, momentum=0.9),
    "Adam": functools.partial(torch.optim.Adam, lr=0.1, amsgrad=True),
    "AdamW": functools.partial(torch.optim.AdamW, lr=0.1),
    "Adagrad": functools.partial(torch.optim.Adagrad, lr=0.1),
}
"""The optimizers that have a fused form on the CPU."""


def scaled_run(
    name: str,
    edits: tuple[Any, ...],
    by_hand: bool,
    is_fused: bool,
    unscale: bool,
    init_scale: float,
    dtype: torch.dtype = torch.float32,
) -> list[Tensor]:
    """Parameters, gradients and scale after a few steps; the third overflows."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2, dtype=dtype)
    optimizer = FUSED[name](model.parameters(), fused=is_fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=init_scale)
    if not by_hand:
        for edit in edits:
            edit_gradients(optimizer, edit)
    x, y = (part.to(dtype) for part in doubles())
    for factor in (1.0, 2.0, math.inf, 1.0, 3.0):
        optimizer.zero_grad()
        scaler.scale(factor * F.mse_loss(model(x), y)).backward()
        if unscale or by_hand:
            scaler.unscale_(optimizer)
        if by_hand and math.isfinite(factor):
            for edit in edits:
                edit(list(model.parameters()))
        scaler.step(optimizer)
        scaler.update()
    gradients = [p.grad for p in model.parameters()]
    return [*(p.detach() for p in model.parameters()), *gradients, torch.tensor(scaler.get_scale())]


@pytest.mark.single_precision("a GradScaler overflows in single precision only")
@pytest.mark.parametrize("unscale", [False, True], ids=["", "unscale_"])
@pytest.mark.parametrize("is_fused", [False, True], ids=["", "fused"])
@pytest.mark.parametrize("name", FUSED)
@settings(max_examples=10)
@given(init_scale=st.floats(1e-3, 2.0**20), max_norm=st.floats(0.01, 1), l2=st.floats(0, 1))
def test_edits_under_a_grad_scaler_equal_those_of_a_loop_that_unscales(
    name: str, is_fused: bool, unscale: bool, init_scale: float, max_norm: float, l2: float
) -> None:
    edits = (Penalty(l2=l2), Mask(0.3), Clip(max_norm))
    by_hand = scaled_run(name, edits, True, is_fused, unscale, init_scale)
    hung = scaled_run(name, edits, False, is_fused, unscale, init_scale)
    assert all(map(torch.equal, hung, by_hand))


@pytest.mark.parametrize("name", FUSED)
def test_half_precision_is_unscaled_as_the_scaler_does(name: str) -> None:
    given = (name, (Clip(0.1), Penalty(l2=0.1)))
    hung, by_hand = (
        scaled_run(*given, hand, True, False, 1000.0, torch.bfloat16) for hand in (False, True)
    )
    assert all(map(torch.equal, hung, by_hand))


@pytest.mark.parametrize("is_fused", [False, True], ids=["", "fused"])
def test_a_step_that_the_grad_scaler_skips_makes_no_edit(is_fused: bool) -> None:
    parameter = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0, fused=is_fused)
    scaler = torch.amp.GradScaler("cpu")
    calls: list[int] = []
    edit_gradients(optimizer, lambda _: calls.append(1))
    scaler.scale(parameter * float("inf")).backward()
    scaler.step(optimizer)
    assert calls == []
    assert parameter.item() == 1


def test_a_step_without_any_gradient_is_left_alone_under_a_grad_scaler() -> None:
    parameter = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0, fused=True)
    edit_gradients(optimizer, Scale(2.0))
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(parameter * 2)
    scaler.step(optimizer)
    assert parameter.item() == 1


class Unscaling(torch.optim.SGD):
    """An optimizer of the older kind, which is given the scaler and unscales by itself."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=1.0)
        self._step_supports_amp_scaling = True

    def step(self, closure: Any = None, *, grad_scaler: Any = None) -> Any:
        grad_scaler.unscale_(self)
        return super().step(closure)


@pytest.mark.filterwarnings("ignore:GradScaler is going to stop passing itself")
def test_an_optimizer_that_is_given_the_grad_scaler_is_refused() -> None:
    parameter = nn.Parameter(torch.ones(1))
    optimizer = Unscaling([parameter])
    edit_gradients(optimizer, Scale(2.0))
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(parameter * 2).backward()
    with pytest.raises(RuntimeError, match=r"Unscaling\.step unscales .* inside that step"):
        scaler.step(optimizer)


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda optimizer: (optimizer,), "edits=() is not allowed; give at least one"),
        (lambda optimizer: (optimizer, 3), "edits[0]=3 is not allowed; give a function"),
        (lambda optimizer: (optimizer, Scale), "Scale'> is not allowed; give a function"),
        (lambda optimizer: (optimizer, Clip(1), None), "edits[1]=None is not allowed"),
        (lambda optimizer: (optimizer, [Clip(1)]), "edits[0]=[Clip(max_norm=1)] is not"),
        (lambda optimizer: (optimizer.param_groups, Clip(1)), "give a torch.optim.Optimizer"),
        (lambda _: (nn.Linear(1, 1), Clip(1)), "optimizer=Linear("),
        (lambda _: (torch.optim.SGD, Clip(1)), "give a torch.optim.Optimizer"),
    ],
)
def test_a_bad_argument_is_refused_at_once(give: Callable[..., Any], words: str) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    with pytest.raises(ValueError, match=re.escape(words)):
        edit_gradients(*give(optimizer))


def test_edits_of_a_second_call_come_after_those_of_the_first() -> None:
    parameter = nn.Parameter(torch.tensor([2.0]))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    parameter.grad = torch.tensor([1.0])
    with edit_gradients(optimizer, Scale(10.0)), edit_gradients(optimizer, Penalty(l2=1.0)):
        optimizer.step()
    assert parameter.item() == 2 - (10 * 1 + 2)


def test_edits_survive_a_deep_copy_of_the_recipe() -> None:
    recipe = Recipe(updates=5, edits=(Mask(0.5, "random", seed=3),))
    again = copy.deepcopy(recipe)
    assert train("bowl", again).loss.tolist() == train("bowl", recipe).loss.tolist()
