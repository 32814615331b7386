"""The nodes of an autograd graph, the marks of modules on them, and what a node tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd.graph import Node

from gradwidgets.checkup.record import Backward, HigherGrad, ModuleSeen

_MARKS = "gradwidgets.checkup"  # our key in the documented `metadata` of a node


class Mark(NamedTuple):
    """A note on the node of a module's output: that the module ran, when, and in which mode."""

    module: ModuleSeen
    time: int
    training: bool
    parallel: int  # id of the DistributedDataParallel within whose forward it ran; 0 for none


def put_mark(tensor: Tensor, mark: Mark) -> None:
    """Attach a mark to the graph; it is freed with the graph."""
    node = tensor.grad_fn
    if node is not None:
        _metadata(node).setdefault(_MARKS, []).append(mark)


def marks_of(node: Node) -> list[Mark]:
    """The marks on a node."""
    marks: list[Mark] = _metadata(node).get(_MARKS, [])
    return marks


_SCALE = "gradwidgets.checkup scale"


def put_scale(tensor: Tensor, scale: float) -> None:
    """Note that a GradScaler has multiplied a loss by a scale."""
    if tensor.grad_fn is not None:
        _metadata(tensor.grad_fn)[_SCALE] = scale


_HIGHER = "gradwidgets.checkup grad"


def put_higher(tensor: Tensor, call: HigherGrad) -> None:
    """Note that a tensor is the result of `autograd.grad` with a graph."""
    if tensor.grad_fn is not None:
        _metadata(tensor.grad_fn)[_HIGHER] = call


_ROOT = "gradwidgets.checkup root"


def put_root(node: Node, backward: Backward) -> None:
    """Note that a backward call starts from a node."""
    _metadata(node).setdefault(_ROOT, []).append(backward)


class Notes(NamedTuple):
    """All that is noted on a node."""

    marks: Sequence[Mark] = ()
    scale: float | None = None  # by which a GradScaler has multiplied its result
    roots: Sequence[Backward] = ()  # the backward calls that started from it


def notes_of(node: Node) -> Notes:
    """The notes on a node; a result of `autograd.grad` is used by now."""
    notes = _metadata(node)
    if not notes:
        return Notes()
    higher: HigherGrad | None = notes.get(_HIGHER)
    if higher is not None:
        higher.used = True
    return Notes(notes.get(_MARKS, ()), notes.get(_SCALE), notes.get(_ROOT, ()))


def _metadata(node: Node) -> dict[str, Any]:
    metadata: Any = node.metadata  # a dict, which torch's stubs declare as a method
    return metadata  # type: ignore[no-any-return]


def tensors_in(value: object, depth: int = 3) -> list[Tensor]:
    """Tensors in a module's output: a tensor, or a nest of tuples, lists, dicts and dataclasses."""
    if isinstance(value, Tensor):
        return [value]
    parts: Iterable[object] = ()
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, (tuple, list)):
        parts = value
    elif hasattr(value, "__dataclass_fields__"):
        parts = vars(value).values()
    return [tensor for part in parts for tensor in tensors_in(part, depth - 1)] if depth else []


def nodes(roots: Iterable[Node], stop_at_layers: bool = False) -> Iterator[Node]:
    """Every node once; `stop_at_layers` stops at the outputs of modules with parameters."""
    waiting, visited = list(roots), set[Node]()
    while waiting:
        node = waiting.pop()
        if node in visited:
            continue
        visited.add(node)
        yield node
        if stop_at_layers and any(mark.module.owns_parameters for mark in marks_of(node)):
            continue
        waiting += [below for below, _ in node.next_functions if below is not None]


LEAF = "torch::autograd::AccumulateGrad"
"""The operation of the node of a leaf tensor that requires grad."""


def leaf_of(node: Node) -> Tensor | None:
    """The leaf tensor of an AccumulateGrad node; None for any other node."""
    leaf: Tensor | None = getattr(node, "variable", None)
    return leaf


def leaves(roots: Iterable[Node]) -> Iterator[Tensor]:
    """The leaf tensors that require grad below some nodes."""
    found = (leaf_of(node) for node in nodes(roots) if not node.next_functions)
    return (leaf for leaf in found if leaf is not None)


def shape(node: Node, index: int = 0) -> tuple[int, ...] | None:
    """The shape of one of a node's outputs; None in a few custom functions."""
    metadata: Any = getattr(node, "_input_metadata", None)
    return tuple(metadata[index].shape) if metadata and index < len(metadata) else None


def operation(node: Node) -> str:
    """The name of a node's operation, without torch's suffix: MseLoss, Add."""
    return _without_suffix(node.name())


@cache
def _without_suffix(name: str) -> str:
    return re.sub(r"Backward\d*$", "", name)


def saved(node: Node, name: str) -> Any:
    """Read what a node has saved for its backward; None if it is gone, or packed by hooks.

    Hooks are the user's, and to unpack a checkpointed tensor would run its forward.
    """
    raw = getattr(node, f"_raw_saved_{name}", None)
    if getattr(raw, "unpack_hook", None) is not None:
        return None
    try:
        return getattr(node, f"_saved_{name}", None)
    except RuntimeError:  # the graph was freed
        return None
