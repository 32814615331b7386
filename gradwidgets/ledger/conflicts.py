"""Losses that pull against each other: the angles between their gradients, and what to do about it.

Two losses conflict where the cosine between their gradients is negative: a small step down the one
leads up the other. PCGrad takes from each gradient the part that points against another (Yu et al.
2020, "Gradient Surgery for Multi-Task Learning", algorithm 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradwidgets.components import PagedTable, cell
from gradwidgets.core import Array, as_numbers, not_allowed
from gradwidgets.ledger.record import norm

PARALLEL = 1e-7
"""A share of the sum by which projecting may change it, by rounding alone."""


@dataclass(frozen=True, eq=False)
class LossGradients:
    """The gradients of several losses with respect to one parameter, or to all together.

    Args:
        name: the parameter's name.
        raw: by the name of the loss its gradient, float64, of the parameter's shape (complex
            numbers have a last dimension of 2); None where the loss does not reach the parameter.
        projected: the same after PCGrad.

    >>> a, b = np.array([1.0, 0.0]), np.array([-1.0, 1.0])
    >>> gradients = LossGradients("weight", {"a": a, "b": b}, {"a": a + b / 2, "b": a + b})
    >>> round(gradients.cosine("a", "b"), 6)
    -0.707107
    >>> gradients.sum, gradients.projected_sum
    (array([0., 1.]), array([0.5, 1.5]))
    """

    name: str
    raw: Mapping[str, Array | None]
    projected: Mapping[str, Array]

    def cosine(self, one: str, other: str) -> float:
        """The cosine between the gradients of two losses; NaN where one is zero, or is None."""
        return cosine(self.raw[one], self.raw[other])

    @cached_property
    def sum(self) -> Array:
        """The gradient of the sum of all losses."""
        zero = np.zeros_like(next(iter(self.projected.values())))
        return _sum([zero if each is None else each for each in self.raw.values()])

    @cached_property
    def projected_sum(self) -> Array:
        """The sum of the projected gradients: what PCGrad gives the optimizer."""
        return _sum(list(self.projected.values()))


@dataclass(frozen=True, eq=False, repr=False)
class Conflicts(PagedTable):
    """Gradients of several losses, by parameter; printed as a table, in Jupyter as HTML.

    Args:
        losses: the names of the losses.
        joint: the gradients with respect to all parameters, as one vector. PCGrad judges these.
        parameters: one entry for each parameter that requires a gradient, in the model's order.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> found = conflicts(model, {"a": model.weight[0, 0], "b": model.weight[0] @ torch.ones(2)})
    >>> found.pairs, found["weight"].projected_sum
    ((), array([[2., 1.]]))
    """

    losses: tuple[str, ...]
    joint: LossGradients
    parameters: tuple[LossGradients, ...]

    def __getitem__(self, name: str) -> LossGradients:
        """The gradients of the parameter of that name.

        Raises:
            KeyError: there is none.
        """
        return {each.name: each for each in self.parameters}[name]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of losses whose joint gradients have a negative cosine."""
        return _conflicting(self.joint)

    def page(self) -> dict[str, Any]:
        """The table as plain data for a `BarTable`."""
        return _page(self)


def conflicts(
    model: nn.Module, losses: Mapping[str, Tensor], generator: torch.Generator | None = None
) -> Conflicts:
    """Compare the gradients of several losses of one forward pass, and project them (PCGrad).

    Nothing is changed: every `.grad` stays as it is, and so does the graph, so that you can call
    `backward()` afterwards. The graph stays in memory until the losses are deleted. Hooks on
    tensors run, as in `backward()`.

    For each loss i its gradient g is taken through the gradients g_j of the other losses: if
    g . g_j < 0, the part along g_j is subtracted, g - (g . g_j) / (g_j . g_j) g_j. All parameters
    are one vector, and g_j is always the unprojected one (Yu et al. 2020, algorithm 1). With more
    than two losses the order of the j matters. The paper draws it for each i at random.

    Args:
        model: its parameters that require a gradient are looked at.
        losses: at least two numbers, computed from the model's parameters, by their names.
        generator: draws the order in which each gradient meets the others, as the paper does; None
            takes the order of `losses`.

    Raises:
        ValueError: there are fewer than two losses, one is not one number, has no graph or no
            longer has it, or no parameter requires a gradient.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> x, y = model.weight[0]
    >>> found = conflicts(model, {"a": x, "b": y - x})
    >>> round(found.joint.cosine("a", "b"), 4)
    -0.7071
    >>> found["weight"].projected
    {'a': array([[0.5, 0.5]]), 'b': array([[0., 1.]])}
    """
    _check(losses)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not named:
        raise not_allowed("model", model, "a model with a parameter that requires a gradient")
    raw = {loss: _gradients(loss, value, list(named.values())) for loss, value in losses.items()}
    shapes = [as_numbers(p).shape for p in named.values()]
    vectors = [_joined(gradients, shapes) for gradients in raw.values()]
    ends = np.cumsum([shape.numel() for shape in shapes])[:-1]
    projected = dict(zip(raw, project(vectors, generator), strict=True))
    parts = {loss: np.split(vector, ends) for loss, vector in projected.items()}
    return Conflicts(
        losses=tuple(raw),
        joint=LossGradients("all together", dict(zip(raw, vectors, strict=True)), projected),
        parameters=tuple(
            LossGradients(
                name,
                {loss: gradients[i] for loss, gradients in raw.items()},
                {loss: part[i].reshape(shapes[i]) for loss, part in parts.items()},
            )
            for i, name in enumerate(named)
        ),
    )


def project(gradients: Sequence[Array], generator: torch.Generator | None = None) -> list[Array]:
    """PCGrad: take from each gradient what points against another; see `conflicts`.

    Args:
        gradients: (elements,) each.
        generator: draws the order of the others; None takes theirs.

    >>> project([np.array([1.0, 0.0]), np.array([-1.0, 1.0])])
    [array([0.5, 0.5]), array([0., 1.])]
    """
    projected = []
    for i, gradient in enumerate(gradients):
        order = list(range(len(gradients)))
        if generator is not None:
            order = torch.randperm(len(order), generator=generator).tolist()
        for j in order:
            along = _direction(gradients[j])
            if j != i and along is not None and gradient @ along < 0:
                gradient = gradient - (gradient @ along) / (along @ along) * along
        projected.append(gradient)
    return projected


def cosine(one: Array | None, other: Array | None) -> float:
    """The cosine of the angle between two arrays; NaN where one is zero, not finite, or None.

    >>> cosine(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    0.0
    """
    a, b = _direction(one), _direction(other)
    if a is None or b is None:
        return float("nan")
    return float(np.clip(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)), -1.0, 1.0))


def _direction(gradient: Array | None) -> Array | None:
    """A gradient over its largest element, so that no square of it is lost; None for zero."""
    if gradient is None:
        return None
    top = float(np.max(np.abs(gradient), initial=0.0))
    return gradient / top if 0 < top < np.inf else None


def _check(losses: object) -> None:
    if not isinstance(losses, Mapping) or len(losses) < 2:
        raise not_allowed("losses", losses, 'at least two by name, such as {"a": loss, "b": other}')
    for name, loss in losses.items():
        number = isinstance(loss, Tensor) and loss.numel() == 1 and loss.is_floating_point()
        if not number or not loss.requires_grad:
            wish = "a tensor of one number, computed from the model's parameters"
            raise not_allowed(f"losses[{name!r}]", loss, wish)


def _gradients(name: str, loss: Tensor, parameters: list[nn.Parameter]) -> list[Array | None]:
    try:
        found = torch.autograd.grad(
            loss.reshape(()), parameters, retain_graph=True, allow_unused=True
        )
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise ValueError(
            f"losses[{name!r}]: its graph is gone; call conflicts() before backward(), or "
            "backward(retain_graph=True)"
        ) from None
    return [_numbers(gradient) for gradient in found]


def _numbers(gradient: Tensor | None) -> Array | None:
    return None if gradient is None else as_numbers(gradient).double().cpu().numpy().copy()


def _joined(gradients: Sequence[Array | None], shapes: Sequence[torch.Size]) -> Array:
    pairs = zip(gradients, shapes, strict=True)
    return np.concatenate([np.zeros(s.numel()) if g is None else g.ravel() for g, s in pairs])


def _sum(arrays: Sequence[Array]) -> Array:
    total: Array = np.sum(arrays, axis=0)
    return total


def _conflicting(gradients: LossGradients) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in combinations(gradients.raw, 2) if gradients.cosine(*pair) < 0)


def _page(found: Conflicts) -> dict[str, Any]:
    pairs = list(combinations(found.losses, 2))
    columns = [{"name": loss, "help": f"norm of the gradient of {loss}"} for loss in found.losses]
    columns += [
        {"name": f"cosine {a}, {b}", "help": "below 0: a step down the one leads up the other"}
        for a, b in pairs
    ]
    columns += [
        {"name": f"{loss} projected", "help": "norm of what PCGrad leaves of the gradient"}
        for loss in found.losses
    ]
    columns += [
        {"name": "sum", "help": "norm of the gradient of the sum of the losses"},
        {"name": "sum projected", "help": "norm of the sum that PCGrad gives the optimizer"},
    ]
    rows = [_row(found.joint, "", pairs)]
    for each in found.parameters:
        shape = next(iter(each.projected.values())).shape
        rows.append(_row(each, " x ".join(map(str, shape)) or "one number", pairs))
    return {
        "caption": f"Gradients of {_and(found.losses)}: 2-norms, and cosines between them",
        "columns": columns,
        "rows": rows,
        "sentence": _sentence(found.joint, pairs),
        "notes": list(_notes(found)),
    }


def _row(each: LossGradients, detail: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    norms = [norm(gradient) for gradient in each.raw.values()]
    after = [norm(gradient) for gradient in each.projected.values()]
    top = max((n for n in (*norms, *after) if np.isfinite(n)), default=0.0)

    def length(of: float, gradient: Array | None) -> dict[str, Any]:
        share = of / top if top and np.isfinite(of) else 0.0
        return cell("None" if gradient is None else f"{of:.3g}", share)

    cells = [length(n, g) for n, g in zip(norms, each.raw.values(), strict=True)]
    cells += [_cosine_cell(each.cosine(*pair)) for pair in pairs]
    cells += [length(n, g) for n, g in zip(after, each.projected.values(), strict=True)]
    cells += [cell(f"{norm(total):.3g}") for total in (each.sum, each.projected_sum)]
    return {"name": each.name, "detail": detail, "cells": cells}


def _cosine_cell(value: float) -> dict[str, Any]:
    if np.isnan(value):
        return cell("-")
    return cell(_rounded(value), mark="notice" if _visible(value) else "")


def _rounded(value: float) -> str:
    """Three decimals; a zero has no sign."""
    return f"{round(value, 3) + 0.0:.3f}"


def _visible(value: float) -> bool:
    """Tell whether a cosine is negative as it is printed."""
    return round(value, 3) < 0


def _sentence(joint: LossGradients, pairs: list[tuple[str, str]]) -> str:
    cosines = {pair: joint.cosine(*pair) for pair in pairs}
    if not all(np.isfinite(g).all() for g in joint.raw.values() if g is not None):
        return "A gradient is not finite: there is no angle."
    if zeros := [loss for loss, gradient in joint.raw.items() if not np.any(gradient)]:
        one = len(zeros) == 1
        verb, what = ("has", "a gradient") if one else ("have", "gradients")
        return f"{_and(zeros)} {verb} {what} of zero: there is no angle, and nothing to project."
    against = [pair for pair, value in cosines.items() if _visible(value)]
    if not against:
        least = _rounded(min(cosines.values()))
        return f"No conflict: the smallest cosine between the losses' gradients is {least}."
    told = [f"{a} and {b} (cosine {_rounded(cosines[a, b])})" for a, b in against]
    return f"In conflict: {', '.join(told)}. A small step down the one leads up the other."


def _notes(found: Conflicts) -> Iterator[str]:
    joint = found.joint
    before, after = joint.sum, joint.projected_sum
    if not np.isfinite(before).all():
        return
    if norm(after - before) > PARALLEL * norm(before) and any(
        _visible(joint.cosine(*pair)) for pair in combinations(found.losses, 2)
    ):
        yield (
            f"Projecting each gradient off those it conflicts with (PCGrad) would change the norm "
            f"of their sum from {norm(before):.3g} to {norm(after):.3g}."
        )
        yield (
            "A short step of plain SGD, per unit of lr: by the sum it changes "
            f"{_slopes(joint, before)}; by the projected sum {_slopes(joint, after)}."
        )
        if len(found.losses) > 2:
            yield "With more than two losses the projections may depend on the order of the others."
    else:
        local = [p.name for p in found.parameters if _some(p, _visible)]
        if local:
            yield (
                f"Within {_and(local[:4])}{' and others' * (len(local) > 4)} there is a conflict, "
                "which PCGrad leaves alone: it judges all parameters as one vector."
            )
    for loss in found.losses:
        unreached = [p.name for p in found.parameters if p.raw[loss] is None]
        if unreached:
            names = _and(unreached[:4]) + " and others" * (len(unreached) > 4)
            yield f"{loss} does not reach {names}: None."


def _some(gradients: LossGradients, true: Callable[[float], bool]) -> bool:
    return any(true(gradients.cosine(*pair)) for pair in combinations(gradients.raw, 2))


def _slopes(joint: LossGradients, direction: Array) -> str:
    """The derivative of each loss along a step against `direction`."""
    slopes = {loss: -float(np.vdot(g, direction)) for loss, g in joint.raw.items() if g is not None}
    top = max(map(abs, slopes.values()))
    shown = {loss: 0.0 if abs(s) < 1e-6 * top else s for loss, s in slopes.items()}
    return _and([f"{loss} by {slope:.3g}" for loss, slope in shown.items()])


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
