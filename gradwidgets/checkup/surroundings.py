"""Objects of the process that the watch was not given: optimizers, and modules of the loss.

Their dicts are read, and none of their methods.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator
from typing import TypeVar

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from gradwidgets.checkup import anatomy

T = TypeVar("T")
Keys = Collection[int]
"""Ids of tensors."""


def optimizers_of(keys: Keys) -> list[Optimizer]:
    """The torch optimizers that hold one of these tensors."""
    return [one for one in _all_of(Optimizer) if any(id(t) in keys for t in held_by(one))]


def held_by(optimizer: Optimizer) -> list[Tensor]:
    """The tensors of all param groups, including duplicates; none of a mere wrapper."""
    own = vars(optimizer)
    groups = own["param_groups"] if "_optimizer_step_pre_hooks" in own else ()
    return [tensor for group in groups for tensor in group["params"]]


def steppers_of(keys: Keys) -> list[object]:
    """Objects with a method `step` that hold one of these tensors and are no torch optimizers.

    A module or a wrapper of a torch optimizer is none.
    """
    return [
        thing
        for thing in gc.get_objects()
        if callable(getattr(type(thing), "step", None))
        if not issubclass(type(thing), (Optimizer, nn.Module, type))
        if _holds(thing, keys)
    ]


_DEEP, _MANY = 5, 100_000


def _holds(thing: object, keys: Keys) -> bool:
    """True if containers and plain objects below it hold a tensor, and none an optimizer."""
    waiting, found = [(thing, _DEEP)], False
    for _ in range(_MANY):
        if not waiting:
            break
        value, depth = waiting.pop()
        if anatomy.is_a(value, Optimizer):
            return False
        if anatomy.is_a(value, Tensor):
            found = found or id(value) in keys
        elif depth and not anatomy.is_a(value, nn.Module):
            waiting += [(part, depth - 1) for _, part in anatomy.parts(value)]
    return found


def averaged(keys: Keys) -> dict[int, int]:
    """The wrapper that averages a tensor's gradient over several processes: both by id."""
    if not (dist.is_available() and dist.is_initialized()):
        return {}
    found = {}
    for wrapper in _all_of(DistributedDataParallel):
        own = vars(wrapper)
        if own["process_group"].size() > 1:
            for name, tensor in anatomy.named_parameters([own["_modules"]["module"]]):
                if id(tensor) in keys and name not in own["parameters_to_ignore"]:
                    found[id(tensor)] = id(wrapper)
    return found


def modules() -> list[nn.Module]:
    """All modules of the process."""
    return list(_all_of(nn.Module))


def owner_of(
    tensor: Tensor | None, modules: list[nn.Module], watched: Keys
) -> tuple[str, nn.Module] | None:
    """The module that holds a parameter, with all above it that hold no watched one.

    Args:
        tensor: A parameter that is not watched; None if it is gone.
        modules: Where to look.
        watched: The ids of the modules that are watched.

    Returns:
        The parameter's name, which begins with the class of the outermost such module, and that
        module; None if no module holds it.
    """
    owner = next((m for m in modules if _has(m, "_parameters", tensor)), None)
    if owner is None:
        return None
    while (above := _above(owner, modules, watched)) is not None:
        owner = above
    for name, held in anatomy.named_parameters([owner]):
        if held is tensor:
            return f"{type(owner).__name__}.{name}", owner
    return None


def _above(module: nn.Module, modules: list[nn.Module], watched: Keys) -> nn.Module | None:
    for other in modules:
        if _has(other, "_modules", module):
            inside = {id(part) for _, part in anatomy.within(other)}
            if not inside & set(watched):
                return other
    return None


def _has(module: nn.Module, name: str, part: object) -> bool:
    return any(held is part for held in vars(module).get(name, {}).values())


def is_network(module: nn.Module) -> bool:
    """True for a layer of torch's with parameters, and a module with several of them.

    Tables (`Embedding`) do not count: a loss keeps centres and proxies in them.
    """
    layers = [
        part
        for part in {id(part): part for _, part in anatomy.within(module)}.values()
        if type(part).__module__.startswith("torch.nn.")
        if anatomy.own_parameters(part) and not isinstance(part, nn.Embedding)
    ]
    return module in layers or len(layers) > 1


def _all_of(kind: type[T]) -> Iterator[T]:
    return (thing for thing in gc.get_objects() if anatomy.is_a(thing, kind))
