"""Read a loss from its graph, before backward frees it."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor, nn
from torch.autograd.graph import Node

from gradwidgets.checkup import criterion, graph
from gradwidgets.checkup.record import Backward, Outsider, Record
from gradwidgets.checkup.tensors import elements
from gradwidgets.checkup.thresholds import FEW, MOST_KEPT


def read_loss(record: Record, backward: Backward, roots: list[Any]) -> list[graph.Mark]:
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
    found, count = _read_nodes(record, backward, starts)
    backward.outdated |= _outdated(record, backward, found)
    backward.parallel |= {mark.parallel for mark in found if mark.parallel}
    if starts and not backward.kind[0]:  # not for a checkpointed part of the same graph
        _read_end(backward, starts[0], count)
        backward.direction = criterion.direction(starts[0])
        backward.spread = criterion.spread(starts[0])
        backward.attached = criterion.attached(starts[0])
    return found


def _read_nodes(
    record: Record, backward: Backward, starts: list[Node]
) -> tuple[list[graph.Mark], int]:
    """Note what every node of a graph tells; return the marks, and the number of nodes."""
    found: list[graph.Mark] = []
    count = 0
    for node in starts:
        graph.put_root(node, backward)
    for node in graph.nodes(starts):
        count += 1
        kind = graph.operation(node)
        if kind == graph.LEAF:
            _read_leaf(record, backward, graph.leaf_of(node))
            continue
        marks, scale, roots = graph.notes_of(node)
        found += marks
        backward.contains += [one for one in roots if one is not backward]
        if scale and backward.scale == 1:
            backward.scale = scale
            backward.loss = None if backward.loss is None else backward.loss / scale
        if kind in criterion.JUDGED:
            _judge(backward, node)
    if record.outsiders and not backward.leaves.isdisjoint(record.parameters):
        for key in backward.leaves & record.outsiders.keys():
            record.outsiders[key].beside = True
    ours = record.modules  # another watch may be on, and mark the same nodes
    return [mark for mark in found if ours.get(id(mark.module.module)) is mark.module], count


def _judge(backward: Backward, node: Node) -> None:
    """Note what a node tells of the loss: a criterion with a wrong input, a term times 0."""
    if backward.misfit is None:
        backward.misfit = criterion.misfit(node)
    if criterion.is_switched_off(node):
        backward.switched_off |= {id(leaf) for leaf in graph.leaves([node])}


def _read_leaf(record: Record, backward: Backward, leaf: Tensor | None) -> None:
    if leaf is None:
        return
    backward.leaves.add(id(leaf))
    if id(leaf) not in record.parameters and id(leaf) not in record.hidden:
        backward.other_leaves.append(tuple(leaf.shape))
        kept = isinstance(leaf, nn.Parameter) or id(leaf) in record.outsiders
        known = note_outsider(record, leaf) if kept and not record.spread else None
        if known is not None:
            known.backwards += 1


def note_outsider(record: Record, leaf: Tensor) -> Outsider | None:
    """The entry of a leaf outside of the model; None if there are too many, or it is sparse."""
    known = record.outsiders.get(id(leaf))
    if known is None or known.tensor() is not leaf:  # an id may be given again
        begun = elements(leaf, FEW)
        if begun is None or len(record.outsiders) >= MOST_KEPT:
            return None
        known = Outsider(weakref.ref(leaf), tuple(leaf.shape), begun)
        record.outsiders[id(leaf)] = known
    return known


def _read_end(backward: Backward, root: Node, count: int) -> None:
    """Read how a loss was reduced and divided in the end."""
    factor, node = criterion.factor(root)
    factor /= backward.scale
    backward.kind = (graph.operation(node), count, len(backward.leaves))
    if criterion.is_mean(node) and 0 < factor < 1:
        backward.divided = 1 / factor
    backward.tokens = criterion.tokens(node, factor)


def _outdated(record: Record, backward: Backward, marks: list[graph.Mark]) -> set[int]:
    """Indices of the optimizers that have stepped since the forward of their modules."""
    latest: dict[int, int] = {}  # optimizer index -> last forward of a module it trains
    for module, time, _, _ in marks:
        for index in module.trained_by:
            latest[index] = max(latest.get(index, 0), time)
            backward.earliest[index] = min(backward.earliest.get(index, time), time)
    stepped = {optimizer.index: optimizer.last_step for optimizer in record.optimizers}
    return {index for index, time in latest.items() if stepped[index] > time}
