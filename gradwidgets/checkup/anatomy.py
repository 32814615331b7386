"""Facts about a model that can be read without running it: names, hidden tensors, ties, modes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from gradwidgets.checkup.graph import leaf_of, nodes


def prefixes(modules: Sequence[nn.Module]) -> list[str]:
    """Parameter-name prefixes of several modules: the class name, numbered if repeated."""
    if len(modules) == 1:
        return [""]
    kinds = [type(module).__name__ for module in modules]
    repeated = Counter(kinds)
    return [
        f"{kind}{position if repeated[kind] > 1 else ''}." for position, kind in enumerate(kinds)
    ]


def named_modules(modules: Sequence[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Every module once, with its path; an outermost one with its class name."""
    for prefix, root in zip(prefixes(modules), modules, strict=True):
        for path, module in root.named_modules():
            yield (prefix + path).rstrip(".") or type(root).__name__, module


def named_parameters(modules: Sequence[nn.Module]) -> Iterator[tuple[str, Tensor]]:
    """Every parameter under each of its names; lazy ones only once they are initialised."""
    for prefix, root in zip(prefixes(modules), modules, strict=True):
        for path, parameter in root.named_parameters(remove_duplicate=False):
            if not is_lazy(parameter):
                yield prefix + path, parameter


def hidden_tensors(modules: Sequence[nn.Module]) -> dict[int, str]:
    """Unregistered leaves that require grad in a module's attributes: id -> where."""
    registered = {id(tensor) for _, tensor in named_parameters(modules)}
    found: dict[int, str] = {}
    for path, module in named_modules(modules):
        for attribute, value in vars(module).items():
            if attribute in ("_parameters", "_buffers", "_modules"):
                continue
            for place, tensor in _tensors_under(value, f"{path}.{attribute}"):
                for leaf in _leaves(tensor):
                    if id(leaf) not in registered:
                        found.setdefault(id(leaf), place)
    return found


def _tensors_under(value: object, place: str, depth: int = 3) -> Iterator[tuple[str, Tensor]]:
    """Tensors in an attribute, a module or nested containers, each with its place."""
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, nn.Module):
        yield from ((f"{place}.{path}", tensor) for path, tensor in value.named_parameters())
    elif depth:
        for suffix, part in _parts(value):
            yield from _tensors_under(part, place + suffix, depth - 1)


def _parts(value: object) -> list[tuple[str, object]]:
    """The parts of a container or plain object, each with the code that reaches it."""
    if isinstance(value, dict):
        return [(f"[{key!r}]", part) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{position}]", part) for position, part in enumerate(value)]
    if hasattr(value, "__dict__") and not callable(value):
        return [(f".{name}", part) for name, part in vars(value).items()]
    return []


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


def ignored_flags(modules: Sequence[nn.Module]) -> list[str]:
    """Modules with a plain attribute `requires_grad = False` and trainable parameters."""
    return [
        path
        for path, module in named_modules(modules)
        if vars(module).get("requires_grad") is False
        and any(parameter.requires_grad for parameter in module.parameters())
    ]


def untied(modules: Sequence[nn.Module]) -> list[tuple[str, str]]:
    """Pairs of an embedding and a linear weight: equal numbers in separate parameters."""
    owners = [
        (f"{path}.weight", module, module.weight)
        for path, module in named_modules(modules)
        if isinstance(module, (nn.Embedding, nn.Linear)) and isinstance(module.weight, Tensor)
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
    comparable = (left.shape, left.dtype, left.device) == (right.shape, right.dtype, right.device)
    if not comparable or not (left.requires_grad and right.requires_grad):
        return False
    constant = bool((left == left.flatten()[0]).all()) if left.numel() else True
    return not constant and bool((left == right).all())


def differs_in_eval(module: nn.Module) -> bool:
    """True if a module behaves differently in eval mode: dropout, or running statistics."""
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, _NormBase):
        return module.running_mean is not None
    if isinstance(module, nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    return isinstance(module, nn.MultiheadAttention) and module.dropout > 0


def forgotten_in_eval(modules: Sequence[nn.Module]) -> dict[int, str]:
    """Modules apparently left in eval mode by mistake, where it matters: id -> path.

    On purpose: the outermost eval-mode module around it has no trainable parameter in eval mode.
    """
    found: dict[int, str] = {}
    for path, module, outermost in _in_eval(modules):
        trains = any(
            parameter.requires_grad
            for part in outermost.modules()
            if not part.training
            for parameter in part.parameters(recurse=False)
        )
        if differs_in_eval(module) and trains:
            found[id(module)] = path
    return found


def _in_eval(modules: Sequence[nn.Module]) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    for prefix, root in zip(prefixes(modules), modules, strict=True):
        by_path = dict(root.named_modules())
        for path, module in by_path.items():
            parts = path.split(".") if path else []
            chain = [by_path.get(".".join(parts[:count])) for count in range(len(parts) + 1)]
            outer = [ancestor for ancestor in chain if ancestor is not None]
            outermost = next((m for m in outer if not m.training), module)
            if not module.training:
                yield prefix + path or type(root).__name__, module, outermost
