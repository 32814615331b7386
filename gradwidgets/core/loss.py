"""The loss of a problem: what it may be, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from gradwidgets.core.errors import TrainingError
from gradwidgets.core.validate import not_allowed

Loss = Callable[[Any, Any], Tensor]
ELEMENTWISE = (
    *(F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss),
    *(nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss),
)
"""Losses that compare output and target element by element; PyTorch warns where shapes differ."""


def check_loss(loss: Any) -> None:
    """Raise ValueError unless `loss` may be `Problem.loss`."""
    if not callable(loss):
        raise not_allowed("Problem.loss", loss, "a function loss(output, target)")
    if isinstance(loss, type) and issubclass(loss, nn.Module):
        raise not_allowed("Problem.loss", loss, f"an instance of the class: {loss.__name__}()")
    module = loss.func if isinstance(loss, partial) else loss
    if not isinstance(module, nn.Module):
        return
    if own := [name for name, p in module.named_parameters() if p.requires_grad]:
        raise ValueError(
            f"Problem.loss: the {type(module).__name__} has parameters of its own, {own}, which no "
            "optimizer would train; move them into the model, or freeze them with "
            "requires_grad_(False)"
        )


def check_shapes(loss: Any, output: Any, target: Any) -> None:
    """Raise where an elementwise loss of torch would broadcast, which is seldom meant.

    An output (N, 1) and a target (N,) make (N, N) differences: each output with every target.

    Raises:
        TrainingError: the shapes differ; says what would be right.

    >>> check_shapes(F.mse_loss, Tensor(8, 1), Tensor(8))
    Traceback (most recent call last):
    gradwidgets.core.errors.TrainingError: mse_loss would broadcast the output (8, 1) and the ...
    """
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        return
    if output.shape == target.shape or not is_one_of(loss, ELEMENTWISE):
        return
    shapes = tuple(output.shape), tuple(target.shape)
    wish = "give both the same shape"
    if shapes[0] == (*shapes[1], 1):
        wish += f": target.unsqueeze({len(shapes[1])}) is {shapes[0]}"
    elif shapes[1] == (*shapes[0], 1):
        wish += f": target.squeeze({len(shapes[0])}) is {shapes[0]}"
    raise TrainingError(
        f"{_name(loss)} would broadcast the output {shapes[0]} and the target {shapes[1]}; {wish}"
    )


def reduction(loss: Any) -> str:
    """Tell "mean" from "sum": a loss's attribute or keyword of that name; "mean" where it has none.

    >>> reduction(nn.MSELoss(reduction="sum")), reduction(partial(F.mse_loss, reduction="sum"))
    ('sum', 'sum')
    >>> reduction(lambda output, target: (output - target).square().mean())
    'mean'
    """
    return "sum" if option_of(loss, "reduction") == "sum" else "mean"


def is_one_of(loss: Any, kinds: tuple[Any, ...]) -> bool:
    """Tell whether a loss, or what a `partial` of it calls, is one of functions and classes.

    >>> is_one_of(partial(F.mse_loss, reduction="sum"), ELEMENTWISE)
    True
    """
    function = loss.func if isinstance(loss, partial) else loss
    return any(function is kind or type(function) is kind for kind in kinds)


def option_of(loss: Any, name: str, default: Any = None) -> Any:
    """The value of a loss's option: an attribute of a module, a keyword of a `partial`.

    >>> option_of(nn.CrossEntropyLoss(), "ignore_index")
    -100
    """
    if isinstance(loss, partial):
        return loss.keywords.get(name, default)
    return getattr(loss, name, default)


def _name(loss: Any) -> str:
    function = loss.func if isinstance(loss, partial) else loss
    return str(getattr(function, "__name__", type(function).__name__))
