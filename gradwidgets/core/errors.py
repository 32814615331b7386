"""Messages for what goes wrong in a run: where, what, and what would be right."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from gradwidgets.core.history import History


UNKNOWN = object()
"""Stands for a result that was never reached; None is what a missing `return` leaves."""


class TrainingError(RuntimeError):
    """A model, loss, batch or optimizer that failed in a run; the cause is its `__cause__`.

    >>> from gradwidgets import Problem, train
    >>> forgot = Problem("forgot", torch.nn.Linear(1, 1), (torch.ones(2, 1), torch.ones(2, 1)),
    ...                  loss=lambda output, target: (output - target) ** 2)
    >>> train(forgot)
    Traceback (most recent call last):
    gradwidgets.core.errors.TrainingError: the loss returned (2, 1) float32 at update 0: it must ...
    """

    history: History | None = None
    """The run up to the failure."""


def explain(
    update: int, model: nn.Module, batch: tuple[Any, Any], output: Any, loss: Any, error: Exception
) -> TrainingError:
    """Say which part of forward, loss and backward failed: the first whose result is missing."""
    x, y = batch
    if output is UNKNOWN:
        return TrainingError(
            f"the model raised at update {update} on {described(x)}: {described_error(error)}"
            + _other_dtype("x", x, next(model.parameters()))
        )
    if output is None:
        return TrainingError(
            f"the model returned None at update {update}; end its forward() with a return"
        )
    if loss is UNKNOWN:
        return TrainingError(
            f"the loss raised at update {update} on output {described(output)} and target "
            f"{described(y)}: {described_error(error)}" + _other_dtype("y", y, output)
        )
    if isinstance(loss, (tuple, list)):
        wish = "it must return one number: the one to take the gradient of"
    elif not isinstance(loss, Tensor):
        wish = "it must return one number, a tensor that torch has computed from the output"
    elif loss.numel() != 1:
        wish = "it must return one number; end it with .mean() or .sum()"
    elif not loss.requires_grad:
        wish = "it must depend on a parameter; look for detach(), no_grad() or .item() on the way"
    else:
        return TrainingError(
            f"backward raised at update {update}: {described_error(error)}"
            + _other_dtype("y", y, output)
        )
    return TrainingError(f"the loss returned {described(loss)} at update {update}: {wish}")


def _other_dtype(name: str, given: Any, wanted: Any) -> str:
    """Words on where a float tensor meets one of another dtype; "" where none does."""
    if not (isinstance(given, Tensor) and isinstance(wanted, Tensor)):
        return ""
    same = given.dtype == wanted.dtype
    if same or not (given.is_floating_point() and wanted.is_floating_point()):
        return ""
    dtypes = [str(t.dtype).removeprefix("torch.") for t in (given, wanted)]
    met = "the parameters are" if name == "x" else "the output is"
    return f"; {name} is {dtypes[0]} and {met} {dtypes[1]}: give {name}.to({wanted.dtype})"


def step_failed(
    update: int, model: nn.Module, optimizers: Sequence[object], error: Exception
) -> TrainingError:
    """An edit or an optimizer raised; names the sparse gradients if that is why."""
    kind = " and ".join(type(optimizer).__name__ for optimizer in optimizers)
    said = f"update {update} with {kind} raised: {described_error(error)}"
    gradients = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    sparse = [name for name, gradient in gradients if gradient.is_sparse]
    if sparse and "sparse" in str(error).lower():
        said += f"; sparse are the gradients of {sparse}: sparse=False in a layer makes them dense"
    return TrainingError(said)


def schedule_failed(update: int, scheduler: object, error: Exception) -> TrainingError:
    """A scheduler raised, such as one that was stepped beyond its end."""
    kind = type(scheduler).__name__
    return TrainingError(f"update {update}: {kind}.step() raised: {described_error(error)}")


def check_finite_data(update: int, batches: list[tuple[Any, Any]]) -> None:
    """Raise if the loss is non-finite because a batch's data is.

    Raises:
        TrainingError: an input or target holds NaN or infinity.

    >>> check_finite_data(3, [(torch.tensor([1.0, torch.nan]), torch.ones(2))])
    Traceback (most recent call last):
    gradwidgets.core.errors.TrainingError: the data of update 3 is not finite: x holds 1 NaN ...
    """
    for pair in batches:
        for name, part in zip(("x", "y"), pair, strict=True):
            if isinstance(part, Tensor) and not bool(torch.isfinite(part).all()):
                bad = torch.nonzero(~torch.isfinite(part))
                raise TrainingError(
                    f"the data of update {update} is not finite: {name} holds {len(bad)} NaN or "
                    f"infinite values, the first at {tuple(bad[0].tolist())}; clean it first"
                )


def described(value: Any) -> str:
    """A tensor by its shape and dtype, anything else by its type."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return f"a {type(value).__name__}"


def described_error(error: Exception) -> str:
    """An exception's type and the start of its first line; or the memory it asked for.

    >>> described_error(KeyError("weight"))
    "KeyError: 'weight'"
    """
    if asked := re.search(r"can't allocate memory: you tried to allocate (\d+) bytes", str(error)):
        size = f"{int(asked[1]) / 1e9:.3g} GB"
        return f"there is no memory for {size}; make the model or the batch smaller"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {textwrap.shorten(lines[0], 300)}".removesuffix(": ")
