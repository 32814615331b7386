"""Facts about a model that can be read without running it: names, hidden tensors, ties, modes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from gradwidgets.checkup.graph import leaf_of, nodes
from gradwidgets.checkup.tensors import local


def prefixes(modules: Sequence[nn.Module]) -> list[str]:
    """Parameter-name prefixes of several modules: the class name, numbered if repeated."""
    if len(modules) == 1:
        return [""]
    kinds = [type(module).__name__ for module in modules]
    repeated = Counter(kinds)
    return [
        f"{kind}{position if repeated[kind] > 1 else ''}." for position, kind in enumerate(kinds)
    ]


def within(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The paths of a module and of all below it, each under each of its names.

    Here and below the dicts of a module are read, and none of its methods: those may be the
    user's own, and an attribute such as `weight` may compute something (a parametrization).
    """
    waiting: list[tuple[str, nn.Module, tuple[int, ...]]] = [("", root, ())]
    while waiting:
        path, module, above = waiting.pop()
        yield path, module
        inner = [(name, child) for name, child in _held(module, "_modules") if child is not None]
        for name, child in reversed(inner):
            if id(child) not in above:
                below = f"{path}.{name}" if path else name
                waiting.append((below, child, (*above, id(module))))


def own_parameters(module: nn.Module) -> list[tuple[str, Tensor]]:
    """The parameters of a module itself, by name; lazy ones only once they are initialised."""
    return [(n, p) for n, p in _held(module, "_parameters") if p is not None and not is_lazy(p)]


def is_layer(module: nn.Module) -> bool:
    """True for a module without children."""
    return all(child is None for _, child in _held(module, "_modules"))


def _held(module: nn.Module, name: str) -> list[tuple[str, Any]]:
    return list(vars(module)[name].items())


def named_modules(modules: Sequence[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Every module once, with its path; an outermost one with its class name."""
    for prefix, root in zip(prefixes(modules), modules, strict=True):
        seen: set[int] = set()
        for path, module in within(root):
            if id(module) not in seen:
                seen.add(id(module))
                yield (prefix + path).rstrip(".") or type(root).__name__, module


def named_parameters(modules: Sequence[nn.Module]) -> Iterator[tuple[str, Tensor]]:
    """Every parameter under each of its names; lazy ones only once they are initialised."""
    for prefix, root in zip(prefixes(modules), modules, strict=True):
        for path, module in within(root):
            for name, parameter in own_parameters(module):
                yield prefix + (f"{path}.{name}" if path else name), parameter


def hidden_tensors(modules: Sequence[nn.Module]) -> dict[int, str]:
    """Unregistered leaves that require grad in a module's attributes: id -> where."""
    registered = {id(tensor) for _, tensor in named_parameters(modules)}
    found: dict[int, str] = {}
    for place, tensor in _in_attributes(modules):
        for leaf in _leaves(tensor):
            if id(leaf) not in registered:
                found.setdefault(id(leaf), place)
    return found


def hidden_leaves(modules: Sequence[nn.Module]) -> list[tuple[str, Tensor]]:
    """Unregistered leaves that require grad and are attributes themselves, with their places."""
    registered = {id(tensor) for _, tensor in named_parameters(modules)}
    return [
        (place, tensor)
        for place, tensor in _in_attributes(modules)
        if tensor.grad_fn is None and tensor.requires_grad and id(tensor) not in registered
    ]


def _in_attributes(modules: Sequence[nn.Module]) -> Iterator[tuple[str, Tensor]]:
    for path, module in named_modules(modules):
        for attribute, value in vars(module).items():
            if attribute not in ("_parameters", "_buffers", "_modules"):
                yield from _tensors_under(value, f"{path}.{attribute}")


def _tensors_under(value: Any, place: str, depth: int = 3) -> Iterator[tuple[str, Tensor]]:
    """Tensors in an attribute, a module or nested containers, each with its place."""
    if is_a(value, Tensor):
        yield place, value
    elif is_a(value, nn.Module):
        yield from ((f"{place}.{path}", tensor) for path, tensor in named_parameters([value]))
    elif depth:
        for suffix, part in parts(value):
            yield from _tensors_under(part, place + suffix, depth - 1)


def parts(value: Any) -> list[tuple[str, object]]:
    """The parts of a container or plain object, each with the code that reaches it."""
    if is_a(value, dict):
        return [(f"[{_key(key)}]", part) for key, part in dict.items(value)]
    if is_a(value, list) or is_a(value, tuple):
        parts = list.__iter__(value) if is_a(value, list) else tuple.__iter__(value)
        return [(f"[{place}]", part) for place, part in enumerate(parts)]
    if not callable(value):
        with suppress(AttributeError):
            own = object.__getattribute__(value, "__dict__")
            return [(f".{name}", part) for name, part in own.items()]
    return []


def _key(key: object) -> str:
    return repr(key) if isinstance(key, (str, int, float, bool, type(None))) else type(key).__name__


def is_a(value: object, kind: type) -> bool:
    """`isinstance` that asks the type alone: a proxy may run something to say what it is."""
    return issubclass(type(value), kind)


def _leaves(tensor: Tensor) -> Iterator[Tensor]:
    """The tensor itself if it is a leaf that requires grad, or the leaves it was computed from."""
    if tensor.grad_fn is None:
        if tensor.requires_grad:
            yield tensor
        return
    for node in nodes([tensor.grad_fn]):
        leaf = leaf_of(node)
        if leaf is not None:
            yield leaf


def is_compiled(module: nn.Module) -> bool:
    """True for what `torch.compile(module)` returns, and after `module.compile()`."""
    own = vars(module)
    return own.get("_compiled_call_impl") is not None or "_orig_mod" in own["_modules"]


def is_spread(modules: Sequence[nn.Module]) -> bool:
    """True if parameters are spread over processes, by `fully_shard`, DTensors or FSDP."""
    kinds = {base.__name__ for _, module in named_modules(modules) for base in type(module).__mro__}
    if kinds & {"FSDPModule", "FullyShardedDataParallel"}:
        return True
    return any(local(parameter) is not parameter for _, parameter in named_parameters(modules))


_MISSPELLED = {
    "require_grad",
    "require_grads",
    "required_grad",
    "requires_gradient",
    "requires_gradients",
    "requires_grads",
    "requiresgrad",
}


def misspelled_flags(modules: Sequence[nn.Module]) -> list[tuple[str, str]]:
    """Trainable parameters with a False attribute that is almost named `requires_grad`."""
    return [
        (name, attribute)
        for name, parameter in named_parameters(modules)
        if parameter.requires_grad
        for attribute, value in getattr(parameter, "__dict__", {}).items()
        if value is False and attribute.lower() in _MISSPELLED
    ]


def ignored_flags(modules: Sequence[nn.Module]) -> list[str]:
    """Modules with a plain attribute `requires_grad = False` and trainable parameters."""
    return [
        path
        for path, module in named_modules(modules)
        if any(vars(module).get(name) is False for name in ("requires_grad", *_MISSPELLED))
        and any(parameter.requires_grad for _, parameter in named_parameters([module]))
    ]


def untied(modules: Sequence[nn.Module]) -> list[tuple[str, str]]:
    """Pairs of an embedding and a linear weight: equal numbers in separate parameters."""
    owners = [
        (f"{path}.weight", module, weight)
        for path, module in named_modules(modules)
        if isinstance(module, (nn.Embedding, nn.Linear))
        if (weight := dict(own_parameters(module)).get("weight")) is not None
    ]
    tables = [(name, weight) for name, module, weight in owners if isinstance(module, nn.Embedding)]
    outputs = [(name, weight) for name, module, weight in owners if isinstance(module, nn.Linear)]
    return [
        (table_name, output_name)
        for table_name, table in tables
        for output_name, output in outputs
        if table is not output and _same_numbers(table, output)
    ]


def _same_numbers(left: Tensor, right: Tensor) -> bool:
    left, right = local(left), local(right)
    comparable = (left.shape, left.dtype, left.device) == (right.shape, right.dtype, right.device)
    if not comparable or not (left.requires_grad and right.requires_grad):
        return False
    constant = bool((left == left.flatten()[0]).all()) if left.numel() else True
    return not constant and bool((left == right).all())


_WITH_DROPOUT = (nn.RNNBase, nn.MultiheadAttention)


def differs_in_eval(module: nn.Module) -> bool:
    """True if a module behaves differently in eval mode: dropout, or running statistics."""
    own = vars(module)
    if isinstance(module, _DropoutNd):
        return bool(own.get("p", 0) > 0)
    if isinstance(module, _NormBase):
        return own["_buffers"].get("running_mean") is not None
    dropout = bool(own.get("dropout", 0) > 0) if isinstance(module, _WITH_DROPOUT) else False
    return dropout and (isinstance(module, nn.MultiheadAttention) or own.get("num_layers", 1) > 1)


def forgotten_in_eval(modules: Sequence[nn.Module]) -> dict[int, str]:
    """Modules apparently left in eval mode by mistake, where it matters: id -> path.

    On purpose: the outermost eval-mode module around it has no trainable parameter in eval mode.
    """
    found: dict[int, str] = {}
    for path, module, outermost in _in_eval(modules):
        trains = any(
            parameter.requires_grad
            for _, part in within(outermost)
            if not part.training
            for _, parameter in own_parameters(part)
        )
        if differs_in_eval(module) and trains:
            found.setdefault(id(module), path)
    return found


def _in_eval(modules: Sequence[nn.Module]) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    for prefix, root in zip(prefixes(modules), modules, strict=True):
        by_path = dict(within(root))
        for path, module in by_path.items():
            parts = path.split(".") if path else []
            chain = [by_path.get(".".join(parts[:count])) for count in range(len(parts) + 1)]
            outer = [ancestor for ancestor in chain if ancestor is not None]
            outermost = next((m for m in outer if not m.training), module)
            if not module.training:
                yield prefix + path or type(root).__name__, module, outermost
