"""Conflicting losses against gradients by hand, by `backward()`, and PCGrad written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets import conflicts
from gradwidgets.core import Array, Problem, Recipe
from gradwidgets.ledger.conflicts import cosine, project
from gradwidgets.ledger.page import pages
from tests.examples import double_model, doubles


class Point(nn.Module):
    """Two numbers, of which losses are written down directly."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(2, dtype=dtype))


def linear(model: Point, *slopes: float) -> Tensor:
    """A loss with this gradient."""
    return model.at @ torch.tensor(slopes, dtype=model.at.dtype)


def losses_of(model: nn.Module) -> dict[str, Tensor]:
    """Three losses of one forward pass on `doubles`."""
    x, y = doubles()
    output = model(x)
    return {
        "first": F.mse_loss(output[:, 0], y[:, 0]),
        "second": F.mse_loss(output[:, 1], -3 * y[:, 0]),
        "small": output.square().mean(),
    }


def test_the_example_that_can_be_done_by_hand() -> None:
    model = Point()
    found = conflicts(model, {"a": linear(model, 1, 0), "b": linear(model, -1, 1)})
    for gradients in (found.joint, found["at"]):
        assert gradients.cosine("a", "b") == pytest.approx(-1 / math.sqrt(2), rel=1e-15)
        assert gradients.cosine("b", "a") == gradients.cosine("a", "b")
        assert gradients.projected["a"].tolist() == [0.5, 0.5]
        assert gradients.projected["b"].tolist() == [0.0, 1.0]
        assert gradients.sum.tolist() == [0.0, 1.0]
        assert gradients.projected_sum.tolist() == [0.5, 1.5]
    assert found.pairs == (("a", "b"),)


def backward(loss: str) -> list[Array]:
    """The gradients of one loss as `backward()` gives them, on a model of its own."""
    torch.manual_seed(0)
    model = double_model()
    losses_of(model)[loss].backward()
    return [p.grad.numpy() if p.grad is not None else np.zeros(p.shape) for p in model.parameters()]


def pcgrad(gradients: list[Array], order: Callable[[int], list[int]]) -> list[Array]:
    """Algorithm 1 of Yu et al. (2020), line by line."""
    projected = [g.copy() for g in gradients]
    for i in range(len(gradients)):
        for j in order(i):
            if j != i:
                dot = sum(
                    float(a) * float(b) for a, b in zip(projected[i], gradients[j], strict=True)
                )
                if dot < 0:
                    square = sum(float(b) ** 2 for b in gradients[j])
                    projected[i] = projected[i] - dot / square * gradients[j]
    return projected


def test_every_figure_against_backward_and_the_algorithm_written_out() -> None:
    torch.manual_seed(0)
    model = double_model()
    names = [name for name, _ in model.named_parameters()]
    found = conflicts(model, losses_of(model))
    raw = {loss: backward(loss) for loss in found.losses}
    flat = {loss: np.concatenate([g.ravel() for g in each]) for loss, each in raw.items()}
    expected = dict(zip(flat, pcgrad(list(flat.values()), lambda _: [0, 1, 2]), strict=True))
    assert any((flat[loss] != expected[loss]).any() for loss in flat)
    assert [each.name for each in found.parameters] == names
    ends = np.cumsum([g.size for g in raw["first"]])[:-1]
    for loss in found.losses:
        assert found.joint.raw[loss].tolist() == flat[loss].tolist()
        np.testing.assert_allclose(found.joint.projected[loss], expected[loss], rtol=1e-12)
        parts = np.split(expected[loss], ends)
        for name, gradient, part in zip(names, raw[loss], parts, strict=True):
            shown = found[name].raw[loss]
            assert (np.zeros_like(gradient) if shown is None else shown).tolist() == (
                gradient.tolist()
            )
            of_name = found[name].projected[loss]
            assert of_name.shape == gradient.shape
            np.testing.assert_allclose(of_name.ravel(), part, rtol=1e-12)
    total, after = sum(flat.values()), sum(expected.values())
    np.testing.assert_allclose(found.joint.sum, total, rtol=1e-12)
    np.testing.assert_allclose(found.joint.projected_sum, after, rtol=1e-12)
    a, b = raw["first"][0].ravel(), raw["second"][0].ravel()
    assert found["0.weight"].cosine("first", "second") == pytest.approx(
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    )


def test_a_generator_draws_the_order_of_the_others_for_each_gradient() -> None:
    draw = np.random.default_rng(0)
    gradients = list(draw.standard_normal((4, 3)))
    for seed in range(5):
        orders = torch.Generator().manual_seed(seed)
        drawn = [torch.randperm(4, generator=orders).tolist() for _ in range(4)]
        found = project(gradients, torch.Generator().manual_seed(seed))
        expected = pcgrad(gradients, drawn.__getitem__)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    fixed = project(gradients)
    np.testing.assert_allclose(fixed, pcgrad(gradients, lambda _: [0, 1, 2, 3]), rtol=1e-12)
    assert not np.allclose(found, fixed)


def test_two_projected_gradients_leave_neither_loss_rising() -> None:
    draw = np.random.default_rng(1)
    for _ in range(50):
        a, b = draw.standard_normal((2, 5))
        total = sum(project([a, b]))
        assert a @ total > 0
        assert b @ total > 0


def test_nothing_is_changed_and_the_graph_can_be_used_again() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2)).double()
    for i, p in enumerate(model.parameters()):
        p.grad = None if i == 1 else torch.full_like(p, float(i))
    losses = losses_of(model)
    draws = torch.get_rng_state()
    before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    for _ in range(2):
        conflicts(model, losses)
    assert torch.equal(draws, torch.get_rng_state())
    for p, grad in zip(model.parameters(), before, strict=True):
        assert (p.grad is None) == (grad is None)
        assert grad is None or torch.equal(p.grad, grad)
    assert model.training
    sum(losses.values()).backward()


def test_a_parameter_that_a_loss_does_not_reach_has_none() -> None:
    model = nn.ModuleDict({"left": Point(), "right": Point(), "frozen": Point()})
    model["frozen"].requires_grad_(False)
    left, right = model["left"].at, model["right"].at
    found = conflicts(model, {"a": left.sum(), "b": right.sum() - left[0]})
    assert [each.name for each in found.parameters] == ["left.at", "right.at"]
    assert found["right.at"].raw["a"] is None
    assert math.isnan(found["right.at"].cosine("a", "b"))
    assert found["right.at"].sum.tolist() == [1.0, 1.0]
    # the joint gradient is what is projected, so that the loss gets a part here all the same
    assert found["right.at"].projected["a"].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert "a does not reach right.at: None." in repr(found)


def test_zero_gradients_have_no_angle_and_are_left_alone() -> None:
    model = Point()
    found = conflicts(model, {"a": linear(model, 1, 0), "b": linear(model, 0, 0)})
    assert math.isnan(found.joint.cosine("a", "b"))
    assert found.joint.projected_sum.tolist() == [1.0, 0.0]
    assert found.pairs == ()
    assert "b has a gradient of zero: there is no angle" in repr(found)
    nowhere = torch.zeros((), requires_grad=True)
    found = conflicts(model, {"a": linear(model, 1, 0), "b": nowhere * 2})
    assert found["at"].raw["b"] is None
    assert "b does not reach at" in repr(found)


def test_a_gradient_that_is_not_finite_is_said() -> None:
    model = Point()
    found = conflicts(model, {"a": linear(model, 1, 0), "b": linear(model, math.nan, 0)})
    assert math.isnan(found.joint.cosine("a", "b"))
    assert "A gradient is not finite" in repr(found)


def test_huge_and_tiny_gradients_keep_their_angle() -> None:
    for one, other in [(1e200, 1e-200), (1e-180, 1e-180), (1e300, 1e10)]:
        a, b = one * np.array([1.0, 0.0]), other * np.array([-1.0, 1.0])
        assert cosine(a, b) == pytest.approx(-1 / math.sqrt(2))
        np.testing.assert_allclose(project([a, b])[0], one * np.array([0.5, 0.5]), rtol=1e-12)


def test_complex_parameters_are_real_and_imaginary_parts() -> None:
    model = nn.Module()
    model.at = nn.Parameter(torch.tensor([1 + 2j], dtype=torch.complex128))
    found = conflicts(model, {"a": model.at.real.sum(), "b": (model.at.imag - model.at.real).sum()})
    assert found["at"].raw["a"].tolist() == [[1.0, 0.0]]
    assert found["at"].cosine("a", "b") == pytest.approx(-1 / math.sqrt(2))
    assert found["at"].projected["a"].tolist() == [[0.5, 0.5]]


def test_a_sparse_gradient_is_taken_as_a_dense_one() -> None:
    model = nn.Embedding(3, 2, sparse=True)
    row = model(torch.tensor([1]))
    found = conflicts(model, {"a": row[0, 0], "b": -row.sum()})
    assert found["weight"].raw["b"].tolist() == [[0, 0], [-1, -1], [0, 0]]


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (lambda m: {"a": linear(m, 1, 0)}, "losses=.*give at least two by name"),
        (lambda m: [linear(m, 1, 0)] * 2, "losses=.*give at least two by name"),
        (lambda m: {"a": linear(m, 1, 0), "b": 0.5}, r"losses\['b'\]=0.5 .* one number"),
        (lambda m: {"a": linear(m, 1, 0), "b": m.at}, r"losses\['b'\]=.* one number"),
        (lambda m: {"a": linear(m, 1, 0).detach(), "b": m.at[0]}, r"losses\['a'\]=.* one number"),
    ],
)
def test_what_cannot_be_compared_is_refused(losses: Callable[[Point], object], said: str) -> None:
    model = Point()
    with pytest.raises(ValueError, match=said):
        conflicts(model, losses(model))


def test_a_graph_that_is_gone_and_a_frozen_model_are_refused() -> None:
    model = Point()
    losses = {"a": model.at.square().sum(), "b": model.at.exp().sum()}
    losses["b"].backward()
    with pytest.raises(ValueError, match=r"losses\['b'\]: its graph is gone; call conflicts\(\)"):
        conflicts(model, losses)
    with pytest.raises(ValueError, match=r"model=.* requires a gradient"):
        conflicts(Point().requires_grad_(False), losses)


def test_the_table_says_what_the_figures_say() -> None:
    model = Point()
    found = conflicts(model, {"a": linear(model, 1, 0), "b<i>": linear(model, -1, 1)})
    text, html = repr(found), found._repr_html_()
    assert "all together  1  1.41  -0.707" in text
    assert "In conflict: a and b<i> (cosine -0.707)." in text
    assert "the norm of their sum from 1 to 1.58." in text
    assert "by the sum it changes a by 0 and b<i> by -1; by the projected sum a by -0.5" in text
    assert "b&lt;i&gt;" in html
    assert "<i>" not in html
    friends = repr(conflicts(model, {"a": linear(model, 1, 0), "b": linear(model, 0, 1)}))
    assert "No conflict: the smallest cosine between the losses' gradients is 0.000." in friends
    assert "PCGrad" not in friends


def test_a_conflict_within_one_parameter_alone_is_told() -> None:
    model = nn.ModuleDict({"left": Point(), "right": Point()})
    left, right = model["left"].at, model["right"].at
    found = conflicts(model, {"a": 3 * left.sum() + right[0], "b": left.sum() - right[0]})
    assert found.pairs == ()
    assert (found.joint.sum == found.joint.projected_sum).all()
    assert "Within right.at there is a conflict, which PCGrad leaves alone" in repr(found)


@pytest.mark.parametrize(("at", "word"), [(2.0, "conflict"), (-2.0, "do not conflict")])
def test_the_ledger_says_how_the_penalty_and_the_loss_agree(at: float, word: str) -> None:
    """One weight that the loss pushes up; the penalty pulls it down if it is positive."""

    def model() -> nn.Module:
        layer = nn.Linear(1, 1, bias=False).double()
        nn.init.constant_(layer.weight, at)
        return layer

    x = torch.ones(4, 1, dtype=torch.float64)
    problem = Problem("up", model, (x, 9 * x), F.mse_loss)
    notes = " ".join(next(pages(problem, Recipe(l2=0.1)))["notes"])
    sign = "-1.00" if at > 0 else "1.00"
    assert f"the one that it is added to is {sign}: they {word}." in notes
    assert "penalty's gradient" not in " ".join(next(pages(problem, Recipe()))["notes"])
    assert "penalty's gradient" not in " ".join(next(pages(problem, Recipe(l2=1e-9)))["notes"])
