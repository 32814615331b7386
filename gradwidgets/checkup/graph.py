"""Reading an autograd graph from the loss down, before backward frees it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, cast

from torch import Tensor
from torch.autograd.graph import Node

from gradwidgets.checkup.record import ModuleSeen

_MARKS = "gradwidgets.checkup"  # our key in the documented `metadata` of a node


class Mark(NamedTuple):
    """Left on the node that a module's output hangs on."""

    module: ModuleSeen
    time: int
    training: bool


def mark(tensor: Tensor, note: Mark) -> None:
    """Leave a note on the graph; it lives and dies with the graph."""
    if tensor.grad_fn is not None:
        _metadata(tensor.grad_fn).setdefault(_MARKS, []).append(note)


def marks(node: Node) -> list[Mark]:
    """The notes left on a node."""
    return _metadata(node).get(_MARKS, [])


def _metadata(node: Node) -> dict[str, list[Mark]]:
    metadata: Any = node.metadata  # a dict, which torch's stubs declare as a method
    return cast("dict[str, list[Mark]]", metadata)


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
    """Every node once; with `stop_at_layers`, not below the output of a module with parameters."""
    waiting, seen = list(roots), set[Node]()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        yield node
        if stop_at_layers and any(note.module.owns_parameters for note in marks(node)):
            continue
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                waiting.append(below)


def leaf_of(node: Node) -> Tensor | None:
    """The leaf tensor that a node accumulates into, if it is such a node."""
    leaf: Tensor | None = getattr(node, "variable", None)
    return leaf


def spread_prediction(root: Node) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shapes of a prediction before and after it was broadcast against its target, if it was.

    Predictions of shape (N, 1) or (N,) and constant targets of the other of the two give (N, N):
    every prediction is compared with every target. Only nodes between the loss and the last
    module with parameters are looked at, and only where the other operand needs no gradient.
    """
    for node in nodes([root], stop_at_layers=True):
        if _operation(node) in _ERRORS:
            enlarged = _enlarged(node.next_functions[0][0])
            if enlarged:
                return enlarged
        if _operation(node) not in ("Sub", "Expand"):
            continue
        tracked = [(below, index) for below, index in node.next_functions if below is not None]
        if len(tracked) != 1:
            continue
        before, after = _shape(*tracked[0]), _shape(node, 0)
        if before and after and before[0] > 1 and _numel(after) == _numel(before) * before[0]:
            return before, after
    return None


def _enlarged(node: Node | None) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shapes before and after, if a criterion had to repeat the predictions to fit the targets."""
    if node is None or _operation(node) != "Expand":
        return None
    below, index = node.next_functions[0]
    before, after = below and _shape(below, index), _shape(node, 0)
    if before and after and 1 < _numel(before) < _numel(after):
        return before, after
    return None


def _shape(node: Node, index: int) -> tuple[int, ...] | None:
    metadata: Any = getattr(node, "_input_metadata", None)  # absent in a few custom functions
    return tuple(metadata[index].shape) if metadata and index < len(metadata) else None


def _numel(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def _operation(node: Node) -> str:
    return _without_suffix(node.name())


@lru_cache
def _without_suffix(name: str) -> str:
    return re.sub(r"Backward\d*$", "", name)


_ERRORS = {
    "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits",
    "CtcLoss",
    "HuberLoss",
    "MseLoss",
    "MultiMarginLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
}
_LIKELIHOODS = {"LogSoftmax", "LogSigmoid"}
_PASSING = {
    "Alias",
    "Gather",
    "Index",
    "Mean",
    "Select",
    "Sqrt",
    "Squeeze",
    "Sum",
    "ToCopy",
    "Unsqueeze",
    "View",
}


def direction(node: Node | None, depth: int = 30) -> int:
    """+1 if minimising this loss lowers an error, -1 if it raises one, 0 if it cannot be told.

    Known errors are torch's criteria and squared or absolute differences from a constant; known
    opposites are log-likelihoods. Signs are followed through negation, scaling and reduction.
    """
    if node is None or not depth:
        return 0
    operation, below = _operation(node), [child for child, _ in node.next_functions]
    tracked = [child for child in below if child is not None]
    if operation in _ERRORS or (operation in ("Pow", "Abs") and _is_difference(below[0])):
        return +1
    if operation in _LIKELIHOODS:
        return -1
    if operation.startswith("NllLoss"):  # of probabilities instead of log-probabilities: unknown
        return max(0, -direction(below[0], depth - 1))
    if operation in ("Neg", "Rsub"):
        return -direction(below[0], depth - 1)
    if operation == "Add":
        return _agreed([direction(child, depth - 1) for child in tracked])
    if operation == "Sub":
        signs = [direction(child, depth - 1) for child in below]
        parts = zip((signs[0], -signs[-1]), below, strict=True)
        return _agreed([sign for sign, child in parts if child is not None])
    if operation in ("Mul", "Div") and below[1:] == [None]:
        sign = _constant_sign(node, positive_only=_ends_in_likelihood(below[0]))
        return sign * direction(below[0], depth - 1)
    return direction(below[0], depth - 1) if operation in _PASSING else 0


def _agreed(signs: list[int]) -> int:
    return signs[0] if len(set(signs)) == 1 else 0


def _is_difference(node: Node | None) -> bool:
    """A subtraction with one constant operand, the target (perhaps broadcast)."""
    if node is None or _operation(node) != "Sub":
        return False
    return sum(below is None for below, _ in node.next_functions) == 1


def _ends_in_likelihood(node: Node | None) -> bool:
    """Rewards multiply log-likelihoods, and a negative reward is no mistake."""
    return node is not None and any(_operation(n) in _LIKELIHOODS for n in nodes([node], True))


def _constant_sign(node: Node, positive_only: bool) -> int:
    """The sign of a constant factor, 0 if mixed (or negative, where only positive ones tell)."""
    try:
        factor: Tensor | None = getattr(node, "_saved_other", None)
    except RuntimeError:  # the graph was freed
        return 0
    if factor is None:
        return 0
    if bool((factor >= 0).all()):
        return +1
    return -1 if factor.dim() == 0 and not positive_only else 0
