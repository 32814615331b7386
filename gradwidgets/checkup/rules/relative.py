"""What several rules about sizes ask of the record."""

from __future__ import annotations

from gradwidgets.checkup.measure import is_finite, total
from gradwidgets.checkup.record import Reading, Seen, Step


def names_of(readings: list[Reading]) -> tuple[str, ...]:
    """The names of the parameters, once each."""
    return tuple(dict.fromkeys(reading.parameter.name for reading in readings))


def loss_before(step: Step, seen: Seen) -> float | None:
    """The last loss before a step, None where no backward had a number."""
    losses = [b.loss for b in seen.real_backwards if b.time < step.time and b.loss is not None]
    return losses[-1] if losses else None


def sensitivity(step: Step, seen: Seen) -> float | None:
    """|grad| |parameter| / |loss| as backward left them; None where the loss is unknown or zero."""
    readings, loss = step.judged, loss_before(step, seen)
    if not loss or not is_finite(loss):
        return None
    raw = total([r.raw if r.raw is not None else r.grad or 0.0 for r in readings])
    return raw * total([r.size for r in readings]) / abs(loss)
