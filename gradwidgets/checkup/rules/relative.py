"""Sizes relative to the parameters' own, which every rule about sizes compares with a threshold."""

from __future__ import annotations

import math

from gradwidgets.checkup import thresholds as limit
from gradwidgets.checkup.measure import is_finite, total
from gradwidgets.checkup.record import Reading, Seen, Step


def judged(step: Step) -> list[Reading]:
    """The readings whose size means something: matrices, where there are any."""
    usable = [
        r
        for r in step.readings
        if r.grad is not None and is_finite(r.grad) and is_finite(r.change or 0.0)
    ]
    return [r for r in usable if r.parameter.is_matrix] or usable


def reference(reading: Reading) -> float:
    """The parameter's norm, or that of a usual initialisation of its shape if it is smaller."""
    tensor = reading.parameter.tensor
    fan_in = tensor.numel() / max(tensor.shape[0], 1) if tensor.dim() > 1 else 1.0
    typical = limit.TYPICAL_SIZE * math.sqrt(tensor.numel() / max(fan_in, 1.0))
    return max(reading.size, typical) or 1.0


def gradient(step: Step) -> float:
    """|grad| / |parameter| of a whole step."""
    readings = judged(step)
    size = total([reference(r) for r in readings])
    return total([r.grad or 0.0 for r in readings]) / size if size else 0.0


def names_of(readings: list[Reading]) -> tuple[str, ...]:
    """The names of the parameters, once each."""
    return tuple(dict.fromkeys(reading.parameter.name for reading in readings))


def loss_before(step: Step, seen: Seen) -> float | None:
    """The last loss before a step, None where no backward had a number."""
    losses = [b.loss for b in seen.real_backwards if b.time < step.time and b.loss is not None]
    return losses[-1] if losses else None


def sensitivity(step: Step, seen: Seen) -> float | None:
    """|grad| |parameter| / |loss| as backward left them; None where the loss is unknown or zero."""
    readings, loss = judged(step), loss_before(step, seen)
    if not loss or not is_finite(loss):
        return None
    raw = total([r.raw if r.raw is not None else r.grad or 0.0 for r in readings])
    return raw * total([r.size for r in readings]) / abs(loss)


def relative_change(reading: Reading) -> float:
    """|update| / |parameter| of one parameter."""
    return (reading.change or 0.0) / reference(reading)
