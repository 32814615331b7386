"""What one step of an optimizer reads, and what it does with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradwidgets.checkup import measure
from gradwidgets.checkup.anatomy import learning_rates
from gradwidgets.checkup.record import OptimizerSeen, Parameter, Reading, Seen, Step
from gradwidgets.checkup.sample import Sample, changes
from gradwidgets.checkup.thresholds import LOST_SHARE


@dataclass(eq=False)
class OpenStep:
    """A step under way."""

    optimizer: OptimizerSeen
    lrs: list[float]
    readings: list[Reading]
    samples: list[Sample]  # of the parameters before it; empty where it is not measured


def begin(seen: Seen, optimizer: OptimizerSeen) -> OpenStep:
    """Measure what a step is about to read, and remember what it is about to change."""
    measured = optimizer.measures_next
    lrs = learning_rates(optimizer.optimizer)
    rows = _rows(seen, optimizer, lrs)
    if measured or any(parameter.size is None for parameter, _ in rows):
        sizes = measure.norms([parameter.tensor for parameter, _ in rows])
        for (parameter, _), size in zip(rows, sizes, strict=True):
            parameter.size = size
    held = [parameter.tensor for parameter, _ in rows] if measured else []
    samples = [Sample(tensor, tensor.grad) for tensor in held]
    return OpenStep(optimizer, lrs, [_reading(optimizer, *row) for row in rows], samples)


def _rows(seen: Seen, optimizer: OptimizerSeen, lrs: list[float]) -> list[tuple[Parameter, float]]:
    return [
        (seen.parameters[id(tensor)], lr)
        for group, lr in zip(optimizer.optimizer.param_groups, lrs, strict=True)
        for tensor in group["params"]
        if id(tensor) in seen.parameters
    ]


def _reading(optimizer: OptimizerSeen, parameter: Parameter, lr: float) -> Reading:
    held = parameter.contents
    new = sum([backward.time > optimizer.last_step for backward in held])
    return Reading(
        parameter=parameter,
        lr=lr,
        requires_grad=parameter.tensor.requires_grad,
        grad=parameter.norm,
        raw=parameter.raw_norm if held else None,
        size=parameter.size or 0.0,
        new=new,
        old=len(held) - new,
    )


def read_again(seen: Seen, step: OpenStep) -> None:
    """A closure has made the gradient within the step; only the sizes are from before."""
    before, rows = step.readings, _rows(seen, step.optimizer, step.lrs)
    step.readings = [_reading(step.optimizer, *row) for row in rows]
    for reading, earlier in zip(step.readings, before, strict=True):
        reading.size = earlier.size


def end(step: OpenStep, now: int) -> Step:
    """Measure what the step did."""
    if step.samples:
        for reading, change in zip(step.readings, changes(step.samples), strict=True):
            reading.change = change
        for reading, sample in zip(step.readings, step.samples, strict=True):
            _compare(reading, sample)
    groups = step.optimizer.optimizer.param_groups
    return Step(
        time=now,
        optimizer=step.optimizer,
        lrs=step.lrs,
        maximize=any(bool(group.get("maximize")) for group in groups),
        readings=step.readings,
        measured=bool(step.samples),
    )


def _compare(reading: Reading, sample: Sample) -> None:
    """Tell updates lost to rounding, from the sample of the differences."""
    gradient = reading.parameter.tensor.grad
    half = sample.before.dtype in measure.HALVES
    if gradient is None or not reading.grad or (reading.change and not half):
        return
    pushed = sample.before[sample.pushed(gradient)]
    if pushed.numel():
        share = float((pushed == 0).double().mean())
        reading.stuck = share >= LOST_SHARE if half else share == 1
    elif not reading.change:
        reading.change = None  # what moves is not in the sample


def edit(readings: list[Reading]) -> str | None:
    """What became of the gradient's norm since backward, if anything."""
    both = [(r.raw, r.grad) for r in readings if r.raw is not None and r.grad is not None]
    raw, read = measure.total([raw for raw, _ in both]), measure.total([grad for _, grad in both])
    if math.isfinite(raw) and not math.isclose(raw, read, rel_tol=1e-3):
        return f"norm {raw:.2g} to {read:.2g}"
    return None


def note_non_finite(seen: Seen, readings: list[Reading]) -> None:
    """The first gradient or parameter that is not finite."""
    for reading in readings:
        if reading.grad is not None and not measure.is_finite(reading.grad):
            seen.note_non_finite(f"gradient of {reading.parameter.name}")
        elif not measure.is_finite(reading.change or 0.0):
            seen.note_non_finite(f"parameter {reading.parameter.name}, after a step")
