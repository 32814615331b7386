"""Listening to a loop: documented global hooks, wrapped calls, and all of it removed again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

Call = Callable[..., Any]


class Listener(Protocol):
    """What a watch wants to hear; each `on_...` that gets a `call` must make it and return it."""

    def on_forward(self, module: nn.Module, args: Any, output: Any) -> None:
        """After any module's forward."""

    def on_backward(self, call: Call, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        """Around `torch.autograd.backward`."""

    def on_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Around `torch.autograd.grad`."""

    def on_zero_grad(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Around `zero_grad` of an optimizer or a module."""

    def before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """Before any optimizer's step; may return other arguments for it."""

    def after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """After any optimizer's step."""

    def on_scale(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Around `GradScaler.scale`."""

    def on_unscale(self, call: Call, scaler: Any, optimizer: Optimizer) -> Any:
        """Around `GradScaler.unscale_`."""

    def on_scaler_step(
        self, call: Call, scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Around `GradScaler.step`."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call the listener at every event; whatever happens, leave torch as it was found.

    The hooks are the global ones, so nothing is attached to a model or an optimizer: copies made
    of them inside the loop carry nothing away. `Tensor.backward` calls `torch.autograd.backward`.
    """
    with ExitStack() as stack:
        for handle in (
            register_module_forward_hook(listener.on_forward),
            register_optimizer_step_pre_hook(listener.before_step),
            register_optimizer_step_post_hook(listener.after_step),
        ):
            stack.callback(handle.remove)
        for owner, name, around in (
            (torch.autograd, "backward", listener.on_backward),
            (torch.autograd, "grad", listener.on_grad),
            (Optimizer, "zero_grad", listener.on_zero_grad),
            (nn.Module, "zero_grad", listener.on_zero_grad),
            (torch.amp.GradScaler, "scale", listener.on_scale),
            (torch.amp.GradScaler, "unscale_", listener.on_unscale),
            (torch.amp.GradScaler, "step", listener.on_scaler_step),
        ):
            stack.enter_context(wrapped(owner, name, around))
        yield


@contextmanager
def wrapped(owner: Any, name: str, around: Call) -> Iterator[None]:
    """Replace `owner.name` by `around(original, ...)`, then put the identical object back."""
    original = vars(owner)[name]

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return around(original, *args, **kwargs)

    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)
