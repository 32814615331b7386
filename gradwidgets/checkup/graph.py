"""Read facts from an autograd graph, starting at the loss, before backward frees it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, cast

from torch import Tensor
from torch.autograd.graph import Node

from gradwidgets.checkup.record import Backward, ModuleSeen, Record

_MARKS = "gradwidgets.checkup"  # our key in the documented `metadata` of a node


class Mark(NamedTuple):
    """A note on the node of a module's output: that the module ran, when, and in which mode."""

    module: ModuleSeen
    time: int
    training: bool


def put_mark(tensor: Tensor, mark: Mark) -> None:
    """Attach a mark to the graph; it is freed with the graph."""
    if tensor.grad_fn is not None:
        _metadata(tensor.grad_fn).setdefault(_MARKS, []).append(mark)


def _marks(node: Node) -> list[Mark]:
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
    """Every node once; `stop_at_layers` stops at the outputs of modules with parameters."""
    waiting, visited = list(roots), set[Node]()
    while waiting:
        node = waiting.pop()
        if node in visited:
            continue
        visited.add(node)
        yield node
        if stop_at_layers and any(mark.module.owns_parameters for mark in _marks(node)):
            continue
        for below, _ in node.next_functions:
            if below is not None and below not in visited:
                waiting.append(below)


def leaf_of(node: Node) -> Tensor | None:
    """The leaf tensor of an AccumulateGrad node; None for any other node."""
    leaf: Tensor | None = getattr(node, "variable", None)
    return leaf


def spread_prediction(root: Node) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shapes of a prediction before and after it was broadcast against its target, if it was.

    Predictions of shape (N, 1) and constant targets of shape (N,), or the reverse, give (N, N):
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
        if before and after and before[0] > 1 and math.prod(after) == math.prod(before) * before[0]:
            return before, after
    return None


def _enlarged(node: Node | None) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shapes before and after, if a criterion expanded the predictions to match the targets."""
    if node is None or _operation(node) != "Expand":
        return None
    below, index = node.next_functions[0]
    before, after = below and _shape(below, index), _shape(node, 0)
    if before and after and 1 < math.prod(before) < math.prod(after):
        return before, after
    return None


def _shape(node: Node, index: int) -> tuple[int, ...] | None:
    metadata: Any = getattr(node, "_input_metadata", None)  # absent in a few custom functions
    return tuple(metadata[index].shape) if metadata and index < len(metadata) else None


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
    """+1 if minimising this loss lowers an error, -1 if it raises one, 0 if unknown.

    Known errors are torch's criteria and squared or absolute differences from a constant; known
    opposites are log-likelihoods. Signs are followed through negation, scaling and reduction.
    """
    if node is None or not depth:
        return 0
    operation, below = _operation(node), [child for child, _ in node.next_functions]
    if operation in _ERRORS or (operation in ("Pow", "Abs") and _is_difference(below[0])):
        return +1
    if operation in _LIKELIHOODS:
        return -1
    if operation.startswith("NllLoss"):  # of probabilities instead of log-probabilities: unknown
        return max(0, -direction(below[0], depth - 1))
    if operation in ("Add", "Sub"):
        signed = zip((+1, +1 if operation == "Add" else -1), below, strict=False)
        signs = {sign * direction(term, depth - 1) for sign, term in signed if term is not None}
        return signs.pop() if len(signs) == 1 else 0
    sign = _sign_of_factor(node)
    return sign and sign * direction(below[0], depth - 1)


def _sign_of_factor(node: Node) -> int:
    """The sign of the factor on an operation's first operand; 0 if unknown."""
    operation, below = _operation(node), [child for child, _ in node.next_functions]
    if operation in _PASSING:
        return +1
    if operation in ("Neg", "Rsub"):
        return -1
    if operation in ("Mul", "Div") and below[1:] == [None]:
        return _constant_sign(node, positive_only=_ends_in_likelihood(below[0]))
    return 0


def _is_difference(node: Node | None) -> bool:
    """True for a subtraction with one constant operand, the target (possibly broadcast)."""
    if node is None or _operation(node) != "Sub":
        return False
    return sum(below is None for below, _ in node.next_functions) == 1


def _ends_in_likelihood(node: Node | None) -> bool:
    """True for a log-likelihood: rewards multiply these, and may rightly be negative."""
    return node is not None and any(_operation(n) in _LIKELIHOODS for n in nodes([node], True))


def _constant_sign(node: Node, positive_only: bool) -> int:
    """The sign of a constant factor; 0 if unknown or mixed, or negative with `positive_only`."""
    try:
        factor: Tensor | None = getattr(node, "_saved_other", None)
    except RuntimeError:  # the graph was freed
        return 0
    if factor is None:
        return 0
    if bool((factor >= 0).all()):
        return +1
    return -1 if factor.dim() == 0 and not positive_only else 0


def read_loss(record: Record, backward: Backward, roots: list[Any]) -> list[Mark]:
    """Fill in a `Backward` from the tensors that it starts from.

    Returns:
        The marks in their graph, one for each module output that the loss depends on.
    """
    tensors = [root for root in roots if isinstance(root, Tensor)]
    starts = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    if not starts and backward.root == "graph":
        backward.root = "leaf" if any(t.requires_grad for t in tensors) else "nothing"
    if len(tensors) == len(roots) == 1 and tensors[0].numel() == 1:
        backward.loss = float(tensors[0].detach())
    found: list[Mark] = []
    for node in nodes(starts):
        found += _marks(node)
        leaf = None if node.next_functions else leaf_of(node)
        if leaf is not None:
            backward.leaves.add(id(leaf))
            if id(leaf) not in record.parameters and id(leaf) not in record.hidden:
                backward.other_leaves.append(tuple(leaf.shape))
    backward.outdated |= _outdated(record, found)
    if starts:
        backward.direction = direction(starts[0])
        backward.spread = spread_prediction(starts[0])
    return found


def _outdated(record: Record, marks: list[Mark]) -> set[int]:
    """Indices of the optimizers that have stepped since the forward of their modules."""
    latest: dict[int, int] = {}  # optimizer index -> last forward of a module it trains
    for mark in marks:
        for tensor in mark.module.own_parameters():
            parameter = record.parameters.get(id(tensor))
            for optimizer in parameter.optimizers if parameter else ():
                latest[optimizer.index] = max(latest.get(optimizer.index, 0), mark.time)
    stepped = {optimizer.index: optimizer.last_step for optimizer in record.optimizers}
    return {index for index, time in latest.items() if stepped[index] > time}
