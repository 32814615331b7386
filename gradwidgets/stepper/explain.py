"""Explain in plain words the errors of PyTorch, and the lines that have no effect."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

import torch
from torch import Tensor

from gradwidgets.stepper.snapshot import COPY, Entries, Entry, Failure

EXPLANATIONS: tuple[tuple[str, str], ...] = (
    (
        "backward through the graph a second time",
        "backward() frees the graph it has walked. This loss has been walked already: compute "
        "it again with a forward pass before you call backward() again.",
    ),
    (
        "modified by an inplace operation",
        "The parameters were changed after this loss was computed: a step lies between its "
        "forward pass and its backward(). The values that backward() needs are gone.",
    ),
    (
        "does not require grad and does not have a grad_fn",
        "This loss does not hang on any parameter by a graph, so there is nothing to "
        "differentiate. Look for no_grad(), detach() or item() on the way to it.",
    ),
    (
        "grad can be implicitly created only for scalar",
        "backward() starts from one number. End the loss with .mean() or .sum().",
    ),
    (
        r"name '(loss|output)'",
        "There is no loss yet: the forward pass that computes it is switched off or comes later.",
    ),
    (
        r"'?(mean|total|seen|evaluated|loss|xk|yk|closure)'?.*(not defined|not associated"
        r"|referenced before)",
        "This line uses a name that no line above has assigned: that line is switched off or "
        "comes later.",
    ),
    (
        "'NoneType' object (has no attribute|does not support|is not subscriptable)",
        "A .grad is None here: no backward() has written to it since it was cleared.",
    ),
    (
        "float.*argument must be.*not 'NoneType'",
        "The closure returned nothing, but the optimizer needs its loss: `return` is missing.",
    ),
    ("division by zero", "Nothing has been counted yet, so there is no mean to take."),
    ("list index out of range", "The list is still empty: no line above has put anything in it."),
    ("'break' outside loop", "`break` leaves a loop; within a function there is none."),
    ("'return' outside function", "`return` leaves a function; out here there is none."),
    (
        "shapes cannot be multiplied|size of tensor .* must match",
        "Two tensors have sizes that do not fit together; compare their shapes.",
    ),
)
"""(pattern of the message, its meaning); the first that fits counts."""
UNKNOWN = "The program stops here. Everything the lines above did stays as it is."


def failed(error: Exception) -> Failure:
    """The error that was raised, with the explanation from the table."""
    message = str(error)
    fitting = (words for pattern, words in EXPLANATIONS if re.search(pattern, message))
    return Failure(type(error).__name__, message, next(fitting, UNKNOWN))


def remark(executed: Sequence[str], before: Entries, changed: Set[Entry]) -> str | None:
    """One sentence on a line that PyTorch accepts in silence, but that is rarely meant.

    Args:
        executed: the texts of the statements executed in this update, in their order.
        before: every number before the last of them.
        changed: the numbers that it changed.
    """
    if not executed:
        return None
    *earlier, text = executed
    last = _last(earlier)
    grads = [tensor for (_, part), tensor in before.items() if part == "grad"]
    some = [grad for grad in grads if grad is not None]
    moved = any(part in ("value", COPY) for _, part in changed)
    if "scaler.step" in text and not moved and not all(map(_finite, some)):
        return "The scaler skipped the step: a gradient is not finite."
    if "optimizer.step" in text or "scaler.step" in text:
        return _remark_on_step(last, bool(some), moved)
    if "scheduler.step" in text:
        return _remark_on_schedule(earlier)
    if "zero_grad" in text and last == "backward" and some:
        return "These gradients are gone before any step has used them."
    first = ".backward()" in text and last in (None, "step")
    if first and any(bool((grad != 0).any()) for grad in some):
        return ".grad still held earlier gradients; backward() has added to them."
    return None


def _remark_on_step(last: str | None, gradients: bool, moved: bool) -> str | None:
    if moved and last == "step":
        return "The gradients have been used before: the same step is made again."
    if moved:
        return None
    if not gradients:
        return "Nothing moved: every .grad is None, and step() leaves such parameters alone."
    return "Nothing moved: the gradients, or the learning rate, are too small or zero."


def _finite(gradient: Tensor) -> bool:
    return bool(torch.isfinite(gradient).all())


def _remark_on_schedule(earlier: Sequence[str]) -> str | None:
    """A scheduler is stepped once an update, after the optimizer."""
    if any("scheduler.step" in text for text in earlier):
        return "The schedule has moved on already in this update: it is now ahead of the updates."
    if not any("optimizer.step" in text or "scaler.step" in text for text in earlier):
        return "This update's optimizer.step() comes later: it will use the next update's lr."
    return None


def _last(earlier: Sequence[str]) -> str | None:
    """The last of the calls that use or change gradients."""
    for text in reversed(earlier):
        for call in (".backward", "optimizer.step", "scaler.step", ".zero_grad"):
            if f"{call}(" in text:
                return call.split(".")[1]
    return None
