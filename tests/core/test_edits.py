"""The edits as a person uses them in a loop of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import Clip, Mask, Penalty, Scale
from tests.examples import double_model, doubles


def with_gradients() -> list[Tensor]:
    """The parameters of the double model, each with a gradient."""
    torch.manual_seed(0)
    model = double_model()
    x, y = doubles()
    F.mse_loss(model(x), y).backward()
    return list(model.parameters())


def edited(edit: Callable[[list[Tensor]], object]) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients before and after one edit."""
    parameters = with_gradients()
    before = [p.grad.clone() for p in parameters]
    edit(parameters)
    return before, [p.grad for p in parameters]


def test_scale_multiplies() -> None:
    before, after = edited(Scale(-2.5))
    assert all(torch.equal(a, -2.5 * b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("kind", ["first", "random", "unit"])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_mask_zeroes_its_share_and_leaves_the_rest(kind: str, fraction: float) -> None:
    before, after = edited(Mask(fraction, kind))
    for a, b in zip(after, before, strict=True):
        size, unit = (len(a), a[0].numel()) if kind == "unit" else (a.numel(), 1)
        assert (a == 0).sum() == round(fraction * size) * unit
        assert torch.equal(a[a != 0], b[a != 0])


def test_mask_first_takes_leading_elements_and_unit_leading_rows() -> None:
    weight = nn.Parameter(torch.ones(4, 3))
    weight.grad = torch.ones(4, 3)
    Mask(5 / 12)([weight])
    assert weight.grad.flatten().tolist() == [0] * 5 + [1] * 7
    weight.grad = torch.ones(4, 3)
    Mask(0.5, "unit")([weight])
    assert weight.grad.sum(1).tolist() == [0, 0, 3, 3]


def test_a_random_mask_is_the_same_at_every_call_and_differs_by_seed() -> None:
    def pattern(mask: Mask) -> list[bool]:
        return torch.cat([g.flatten() == 0 for g in edited(mask)[1]]).tolist()

    mask = Mask(0.5, "random", seed=1)
    assert pattern(mask) == pattern(mask) == pattern(Mask(0.5, "random", seed=1))
    assert pattern(mask) != pattern(Mask(0.5, "random", seed=2))


def test_a_mask_of_only_some_parameters_leaves_the_others() -> None:
    parameters = with_gradients()
    before = [p.grad.clone() for p in parameters]
    Mask(1.0, only=parameters[:1])(parameters)
    assert not parameters[0].grad.any()
    assert all(torch.equal(p.grad, b) for p, b in zip(parameters[1:], before[1:], strict=True))
    shown = [bool(hidden.any()) for hidden in Mask(1.0, only=parameters[:1]).hidden(parameters)]
    assert shown == [True, *[False] * (len(parameters) - 1)]


def test_one_mask_serves_models_of_different_shape_in_turn() -> None:
    mask, small, large = Mask(0.5), nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(8))
    for p in (small, large, small):
        p.grad = torch.ones_like(p)
        mask([p])
        assert p.grad.sum() == len(p) / 2


def test_penalty_is_the_gradient_of_the_penalty_term() -> None:
    parameters = with_gradients()
    before = [p.grad.clone() for p in parameters]
    term = sum(0.3 * p.abs().sum() + 0.2 / 2 * (p**2).sum() for p in parameters)
    expected = torch.autograd.grad(term, parameters)
    Penalty(l1=0.3, l2=0.2)(parameters)
    for p, b, e in zip(parameters, before, expected, strict=True):
        torch.testing.assert_close(p.grad - b, e, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("max_norm", [0.01, 1.0, 1e6])
def test_clip_is_clip_grad_norm_to_the_last_bit(max_norm: float) -> None:
    _, after = edited(Clip(max_norm))
    parameters = with_gradients()
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    assert all(torch.equal(a, p.grad) for a, p in zip(after, parameters, strict=True))


@pytest.mark.parametrize(
    "edit", [Scale(2.0), Mask(0.5), Mask(0.5, "unit"), Penalty(0.1, 0.1), Clip(0.1)], ids=repr
)
def test_edits_leave_parameters_and_missing_gradients_alone(edit: Any) -> None:
    parameters = with_gradients()
    parameters[1].grad = None
    values = [p.detach().clone() for p in parameters]
    edit(parameters)
    assert parameters[1].grad is None
    assert all(torch.equal(p, v) for p, v in zip(parameters, values, strict=True))
    edit([nn.Parameter(torch.ones(2))])
    edit([])


EDITS: list[Any] = [
    Scale(-2.0),  # exact: the numbers of one place are summed after it
    Mask(0.4),
    Mask(0.4, "random", seed=3),
    Mask(0.4, "unit"),
    Penalty(l1=0.3, l2=0.2),
    Penalty(),
    Clip(0.01),
    Clip(1e6),
]


def with_sparse_gradient(rows: list[list[int]]) -> list[Tensor]:
    """An embedding, with the sum of its gradients at a few lists of rows, and a linear layer."""
    torch.manual_seed(0)
    table, linear = nn.Embedding(6, 2, sparse=True).double(), nn.Linear(2, 1).double()
    for chosen in rows:
        linear(table(torch.tensor(chosen))).square().sum().backward()
    return [table.weight, *linear.parameters()]


@pytest.mark.parametrize("edit", EDITS, ids=repr)
@settings(max_examples=20)
@given(rows=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=3))
def test_a_sparse_gradient_is_edited_as_the_dense_one(edit: Any, rows: list[list[int]]) -> None:
    sparse = with_sparse_gradient(rows)
    dense = [nn.Parameter(p.detach().clone()) for p in sparse]
    for p, given_one in zip(dense, sparse, strict=True):
        p.grad = given_one.grad.to_dense().clone()
    edit(sparse)
    edit(dense)
    assert sparse[0].grad.is_sparse == (edit != Penalty(l1=0.3, l2=0.2))
    for one, other in zip(sparse, dense, strict=True):
        assert torch.equal(one.grad.to_dense(), other.grad)


def test_a_sparse_gradient_of_two_indices_and_of_one_number_a_row_are_masked() -> None:
    for indices, shape in ([[0, 2, 2], [1, 0, 0]], (3, 2)), ([[2, 0, 2]], (3,)):
        parameter = nn.Parameter(torch.ones(shape))
        parameter.grad = torch.sparse_coo_tensor(
            indices, [1.0, 2.0, 4.0], shape, check_invariants=True
        )
        whole = parameter.grad.to_dense()
        mask = Mask(0.5, "random", seed=1)
        (hidden,) = mask.hidden([parameter])
        mask([parameter])
        assert torch.equal(parameter.grad.to_dense(), whole.masked_fill(hidden, 0))


def complex_parameters() -> list[Tensor]:
    """A complex parameter and a real one, each with a gradient."""
    draw = torch.Generator().manual_seed(0)
    made = [torch.randn(5, 2, 2, generator=draw, dtype=torch.float64) for _ in range(3)]
    parameters = [nn.Parameter(torch.view_as_complex(made[0])), nn.Parameter(made[1])]
    parameters[0].grad, parameters[1].grad = torch.view_as_complex(made[2]), made[1] + 1
    return parameters


def real(tensor: Tensor) -> Tensor:
    """Real and imaginary parts beside each other."""
    return torch.view_as_real(tensor.detach()).clone() if tensor.is_complex() else tensor.detach()


@pytest.mark.parametrize(
    "edit", [Scale(-2.5), Mask(0.4), Mask(0.4, "unit"), Penalty(l2=0.2), Clip(0.01)], ids=repr
)
def test_a_complex_gradient_is_edited_as_its_real_and_imaginary_parts(edit: Any) -> None:
    parameters = complex_parameters()
    parts = [nn.Parameter(real(p)) for p in parameters]
    for part, p in zip(parts, parameters, strict=True):
        part.grad = real(p.grad).clone()
    edit(parameters)
    edit(parts)
    for part, p in zip(parts, parameters, strict=True):
        torch.testing.assert_close(real(p.grad), part.grad, rtol=1e-14, atol=1e-15)


def test_a_random_mask_hides_whole_complex_numbers() -> None:
    (parameter, _), mask = complex_parameters(), Mask(0.4, "random", seed=2)
    whole = parameter.grad.clone()
    mask([parameter])
    (hidden,) = mask.hidden([parameter])
    assert hidden.sum() == round(0.4 * whole.numel())
    assert torch.equal(parameter.grad, whole.masked_fill(hidden, 0))


def test_the_penalty_on_complex_numbers_is_that_of_their_absolute_values() -> None:
    parameters = complex_parameters()
    before = [p.grad.clone() for p in parameters]
    term = sum(0.3 * p.abs().sum() + 0.2 / 2 * p.abs().square().sum() for p in parameters)
    expected = torch.autograd.grad(term, parameters)
    Penalty(l1=0.3, l2=0.2)(parameters)
    for p, b, e in zip(parameters, before, expected, strict=True):
        torch.testing.assert_close(p.grad - b, e, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Scale(float("nan")), ["Scale.factor", "nan", "finite"]),
        (lambda: Scale("2"), ["Scale.factor", "'2'", "number"]),
        (lambda: Mask(1.5), ["Mask.fraction", "1.5", "from 0 to 1"]),
        (lambda: Mask(0.5, "last"), ["Mask.kind", "'last'", "'random'"]),
        (lambda: Mask(0.5, seed=-1), ["Mask.seed", "-1", "whole number"]),
        (lambda: Penalty(l1=-1), ["Penalty.l1", "-1", "from 0"]),
        (lambda: Penalty(l2=float("inf")), ["Penalty.l2", "inf", "finite"]),
        (lambda: Clip(0), ["Clip.max_norm", "0", "above 0"]),
    ],
)
def test_a_bad_argument_is_named(make: Callable[[], object], words: list[str]) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        make()
