"""Which backward calls every `.grad` holds, kept by looking at `.grad` at each event."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from gradwidgets.checkup import measure
from gradwidgets.checkup.anatomy import learning_rates
from gradwidgets.checkup.record import Backward, OptimizerSeen, Parameter, Reading, Seen
from gradwidgets.checkup.thresholds import LOST_SHARE

SAME = 1e-5  # relative difference of two norms below which nobody edited the gradient between them


class Ledger:
    """Keeps `Parameter.contents`: a backward adds itself, a clear empties it."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self._handles: dict[int, RemovableHandle] = {}
        self._current: Backward | None = None
        self._copies: dict[int, Tensor] = {}

    def open(self, parameter: Parameter) -> None:
        """Start with what is in `.grad` already: a step may have read it before the watch."""
        gradient = parameter.tensor.grad
        if gradient is not None:
            parameter.norm = measure.norm(gradient)
            if parameter.norm != 0:
                parameter.contents = [Backward(time=-1, root="earlier", applied=True)]

    def close(self) -> None:
        """Remove every hook."""
        for handle in self._handles.values():
            handle.remove()

    def before_backward(self, backward: Backward) -> None:
        """Hook parameters that require grad now: the flag may be toggled within the loop."""
        self._current = backward
        for key, parameter in self.seen.parameters.items():
            tensor: Any = parameter.tensor  # torch leaves the registration untyped
            if key not in self._handles and tensor.requires_grad and tensor.is_leaf:
                handle = tensor.register_post_accumulate_grad_hook(self._hook(parameter))
                self._handles[key] = handle

    def _hook(self, parameter: Parameter) -> Callable[[Tensor], None]:
        def received(tensor: Tensor) -> None:
            if self._current is None:
                return
            parameter.ever_written = True
            self._current.reached.add(id(tensor))
            if tensor.grad is None:  # a hook before ours has stepped and cleared already
                self._current.applied = True
            elif self._current not in parameter.contents:
                parameter.contents.append(self._current)

        return received

    def after_backward(self) -> None:
        """Note the norms that backward left, and a parameter by which to notice use by hand."""
        backward, self._current = self._current, None
        holders = self._holders()
        found = measure.norms([gradient for _, gradient in holders])
        for (parameter, gradient), value in zip(holders, found, strict=True):
            parameter.norm = parameter.raw_norm = value
            parameter.raw_address = measure.address(gradient)
            if backward and not math.isfinite(value) and id(parameter.tensor) in backward.reached:
                backward.non_finite.append(parameter.name)
        if backward:
            reached = [p for p, _ in holders if backward in p.contents]
            if reached:
                smallest = min(reached, key=lambda p: p.tensor.numel()).tensor
                backward.witness = smallest, measure.norm(smallest)

    def _holders(self) -> list[tuple[Parameter, Tensor]]:
        pairs = ((p, p.tensor.grad) for p in self.seen.parameters.values())
        return [(parameter, gradient) for parameter, gradient in pairs if gradient is not None]

    def settle(self, now: int, zero_is_clear: bool = True) -> bool:
        """Notice what was done to `.grad` since the last event; True if something was cleared.

        Args:
            now: The time of this event.
            zero_is_clear: Read a zero gradient as cleared; at a step one may be truly zero.
        """
        holders = self._holders()
        found = measure.norms([gradient for _, gradient in holders])
        by_id = {id(holder): value for (holder, _), value in zip(holders, found, strict=True)}
        any_cleared = False
        for parameter in self.seen.parameters.values():
            value = by_id.get(id(parameter))
            if not value and (value is None or zero_is_clear or parameter.norm):
                any_cleared |= bool(parameter.contents and parameter.norm)
                self._clear(parameter)
            elif value and self._assigned(parameter, value):
                parameter.contents = [Backward(time=now, root="hand")]
                parameter.ever_written = True
                parameter.raw_norm = None
            parameter.norm = value
        return any_cleared

    @staticmethod
    def _assigned(parameter: Parameter, value: float) -> bool:
        """Whether `.grad` was written by hand: out of nothing, or over what had been read."""
        if not parameter.contents:
            return True
        edited = parameter.norm is None or not math.isclose(value, parameter.norm, rel_tol=SAME)
        return edited and all(backward.applied for backward in parameter.contents)

    @staticmethod
    def _clear(parameter: Parameter) -> None:
        for backward in parameter.contents:
            if not backward.applied:
                backward.cleared = True
                if backward.witness:
                    tensor, before = backward.witness
                    backward.used_by_hand |= measure.norm(tensor) != before
        parameter.contents = []

    def readings(self, optimizer: OptimizerSeen, measured: bool) -> list[Reading]:
        """What a step of this optimizer reads, at this moment; sizes only if `measured`."""
        groups = optimizer.optimizer.param_groups
        rows = [
            (self.seen.parameters[id(tensor)], lr)
            for group, lr in zip(groups, learning_rates(optimizer.optimizer), strict=True)
            for tensor in group["params"]
            if id(tensor) in self.seen.parameters
        ]
        if measured or any(parameter.size is None for parameter, _ in rows):
            sizes = measure.norms([parameter.tensor for parameter, _ in rows])
            for (parameter, _), size in zip(rows, sizes, strict=True):
                parameter.size = size
        for parameter, _ in rows:
            self._note_replacement(parameter)
        return [
            Reading(
                parameter=parameter,
                lr=lr,
                requires_grad=parameter.tensor.requires_grad,
                grad=parameter.norm,
                raw=parameter.raw_norm if parameter.contents else None,
                size=parameter.size or 0.0,
                new=sum(b.time > optimizer.last_step for b in parameter.contents),
                old=sum(b.time <= optimizer.last_step for b in parameter.contents),
            )
            for parameter, lr in rows
        ]

    def _note_replacement(self, parameter: Parameter) -> None:
        """A gradient put together by hand has used the backward calls that were cleared for it.

        It is another tensor than backward left, or it has grown: clipping only shrinks.
        """
        gradient, key = parameter.tensor.grad, id(parameter.tensor)
        if gradient is None:
            return
        grown = (parameter.norm or 0.0) > (1 + SAME) * (parameter.raw_norm or math.inf)
        if grown or measure.address(gradient) != parameter.raw_address:
            for backward in self.seen.backwards:
                backward.used_by_hand |= backward.cleared and key in backward.reached

    def applied(self, parameters: Iterable[Parameter]) -> None:
        """A step has read these gradients."""
        for parameter in parameters:
            for backward in parameter.contents:
                backward.applied = True

    def skipped(self, optimizer: OptimizerSeen) -> None:
        """A GradScaler has looked at these gradients and skipped the step."""
        for parameter in self.seen.trained_by(optimizer):
            for backward in parameter.contents:
                backward.used_by_hand = True

    def unscaled(self, optimizer: OptimizerSeen, scale: float) -> None:
        """A GradScaler has divided these gradients; that is no edit."""
        for parameter in self.seen.trained_by(optimizer):
            if parameter.raw_norm is not None:
                parameter.raw_norm /= scale

    @torch.no_grad()
    def copies(self, readings: list[Reading], fresh: bool) -> list[Tensor]:
        """The parameters as they are; written over those of the last step, unless `fresh`."""
        copies = []
        for tensor in (reading.parameter.tensor for reading in readings):
            known = self._copies.get(id(tensor))
            if fresh or known is None or (known.shape, known.dtype) != (tensor.shape, tensor.dtype):
                known = self._copies[id(tensor)] = tensor.clone()
            else:
                known.copy_(tensor)
            copies.append(known)
        return copies

    @torch.no_grad()
    def changed(self, readings: list[Reading], before: list[Tensor]) -> None:
        """Fill in what the step did to each parameter; `before` is overwritten."""
        after = [reading.parameter.tensor for reading in readings]
        for reading, value in zip(readings, measure.changes(before, after), strict=True):
            reading.change = value
        for reading, change in zip(readings, before, strict=True):
            gradient = reading.parameter.tensor.grad
            if not reading.change:
                reading.stuck = bool(reading.grad)
            elif gradient is not None and change.dtype in measure.HALVES:
                reading.stuck = measure.is_stuck(change, gradient, LOST_SHARE)
