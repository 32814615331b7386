"""Four edits of `.grad`, applied between `backward()` and `step()` in any loop.

An edit is a callable on parameters that changes their `.grad` in place. Parameters whose
`.grad` is None are left alone, as every optimizer leaves them alone. A sparse `.grad` is edited
as the dense one that it stands for, and stays sparse except under a `Penalty`.
Complex numbers are edited as one element each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from gradwidgets.core.validate import Count, Edits, Number, OneOf, not_allowed

Edit = Callable[[Sequence[Tensor]], object]
"""Takes the parameters, changes their `.grad` in place."""

MASK_KINDS = ("first", "random", "unit")


def _with_gradient(parameters: Iterable[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters that have a gradient, and its numbers, to be changed in place."""
    chosen = [p for p in parameters if p.grad is not None]
    return chosen, [_numbers(p) for p in chosen]


def _numbers(parameter: Tensor) -> Tensor:
    """The stored numbers of its gradient; of a sparse one, one for each place (coalesced)."""
    assert parameter.grad is not None
    if parameter.grad.is_sparse:
        parameter.grad = parameter.grad.coalesce()
        return parameter.grad.values()
    return parameter.grad


@dataclass(frozen=True)
class Scale:
    """Multiply every gradient by `factor`.

    Raises:
        ValueError: `factor` is not a finite number.

    >>> p = torch.ones(2, requires_grad=True)
    >>> p.grad = torch.tensor([1.0, 2.0])
    >>> Scale(0.5)([p])
    >>> p.grad
    tensor([0.5000, 1.0000])
    """

    factor: float

    def __post_init__(self) -> None:
        Number()("Scale.factor", self.factor)

    @torch.no_grad()
    def __call__(self, parameters: Iterable[Tensor]) -> None:
        """Scale the `.grad` of `parameters` in place."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if any(gradient.dtype.itemsize == 2 for gradient in gradients):
            for gradient in gradients:
                gradient.mul_(self.factor)  # `_foreach_mul_` rounds the factor to 16 bits first
        elif gradients:
            torch._foreach_mul_(gradients, self.factor)


class Mask:
    """Set part of every gradient to zero, the same part at each call.

    Args:
        fraction: the share of each tensor's elements to hide, `round(fraction * numel)` of them.
        kind: "first" hides the leading elements, "random" a draw fixed by `seed`, "unit" whole
            output units (leading slices along dimension 0, `round(fraction * shape[0])` of them).
        seed: fixes the draw of kind "random".
        only: mask these parameters and leave the rest alone; None masks all.

    Raises:
        ValueError: `fraction` is outside [0, 1], `kind` is unknown, or `seed` is no whole number.

    >>> p = torch.ones(4, requires_grad=True)
    >>> p.grad = torch.ones(4)
    >>> Mask(0.5)([p])
    >>> p.grad
    tensor([0., 0., 1., 1.])
    """

    def __init__(
        self,
        fraction: float,
        kind: str = "first",
        seed: int = 0,
        only: Iterable[Tensor] | None = None,
    ) -> None:
        Number(0, 1)("Mask.fraction", fraction)
        OneOf(MASK_KINDS)("Mask.kind", kind)
        Count(0)("Mask.seed", seed)
        self.fraction = fraction
        self.kind = kind
        self.seed = seed
        self._only = None if only is None else {id(p): p for p in only}
        self._hidden: list[Tensor] = []
        self._drawn_for: list[tuple[bool, torch.Size, torch.device]] = []

    def __repr__(self) -> str:
        return f"Mask({self.fraction!r}, kind={self.kind!r}, seed={self.seed!r})"

    @torch.no_grad()
    def __call__(self, parameters: Iterable[Tensor]) -> None:
        """Zero the hidden elements of the `.grad` of `parameters` in place."""
        everyone = list(parameters)
        for parameter, hidden in zip(everyone, self.hidden(everyone), strict=True):
            if parameter.grad is None:
                continue
            numbers = _numbers(parameter)
            if parameter.grad.is_sparse:
                hidden = hidden[tuple(parameter.grad.indices())]
            numbers.masked_fill_(hidden, 0)

    def hidden(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """One boolean tensor per parameter, of its shape: True where the gradient is zeroed."""
        asked = [(self._masks(p), p.shape, p.device) for p in parameters]
        if asked != self._drawn_for:
            draw = torch.Generator().manual_seed(self.seed)
            self._hidden = [self._hide(p, draw).to(p.device) for p in parameters]
            self._drawn_for = asked
        return self._hidden

    def _masks(self, parameter: Tensor) -> bool:
        return self._only is None or id(parameter) in self._only

    def _hide(self, parameter: Tensor, draw: torch.Generator) -> Tensor:
        hidden = torch.zeros(parameter.shape, dtype=torch.bool)
        if not self._masks(parameter):
            return hidden
        if self.kind == "unit" and parameter.ndim > 0:
            hidden[: round(self.fraction * parameter.shape[0])] = True
            return hidden
        count = round(self.fraction * parameter.numel())
        if self.kind == "random":
            hidden.view(-1)[torch.randperm(parameter.numel(), generator=draw)[:count]] = True
        else:
            hidden.view(-1)[:count] = True
        return hidden


@dataclass(frozen=True)
class Penalty:
    """Add the gradient of `l1 * |p|` and of `l2 / 2 * p**2` to every gradient.

    With `l2` alone this is, to the last bit, what `weight_decay=l2` does in the coupled
    optimizers (SGD, Adam, RMSprop, Adagrad): `torch.optim.SGD` documents the same sum. A sparse
    gradient becomes dense, as the penalty's is; `SparseAdam` takes no dense one.

    Raises:
        ValueError: a strength is negative or not finite.

    >>> p = torch.tensor([-2.0, 4.0], requires_grad=True)
    >>> p.grad = torch.zeros(2)
    >>> Penalty(l1=1.0, l2=0.5)([p])
    >>> p.grad
    tensor([-2.,  3.])
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        Number(0)("Penalty.l1", self.l1)
        Number(0)("Penalty.l2", self.l2)

    @torch.no_grad()
    def __call__(self, parameters: Iterable[Tensor]) -> None:
        """Add the penalty's gradient to the `.grad` of `parameters` in place."""
        chosen = [p for p in parameters if p.grad is not None]
        if not chosen or not (self.l1 or self.l2):
            return
        for p in chosen:
            if p.grad is not None and p.grad.is_sparse:
                p.grad = p.grad.to_dense()
        _, gradients = _with_gradient(chosen)
        if self.l1:
            torch._foreach_add_(gradients, [p.sgn() for p in chosen], alpha=self.l1)
        if self.l2:
            torch._foreach_add_(gradients, chosen, alpha=self.l2)


@dataclass(frozen=True)
class Clip:
    """Shrink all gradients together until their joint 2-norm is at most `max_norm`.

    This is `torch.nn.utils.clip_grad_norm_`, to the last bit.

    Raises:
        ValueError: `max_norm` is not a finite number above 0.

    >>> p = torch.ones(2, requires_grad=True)
    >>> p.grad = torch.tensor([3.0, 4.0])
    >>> Clip(max_norm=1.0)([p])
    >>> p.grad
    tensor([0.6000, 0.8000])
    """

    max_norm: float

    def __post_init__(self) -> None:
        Number(0, above=True)("Clip.max_norm", self.max_norm)

    @torch.no_grad()
    def __call__(self, parameters: Iterable[Tensor]) -> None:
        """Clip the `.grad` of `parameters` in place."""
        chosen, gradients = _with_gradient(parameters)
        dense = [p.grad.to_dense() for p in chosen if p.grad is not None]
        for place, numbers in enumerate(gradients):
            if numbers is not chosen[place].grad:  # sparse: PyTorch's function takes dense ones
                chosen[place] = torch.empty_like(numbers)
                chosen[place].grad = numbers
        norm = torch.nn.utils.get_total_norm(dense)
        torch.nn.utils.clip_grads_with_norm_(chosen, self.max_norm, norm)


def edit_gradients(optimizer: Optimizer, *edits: Edit) -> RemovableHandle:
    """Apply `edits`, in order, before every `optimizer.step()`.

    A second call adds its edits after those of the first. A step that is given a closure (LBFGS
    needs one) evaluates it again and again; the edits are then made after each evaluation, so
    that they count. Under a `GradScaler` the edits see unscaled gradients, also with
    `fused=True`, and a step that it skips makes none.

    Returns:
        A handle: call its `remove()`, or use it in a `with` statement.

    Raises:
        ValueError: `optimizer` is no `torch.optim.Optimizer`, or there is no edit, or one is not
            a function that takes the list of parameters.

    >>> p = torch.ones(1, requires_grad=True)
    >>> optimizer = torch.optim.SGD([p], lr=1.0)
    >>> with edit_gradients(optimizer, Scale(0.25)):
    ...     p.sum().backward()
    ...     optimizer.step()
    >>> p
    tensor([0.7500], requires_grad=True)
    """
    if not isinstance(optimizer, Optimizer):
        raise not_allowed("optimizer", optimizer, "a torch.optim.Optimizer")
    if not edits:
        raise not_allowed("edits", edits, "at least one, such as Scale(0.5)")
    Edits()("edits", edits)

    def before_step(
        _: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if "grad_scaler" in kwargs:
            raise RuntimeError(
                f"edit_gradients: {type(optimizer).__name__}.step unscales the gradients itself, "
                "with the grad_scaler that it takes; change them inside that step()"
            )
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            _edit(optimizer, edits)
            return None

        def edited_closure() -> Any:
            loss = closure()
            _edit(optimizer, edits)
            return loss

        return (args[0],), {**kwargs, "closure": edited_closure}

    return optimizer.register_step_pre_hook(before_step)


def _edit(optimizer: Optimizer, edits: Iterable[Edit]) -> None:
    """Make the edits on unscaled gradients; none if the step will be skipped."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    _unscale(optimizer, parameters)
    if not getattr(optimizer, "found_inf", False):
        for edit in edits:
            edit(parameters)


@torch.no_grad()
def _unscale(optimizer: Optimizer, parameters: Iterable[Tensor]) -> None:
    """Unscale the gradients where a `GradScaler` leaves that to the step.

    With `fused=True`, `GradScaler.step` hands `found_inf` to the kernel, and `grad_scale` unless
    the loop has called `unscale_`.
    """
    scale = getattr(optimizer, "grad_scale", None)
    if scale is None:
        return
    for gradient in _with_gradient(parameters)[1]:
        inverse = scale.double().reciprocal().float().to(gradient.device)
        found = torch.zeros_like(inverse)
        torch._amp_foreach_non_finite_check_and_unscale_([gradient], found, inverse)
    optimizer.grad_scale = None  # type: ignore[attr-defined]
