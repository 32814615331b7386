"""Build a recipe's optimizer for a model, and ask what is built."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.core.optimizers import OPTIMIZERS, name_of
from gradwidgets.core.parameter_groups import Phases, groups_of
from gradwidgets.core.recipe import Recipe
from gradwidgets.core.validate import not_allowed


def needs_closure(optimizer: str | type[Optimizer] | Optimizer | list[Optimizer]) -> bool:
    """Tell whether an optimizer's `step` needs a closure, as LBFGS does.

    A list never does: see `build_optimizer`.

    >>> needs_closure("SGD"), needs_closure("LBFGS")
    (False, True)
    """
    if isinstance(optimizer, list):
        return False
    kind = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    step = (kind if inspect.isclass(kind) else type(kind)).step
    taken = list(inspect.signature(step).parameters.values())[1:]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is inspect.Parameter.empty for p in taken)


def phases_of(recipe: Recipe, model: nn.Module) -> Phases | None:
    """The phases of the recipe's groups on a model; None where it has no groups.

    Raises:
        ValueError: a pattern matches no parameter, or two match the same.

    >>> phases_of(Recipe(), nn.Linear(2, 1))
    """
    if not recipe.groups:
        return None
    names = [name for name, _ in model.named_parameters()]
    return Phases(groups_of(recipe.groups, recipe.lr, names, recipe.updates), model)


def build_optimizer(
    recipe: Recipe, model: nn.Module, phases: Phases | None = None
) -> Optimizer | list[Optimizer]:
    """The optimizer of a recipe over the parameters of `model`; a list if its function gives one.

    `phases` are those of the recipe's groups, from `phases_of`.

    Raises:
        ValueError: the optimizer does not take such parameters; or the recipe's function returns
            something else, or what makes no sense for this model.

    >>> type(build_optimizer(Recipe(options={"momentum": 0.9}), nn.Linear(2, 1))).__name__
    'SGD'
    """
    kind, lr, options = recipe.optimizer, recipe.lr, recipe.options
    parameters: Any = phases.param_groups() if phases else model.parameters()
    make: Any = OPTIMIZERS[kind] if isinstance(kind, str) else kind
    try:
        if inspect.isclass(make):
            built: Any = make(parameters, lr=lr, **options)  # type: ignore[call-arg]
        else:
            built = make(model, lr, **options)
    except Exception as error:
        raise not_allowed("optimizer", kind, f"one for this model ({error})") from error
    if isinstance(kind, str):
        return built  # type: ignore[no-any-return]
    several = list(built) if isinstance(built, (list, tuple)) else [built]
    _check(f"{name_of(kind)}(model, lr)", built, several, model)
    return several if isinstance(built, (list, tuple)) else several[0]


def each_of(built: Optimizer | list[Optimizer]) -> list[Optimizer]:
    """List the optimizers that `build_optimizer` returned.

    >>> len(each_of(build_optimizer(Recipe(), nn.Linear(2, 1))))
    1
    """
    return built if isinstance(built, list) else [built]


def kept_of(parameter: Tensor, optimizers: Sequence[Optimizer]) -> dict[str, Any]:
    """The numbers and tensors that optimizers keep of a parameter, such as "momentum_buffer".

    >>> layer = nn.Linear(1, 1)
    >>> kept_of(layer.weight, each_of(build_optimizer(Recipe(), layer)))
    {}
    """
    states = [
        optimizer.state[parameter] for optimizer in optimizers if parameter in optimizer.state
    ]
    items = [state.items() for state in states if isinstance(state, Mapping)]
    return {str(name): value for each in items for name, value in each}


def _check(call: str, built: object, several: Sequence[object], model: nn.Module) -> None:
    """Refuse a result of the recipe's own function that a loop cannot use."""
    if not several or not all(isinstance(each, Optimizer) for each in several):
        raise not_allowed(call, built, "a torch.optim.Optimizer to return, or a list of them")
    optimizers = [each for each in several if isinstance(each, Optimizer)]
    held = [p for each in optimizers for group in each.param_groups for p in group["params"]]
    names = {id(p): name for name, p in model.named_parameters()}
    if strange := sum(id(p) not in names for p in held):
        wish = "one over parameters of the model that it is given"
        raise not_allowed(f"{call}: {strange} of {len(held)} parameters", built, wish)
    if twice := [names[at] for at, count in Counter(map(id, held)).items() if count > 1]:
        raise not_allowed(f"{call}: the optimizers of {twice}", built, "one for each parameter")
    if len(several) > 1 and any(map(needs_closure, optimizers)):
        wish = "optimizers whose step() needs no closure, or one alone"
        raise not_allowed(call, built, wish)
