"""Tracks the backward calls summed in each `.grad`, by looking at `.grad` at each event."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.hooks import RemovableHandle

from gradwidgets.checkup.record import Backward, OptimizerSeen, Parameter, Record
from gradwidgets.checkup.tensors import Sample, address, adds_something, elements, nonzero, norms
from gradwidgets.checkup.thresholds import FEW, MOST_KEPT, SAME


class GradientLog:
    """Maintains `Parameter.contents`: each backward is added, a clear empties it."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._handles: dict[int, RemovableHandle] = {}
        self._current: Backward | None = None
        self._thrown_away: list[Backward] = []  # cleared unread, and not known to be used

    def open(self, parameter: Parameter) -> None:
        """Start with what is already in `.grad`: a step may have read it before the watch."""
        gradient = parameter.tensor.grad
        if gradient is not None:
            parameter.norm = norms([gradient])[0]
            if parameter.norm != 0:
                parameter.contents = [Backward(time=-1, root="earlier", applied=True)]

    def close(self) -> None:
        """Remove every hook."""
        for handle in self._handles.values():
            handle.remove()

    def before_backward(self, backward: Backward) -> None:
        """Hook parameters that require grad now: the flag may be toggled within the loop."""
        self._current = backward
        for key, parameter in self._record.parameters.items():
            tensor: Any = parameter.tensor  # torch leaves the registration untyped
            if key not in self._handles and tensor.requires_grad and tensor.is_leaf:
                handle = tensor.register_post_accumulate_grad_hook(self._hook(parameter))
                self._handles[key] = handle

    def _hook(self, parameter: Parameter) -> Callable[[Tensor], None]:
        key = id(parameter.tensor)

        def received(tensor: Tensor) -> None:
            current = self._current
            if current is None:
                return
            if tensor.grad is None and len(_hooks_of(tensor)) == 1:
                current.refused.add(key)
                return
            parameter.ever_written = True
            current.reached.add(key)
            if tensor.grad is None:  # an earlier hook has already stepped and cleared
                current.applied = True
            elif current not in parameter.contents:
                parameter.contents.append(current)

        return received

    def after_backward(self) -> None:
        """Note the norms that backward left, and what is needed to notice use by hand."""
        backward, self._current = self._current, None
        if backward is None:
            return
        reached = [self._record.parameters[key] for key in backward.reached]
        for parameter in reached:
            parameter.norm = parameter.raw_norm = parameter.raw_nonzero = None
            parameter.raw_address = parameter.raw_elements = None
        due = [p for one in self._record.optimizers if one.measures_next for p in one.parameters]
        measured = [p for p in due if backward in p.contents and p.tensor.grad is not None]
        found = norms([p.tensor.grad for p in measured if p.tensor.grad is not None])
        for parameter, value in zip(measured, found, strict=True):
            parameter.norm = parameter.raw_norm = value
            parameter.raw_nonzero = nonzero(parameter.tensor)
            if not math.isfinite(value):
                backward.non_finite.append(parameter.name)
        self._remember(backward, reached)

    def _remember(self, backward: Backward, reached: list[Parameter]) -> None:
        """Keep enough to notice later that parameters or gradients were written by hand."""
        for parameter in reached if self._thrown_away else ():
            gradient = parameter.tensor.grad
            if gradient is not None:
                parameter.raw_address = address(gradient)
                parameter.raw_elements = elements(gradient, FEW)
        if reached:
            smallest = min([parameter.tensor for parameter in reached], key=Tensor.numel)
            backward.witness = Sample(smallest, most=FEW)

    def look(self, parameters: Sequence[Parameter], now: int, zero_is_clear: bool = True) -> bool:
        """Notice what was done to `.grad` since the last event; True if something was cleared.

        A gradient overwritten by other values is edited, not cleared.

        Args:
            parameters: The parameters whose gradients are checked.
            now: The time of this event.
            zero_is_clear: Treat zero as cleared; at a step a gradient may really be zero.
        """
        gradients = [parameter.tensor.grad for parameter in parameters]
        held = [gradient for gradient in gradients if gradient is not None]
        if not held and not any(p.contents or p.norm for p in parameters):
            return False
        found = iter(norms(held))
        any_cleared = False
        for parameter, gradient in zip(parameters, gradients, strict=True):
            value = None if gradient is None else next(found)
            if not value and (value is None or zero_is_clear or parameter.norm):
                any_cleared |= bool(parameter.contents) and parameter.norm != 0
                self._clear(parameter)
            elif value and self._assigned(parameter, value):
                parameter.contents = [Backward(time=now, root="hand")]
                parameter.ever_written = True
                parameter.raw_norm = None
            parameter.norm = value
        return any_cleared

    @staticmethod
    def _assigned(parameter: Parameter, value: float) -> bool:
        """True if `.grad` was written by hand: into an empty one, or over one already read."""
        if not parameter.contents:
            return True
        if not all(backward.applied for backward in parameter.contents):
            return False
        if parameter.norm is None or math.isnan(value):
            return parameter.norm is None or not math.isnan(parameter.norm)
        return not math.isclose(value, parameter.norm, rel_tol=SAME)

    def _clear(self, parameter: Parameter) -> None:
        for backward in parameter.contents:
            if backward.applied or backward.root != "graph":
                continue
            if not backward.cleared:
                backward.cleared = True
                self._thrown_away = [*self._thrown_away[-MOST_KEPT:], backward]
            if backward.witness is not None:
                backward.used_by_hand |= backward.witness.has_moved()
        parameter.contents = []

    def note_use_by_hand(self, parameters: Iterable[Parameter]) -> None:
        """Mark cleared backward calls that a gradient assembled by hand may have used."""
        if not self._thrown_away:
            return
        for parameter in parameters:
            if self._is_put_together(parameter):
                for backward in self._thrown_away:
                    backward.used_by_hand |= id(parameter.tensor) in backward.reached
        self._thrown_away = [b for b in self._thrown_away if not b.used_by_hand]

    @staticmethod
    def _is_put_together(parameter: Parameter) -> bool:
        """True if `.grad` was assigned, replaced by another tensor, or had something added.

        Scaling, clipping and masking add nothing.
        """
        gradient = parameter.tensor.grad
        if gradient is None:
            return False
        if any(backward.root == "hand" for backward in parameter.contents):
            return True
        if parameter.raw_address is not None and address(gradient) != parameter.raw_address:
            return True
        before = parameter.raw_elements
        return before is not None and adds_something(before, elements(gradient, FEW))

    def applied(self, optimizer: OptimizerSeen, now: int) -> None:
        """Note that a step has read its gradients."""
        for backward in {one for p in optimizer.parameters for one in p.contents}:
            backward.applied = True
            backward.applied_by.setdefault(optimizer.index, now)
            backward.witness = None

    def skipped(self, parameters: Iterable[Parameter]) -> bool:
        """Note that a GradScaler has checked these gradients and skipped the step.

        Returns:
            True if some of them had been skipped before and were not cleared since.
        """
        held = {backward for parameter in parameters for backward in parameter.contents}
        again = {backward for backward in held if backward.skips}
        for backward in held:
            backward.used_by_hand = True
            backward.skips += 1
        return bool(again) and again != held

    def clipped(self, parameters: Iterable[Parameter], now: int, to_zero: bool) -> None:
        """Note that clipping makes these gradients smaller; zero does not mean cleared then."""
        for parameter in parameters:
            if to_zero and parameter.norm is not None:
                parameter.norm = 0.0
            for backward in parameter.contents:
                backward.clipped = backward.clipped or now

    @staticmethod
    def measure(parameters: Sequence[Parameter]) -> None:
        """Measure gradients again: that they are others now is no news."""
        held = [parameter for parameter in parameters if parameter.tensor.grad is not None]
        found = norms([p.tensor.grad for p in held if p.tensor.grad is not None])
        for parameter, value in zip(held, found, strict=True):
            parameter.norm = value

    def unscaled(self, parameters: Iterable[Parameter], scale: float) -> None:
        """Divide the raw norms as a GradScaler did the gradients: that is not an edit."""
        for parameter in parameters:
            if parameter.raw_norm is not None:
                parameter.raw_norm /= scale
            for backward in parameter.contents:
                backward.unscaled, backward.unscaled_by = True, scale


def _hooks_of(tensor: Any) -> dict[int, Any]:
    """The hooks that run when a gradient has been accumulated: ours, and those of the user."""
    return tensor._post_accumulate_grad_hooks or {}
