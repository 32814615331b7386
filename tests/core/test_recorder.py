"""What is recorded is what a patient person would have written down."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import History, Problem, Recipe, recorder, train
from tests.by_hand import Trace, loop, whole
from tests.examples import double_model, double_problem, doubles

EDITED = {"scale": 2.0, "mask": 0.3, "l2": 0.1, "max_norm": 0.5}
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "edited": EDITED,
    "accumulated": {"accumulation_steps": 4},
    "zero": {"clear": "zero", "scale": 3.0},
    "never": {"clear": "never", "scale": 0.5},
}


def both(updates: int = 9, **fields: Any) -> tuple[History, Trace]:
    """The same run recorded by `train` and by hand."""
    by_hand = loop(
        double_model,
        whole(*doubles(), fields.get("accumulation_steps", 1)),
        F.mse_loss,
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.5),
        updates=updates,
        **fields,
    )
    recipe = Recipe(updates=updates, options={"momentum": 0.5}, **fields)
    return train(double_problem(), recipe), by_hand


def norms(rows: list[list[Tensor]]) -> np.ndarray:
    return np.array([[math.sqrt(float((t**2).sum())) for t in row] for row in rows])


def joint(rows: list[list[Tensor]]) -> np.ndarray:
    return np.array([math.sqrt(sum(float((t**2).sum()) for t in row)) for row in rows])


@pytest.mark.parametrize("fields", RECIPES.values(), ids=RECIPES)
def test_every_norm_is_that_of_the_hand_written_record(fields: dict[str, Any]) -> None:
    history, trace = both(**fields)
    pairs = zip(trace.before, trace.after, strict=True)
    changes = [[a - b for b, a in zip(*pair, strict=True)] for pair in pairs]
    for recorded, expected in [
        (history.grad_norms, norms(trace.raw)),
        (history.edited_norms, norms(trace.edited)),
        (history.param_norms, norms(trace.before)),
        (history.change_norms, norms(changes)),
        (history.grad_norm, joint(trace.raw)),
        (history.edited_norm, joint(trace.edited)),
        (history.param_norm, joint(trace.before)),
        (history.update_ratio, joint(changes) / joint(trace.before)),
        (history.update_ratios, norms(changes) / norms(trace.before)),
    ]:
        assert recorded.shape == expected.shape
        assert recorded.dtype == np.float64
        np.testing.assert_allclose(recorded, expected, rtol=1e-12)


@pytest.mark.parametrize("fields", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("block", [1, 2, 5, 9, 100])
def test_a_run_longer_than_a_block_is_recorded_the_same(
    block: int, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = both(**fields)
    monkeypatch.setattr(recorder, "BLOCK", block)
    history, _ = both(**fields)
    for name in ("grad_norms", "edited_norms", "param_norms", "change_norms"):
        np.testing.assert_array_equal(getattr(history, name), getattr(expected, name))
    for name in history.names:
        np.testing.assert_array_equal(history.parameters[name], expected.parameters[name])


def test_a_large_model_is_recorded_in_short_blocks_and_without_snapshots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, _ = both(**EDITED)
    monkeypatch.setattr(recorder, "BLOCK_ELEMENTS", 70)  # two updates of its 32 elements
    monkeypatch.setattr(recorder, "SNAPSHOT_ELEMENTS", 60)  # ten rows of six fit
    history, _ = both(**EDITED)
    np.testing.assert_array_equal(history.grad_norms, expected.grad_norms)
    np.testing.assert_array_equal(history.change_norms, expected.change_norms)
    assert list(history.parameters) == ["0.bias", "2.bias"]
    np.testing.assert_array_equal(history.parameters["0.bias"], expected.parameters["0.bias"])


def test_a_missing_gradient_is_nan_by_parameter_and_nothing_in_the_joint_norm() -> None:
    def lose(parameters: list[Tensor]) -> None:
        parameters[1].grad = None

    history = train(double_problem(), Recipe(updates=4, edits=(lose,)))
    assert not np.isnan(history.grad_norms).any()
    assert np.isnan(history.edited_norms).tolist() == [[False, True, False, False]] * 4
    others = np.delete(history.edited_norms, 1, axis=1)
    np.testing.assert_allclose(history.edited_norm, np.linalg.norm(others, axis=1))
    assert (history.change_norms[:, 1] == 0).all()


def test_an_edit_that_reuses_its_own_buffer_is_recorded_as_it_was() -> None:
    """A running mean of the gradient, kept in one tensor that becomes `.grad` every time."""
    means: dict[int, Tensor] = {}
    seen: list[list[Tensor]] = []

    def smooth(parameters: list[Tensor]) -> None:
        for p in parameters:
            means[id(p)] = means.get(id(p), torch.zeros_like(p)).mul_(0.9).add_(p.grad)
            p.grad = means[id(p)]
        seen.append([p.grad.clone() for p in parameters])

    history = train(double_problem(), Recipe(updates=6, edits=(smooth,)))
    np.testing.assert_allclose(history.edited_norms, norms(seen), rtol=1e-12)


@pytest.mark.parametrize("options", [{"foreach": True}, {"foreach": False}, {}], ids=repr)
@pytest.mark.parametrize("fields", [{}, {"scale": 2.0}, {"clear": "zero"}], ids=repr)
def test_nesterov_does_not_write_into_the_recorded_gradients(
    options: dict[str, Any], fields: dict[str, Any]
) -> None:
    """With `foreach`, SGD adds the momentum to .grad itself; the record stands before that."""
    nesterov = {"momentum": 0.9, "nesterov": True, **options}
    history = train(double_problem(), Recipe(updates=6, options=nesterov, **fields))
    by_hand = loop(
        double_model,
        whole(*doubles()),
        F.mse_loss,
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
        updates=6,
        **fields,
    )
    np.testing.assert_allclose(history.loss, by_hand.losses, rtol=1e-12)
    np.testing.assert_allclose(history.grad_norms, norms(by_hand.raw), rtol=1e-9)
    np.testing.assert_allclose(history.edited_norms, norms(by_hand.edited), rtol=1e-9)


def test_lbfgs_records_the_first_evaluation_of_each_update() -> None:
    recipe = Recipe(optimizer="LBFGS", updates=4, options={"max_iter": 4}, scale=0.5)
    history = train(double_problem(), recipe)
    model = double_model()
    x, y = doubles()
    for update, name in [(0, "0.weight"), (2, "2.bias"), (3, "0.bias")]:
        start = {key: torch.tensor(value[update]) for key, value in history.parameters.items()}
        model.load_state_dict(start)
        model.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        column = history.names.index(name)
        gradient = model.get_parameter(name).grad.norm().item()
        assert history.loss[update] == pytest.approx(loss.item(), rel=1e-12)
        assert history.grad_norms[update, column] == pytest.approx(gradient, rel=1e-10)
        assert history.edited_norms[update, column] == pytest.approx(gradient / 2, rel=1e-10)


def test_norms_and_values_of_complex_parameters_are_recorded() -> None:
    x, y = doubles()

    def model() -> nn.Module:
        return nn.Linear(3, 2, dtype=torch.complex128)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().square().mean()

    data, fields = (x.to(torch.complex128), y), {"l1": 0.1, "l2": 0.2, "max_norm": 0.5}
    history = train(Problem("complex", model, data, loss), Recipe(updates=4, **fields))
    torch.manual_seed(0)
    by_hand = model()
    weight, bias = by_hand.parameters()
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.1)
    for update in range(4):
        optimizer.zero_grad()
        loss(by_hand(data[0]), y).backward()
        parts = [torch.view_as_real(p.grad) for p in (weight, bias)]
        np.testing.assert_allclose(history.grad_norms[update], [p.norm() for p in parts])
        values = history.parameters["weight"][update]
        np.testing.assert_allclose(values, torch.view_as_real(weight.detach()), rtol=1e-12)
        with torch.no_grad():
            for p in (weight, bias):
                p.grad += 0.1 * p / p.abs() + 0.2 * p
        torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 0.5)
        np.testing.assert_allclose(history.edited_norms[update], [p.norm() for p in parts])
        before = torch.view_as_real(weight.detach()).clone()
        optimizer.step()
        moved = (torch.view_as_real(weight.detach()) - before).norm().item()
        np.testing.assert_allclose(history.change_norms[update, 0], moved)
    last = history.parameters["weight"][-1]
    np.testing.assert_allclose(last, torch.view_as_real(weight.detach()), rtol=1e-12)
