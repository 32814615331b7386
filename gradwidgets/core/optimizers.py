"""The optimizers of `torch.optim`: their names and options, and how to build one.

Every class of `torch.optim` is known without an entry here. The lab's list is the control of
`Recipe.optimizer` in `recipe.py`; the steps that sweeps know are in `sweep/step.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from gradwidgets.core.validate import Number, not_allowed

OPTIMIZERS: dict[str, type[Optimizer]] = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, Optimizer) and kind is not Optimizer
}
"""Every optimizer class of `torch.optim`, by name."""


def option_defaults(optimizer: str) -> dict[str, Any]:
    """The keyword arguments, but for `lr`, that an optimizer of `torch.optim` takes.

    >>> option_defaults("Adagrad")["lr_decay"]
    0
    """
    parameters = list(inspect.signature(OPTIMIZERS[optimizer]).parameters.values())
    return {p.name: p.default for p in parameters[1:] if p.name != "lr"}


def checked_options(optimizer: str, options: object) -> dict[str, Any]:
    """Plain options (lists become tuples) that `optimizer` takes, tried out on the class itself.

    Raises:
        ValueError: an option is unknown to the optimizer, or its value is not allowed.
    """
    known = option_defaults(optimizer)
    if not isinstance(options, Mapping):
        raise not_allowed("options", options, f"a dict of keyword arguments of {optimizer}")
    for name in options:
        if name not in known:
            allowed = ", ".join(known)
            raise not_allowed(f"options[{name!r}]", options[name], f"{optimizer} only: {allowed}")
    plain = {str(name): _plain(f"options[{name!r}]", value) for name, value in options.items()}
    if plain:
        try:
            OPTIMIZERS[optimizer]([torch.zeros(1, 1, requires_grad=True)], **plain)
        except Exception as problem:
            raise not_allowed("options", options, f"what {optimizer} takes ({problem})") from None
    return plain


def _plain(name: str, value: Any) -> Any:
    """Lists as tuples, and NumPy's numbers as Python's; numbers are finite."""
    if isinstance(value, (list, tuple)):
        return tuple(_plain(name, each) for each in value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if not isinstance(value, Real):
        raise not_allowed(name, value, "a number, a flag, a text, None or a list of these")
    return int(value) if isinstance(value, Integral) else Number()(name, value)


def needs_closure(optimizer: str) -> bool:
    """Tell whether an optimizer's `step` needs a closure, as LBFGS does.

    >>> needs_closure("SGD"), needs_closure("LBFGS")
    (False, True)
    """
    closure = inspect.signature(OPTIMIZERS[optimizer].step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def build_optimizer(
    optimizer: str, model: nn.Module, lr: float, options: Mapping[str, Any]
) -> Optimizer:
    """The optimizer of that name over all parameters of `model`.

    Raises:
        ValueError: the optimizer does not take such parameters.

    >>> model = nn.Linear(2, 1)
    >>> type(build_optimizer("SGD", model, 0.1, {"momentum": 0.9})).__name__
    'SGD'
    """
    try:
        return OPTIMIZERS[optimizer](model.parameters(), lr=lr, **options)  # type: ignore[call-arg]
    except Exception as error:
        raise not_allowed("optimizer", optimizer, f"one for this model ({error})") from error
