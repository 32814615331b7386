"""What the graph below a loss tells, entered into the record before backward frees it."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from gradwidgets.checkup import anatomy, graph
from gradwidgets.checkup.measure import is_finite
from gradwidgets.checkup.record import Backward, Seen


def read_loss(seen: Seen, backward: Backward, roots: list[Any], modules: list[nn.Module]) -> None:
    """Fill in a backward call from the tensors that it starts from."""
    tensors = [root for root in roots if isinstance(root, Tensor)]
    starts = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]
    if not starts and backward.root == "graph":
        backward.root = "leaf" if any(t.requires_grad for t in tensors) else "nothing"
    if len(tensors) == len(roots) == 1 and tensors[0].numel() == 1:
        backward.loss = float(tensors[0].detach())
        _locate_non_finite(seen, backward.loss)
    notes: list[graph.Mark] = []
    for node in graph.nodes(starts):
        notes += graph.marks(node)
        leaf = None if node.next_functions else graph.leaf_of(node)
        if leaf is not None:
            backward.leaves.add(id(leaf))
            if id(leaf) not in seen.parameters and id(leaf) not in seen.hidden:
                backward.other_leaves.append(tuple(leaf.shape))
    _read_notes(seen, backward, notes)
    _read_modes(backward, notes, modules)
    if starts:
        backward.direction = graph.direction(starts[0])
        backward.spread = graph.spread_prediction(starts[0])


def _read_notes(seen: Seen, backward: Backward, notes: list[graph.Mark]) -> None:
    """Which modules the loss depends on, and whether their parameters have changed since."""
    latest: dict[int, int] = {}  # by optimizer, the last forward of a module it trains
    for note in notes:
        for tensor in anatomy.own_parameters(note.module.module):
            parameter = seen.parameters.get(id(tensor))
            for optimizer in parameter.optimizers if parameter else ():
                latest[optimizer.index] = max(latest.get(optimizer.index, 0), note.time)
    for module in {note.module for note in notes}:
        module.reached += 1
    stepped = {optimizer.index: optimizer.last_step for optimizer in seen.optimizers}
    backward.outdated |= {index for index, time in latest.items() if stepped[index] > time}


def _read_modes(backward: Backward, notes: list[graph.Mark], modules: list[nn.Module]) -> None:
    """Which modules were in eval mode and should not have been."""
    in_eval = [note.module.module for note in notes if not note.training]
    if in_eval:
        inside = {id(part) for module in in_eval for part in module.modules()}
        forgotten = anatomy.forgotten_in_eval(modules)
        backward.eval_modules |= {path for key, path in forgotten.items() if key in inside}


def _locate_non_finite(seen: Seen, loss: float) -> None:
    """Find the first layer whose input or output was not finite, now that the loss is not."""
    if math.isfinite(loss) or (math.isinf(loss) and seen.scaler_used):
        return
    for module in seen.execution:
        if not all(is_finite(float(value)) for value in module.input_magnitudes):
            seen.note_non_finite(f"input of {module.name}")
    for module in seen.execution:
        if module.output_magnitude is not None and not is_finite(float(module.output_magnitude)):
            seen.note_non_finite(f"output of {module.name}")
    seen.note_non_finite("loss, after finite outputs of every layer")
