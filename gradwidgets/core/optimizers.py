"""The optimizers that a recipe can name or bring, and what they take.

Every class of `torch.optim` is known without an entry here. The lab's list is the control of
`Recipe.optimizer` in `recipe.py`; the steps that sweeps know are in `sweep/step.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import torch
from torch.optim import Optimizer

from gradwidgets.core.validate import Number, not_allowed

OPTIMIZERS: dict[str, type[Optimizer]] = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if inspect.isclass(kind) and issubclass(kind, Optimizer) and kind is not Optimizer
}
"""Every optimizer class of `torch.optim`, by name."""
OptimizerKind = str | type[Optimizer] | Callable[..., Any]
"""A name in `OPTIMIZERS`, a class of one's own, or a function `(model, lr)` that builds one or
more."""


class OneOptimizer:
    """The rule of `Recipe.optimizer`. A class of `torch.optim` becomes its name.

    >>> OneOptimizer()("optimizer", torch.optim.Adam)
    'Adam'
    """

    def __call__(self, name: str, value: object) -> OptimizerKind:
        """Return the optimizer, or raise ValueError."""
        if isinstance(value, Optimizer):
            kind = type(value).__name__
            wish = f"the class instead ({kind}), or a function (model, lr) that builds one"
            raise not_allowed(name, value, f"{wish}: each run needs its own")
        if inspect.isclass(value):
            if value is Optimizer or not issubclass(value, Optimizer):
                raise not_allowed(name, value, "a subclass of torch.optim.Optimizer")
            known = OPTIMIZERS.get(value.__name__)
            return value.__name__ if value is known else value
        if inspect.isroutine(value):
            try:
                inspect.signature(value).bind_partial(None, 0.1)
            except (TypeError, ValueError):
                raise not_allowed(name, value, "a function that takes (model, lr)") from None
            return value
        if not isinstance(value, str) or value not in OPTIMIZERS:
            names = ", ".join(map(repr, OPTIMIZERS))
            own = "a subclass of torch.optim.Optimizer or a function (model, lr) that builds one"
            raise not_allowed(name, value, f"one of {names}, {own}")
        return value


def name_of(optimizer: OptimizerKind) -> str:
    """The name of an optimizer, or of the function that builds it.

    >>> name_of("SGD"), name_of(torch.optim.Adam)
    ('SGD', 'Adam')
    """
    return optimizer if isinstance(optimizer, str) else optimizer.__name__


def option_defaults(optimizer: OptimizerKind) -> dict[str, Any]:
    """The keyword arguments, but for `lr`, that an optimizer takes, with their defaults.

    One that has no default, and so must be given, has `inspect.Parameter.empty`.

    >>> option_defaults("Adagrad")["lr_decay"]
    0
    """
    kind = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = list(inspect.signature(kind).parameters.values())
    if inspect.isclass(kind):
        parameters = [p for p in parameters[1:] if p.name != "lr"]
    else:
        parameters = parameters[2:]
    return {p.name: p.default for p in parameters if p.kind in named}


def checked_options(optimizer: OptimizerKind, options: object, lr: float) -> dict[str, Any]:
    """Plain options (lists become tuples) that `optimizer` takes, tried out on a class itself.

    Raises:
        ValueError: an option is unknown to the optimizer, or its value is not allowed.
    """
    known, own_name = option_defaults(optimizer), name_of(optimizer)
    if not isinstance(options, Mapping):
        raise not_allowed("options", options, f"a dict of keyword arguments of {own_name}")
    for name in options:
        if name not in known:
            wish = f"{own_name} only: {', '.join(known)}" if known else f"none: {own_name} has none"
            raise not_allowed(f"options[{name!r}]", options[name], wish)
    plain = {
        str(name): plain_option(f"options[{name!r}]", value) for name, value in options.items()
    }
    if plain or not isinstance(optimizer, str):
        try:
            _try(optimizer, plain, lr)
        except Exception as error:
            if plain:
                wish = f"what {own_name} takes ({error})"
                raise not_allowed("options", options, wish) from None
            call = f"(params, lr={lr!r})" if inspect.isclass(optimizer) else f"(model, {lr!r})"
            wish = f"one that can be called as {own_name}{call} ({error})"
            raise not_allowed("optimizer", optimizer, wish) from None
    return plain


def _try(optimizer: Any, options: Mapping[str, Any], lr: float) -> None:
    """Build a class on a parameter of no importance; of a function, try the arguments only."""
    if isinstance(optimizer, str):
        OPTIMIZERS[optimizer]([torch.zeros(1, 1, requires_grad=True)], **options)
    elif inspect.isclass(optimizer):
        make: Any = optimizer
        with torch.random.fork_rng(devices=[]):
            make([torch.zeros(1, 1, requires_grad=True)], lr=lr, **options)
    else:
        inspect.signature(optimizer).bind(None, lr, **options)


def plain_option(name: str, value: Any) -> Any:
    """Lists as tuples, and NumPy's numbers as Python's; numbers are finite."""
    if isinstance(value, (list, tuple)):
        return tuple(plain_option(name, each) for each in value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if not isinstance(value, Real):
        raise not_allowed(name, value, "a number, a flag, a text, None or a list of these")
    return int(value) if isinstance(value, Integral) else Number()(name, value)
