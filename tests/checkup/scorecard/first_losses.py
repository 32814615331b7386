"""The closure that one-batch tools ask for, taken from a loop that knows nothing of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.checkup.loops import Loop

Given = tuple[tuple[Any, ...], dict[str, Any]]
"""The arguments of a call of a model."""


class _EnoughError(BaseException):
    """Ends the loop; no `except Exception` of a loop takes it."""


def optimizers_of(loop: Loop) -> list[Any]:
    """The loop's optimizers as a list."""
    many = isinstance(loop.optimizer, (list, tuple))
    return list(loop.optimizer) if many else [loop.optimizer]


def models_of(loop: Loop) -> list[nn.Module]:
    """The loop's models as a list."""
    return [loop.model] if isinstance(loop.model, nn.Module) else list(loop.model)


def first_losses(
    loop: Loop, model: nn.Module | None = None, given: Given | None = None
) -> Tensor | None:
    """The loss of the loop's first update, as a person would hand it to a tool.

    The loop runs until each of its optimizers has stepped once. Its backward calls do nothing but
    hand over their losses, whose sum is returned, before a GradScaler multiplied it; its steps
    change nothing. A loss without a graph is returned as it is. None: the loop calls no backward.

    Args:
        loop: The loop.
        model: The model whose first call takes `given`.
        given: What a tool wants the model to be called with; None: what the loop gives it.
    """
    losses: list[Tensor] = []
    waiting = {id(optimizer) for optimizer in optimizers_of(loop)}

    def backward(tensors: Any, grad_tensors: Any = None, *_: object, **__: object) -> None:
        loss, weight = _first(tensors), _first(grad_tensors)
        losses.append(loss if weight is None else (loss * weight).sum())

    def step(optimizer: Optimizer, *_: object) -> None:
        optimizer.zero_grad()
        waiting.discard(id(optimizer))
        if not waiting and losses:
            raise _EnoughError

    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(_EnoughError, Exception))
        stack.callback(register_optimizer_step_pre_hook(step).remove)
        if model is not None and given is not None:
            stack.callback(_called_first_with(model, given).remove)
        stack.enter_context(_without_backward(backward))
        loop.train()
    cut_off = [loss for loss in losses if not loss.requires_grad]
    return cut_off[0] if cut_off else sum(losses[1:], losses[0]) if losses else None


def first_call(loop: Loop) -> tuple[nn.Module, Given] | tuple[None, None]:
    """The first of the loop's models that is called as a whole, and its arguments."""
    seen: list[tuple[nn.Module, Given]] = []
    models = models_of(loop)

    def note(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if model in models:  # a copy of a model keeps its hooks
            seen.append((model, (args, kwargs)))
            raise _EnoughError

    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(_EnoughError, Exception))
        for model in models:
            stack.callback(model.register_forward_pre_hook(note, with_kwargs=True).remove)
        stack.enter_context(_without_backward(lambda *_, **__: None))
        loop.train()
    return seen[0] if seen else (None, None)


def _called_first_with(model: nn.Module, given: Given) -> Any:
    waiting = [given]

    def replace(*_: object) -> Given | None:
        return waiting.pop() if waiting else None

    return model.register_forward_pre_hook(replace, with_kwargs=True)


def _first(tensors: Any) -> Tensor | None:
    return tensors[0] if isinstance(tensors, (list, tuple)) else tensors


@contextlib.contextmanager
def _without_backward(backward: Callable[..., None]) -> Iterator[None]:
    scaler = torch.amp.GradScaler
    with (
        mock.patch.object(torch.autograd, "backward", backward),
        mock.patch.object(scaler, "scale", lambda _, loss: loss),
        mock.patch.object(scaler, "step", lambda _, optimizer: optimizer.step()),
        mock.patch.object(scaler, "unscale_"),
        mock.patch.object(scaler, "update"),
    ):
        yield
