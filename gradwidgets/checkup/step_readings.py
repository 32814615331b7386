"""Readings of one optimizer step: the gradients it reads, and the changes it makes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gradwidgets.checkup.record import (
    Backward,
    Escape,
    OptimizerSeen,
    Parameter,
    Reading,
    Record,
    Step,
    norms_around_edit,
)
from gradwidgets.checkup.tensors import HALVES, Sample, changes, has_equal_rows, norms
from gradwidgets.checkup.thresholds import (
    EDITED,
    FEW,
    LOST_SHARE,
    MASK_ELEMENTS,
    MASK_STEPS,
    MASK_STEPS_WHOLE,
    OVERWRITTEN,
)


@dataclass(eq=False)
class OpenStep:
    """A step that has begun and not ended."""

    optimizer: OptimizerSeen
    lrs: list[float]
    readings: list[Reading]
    samples: list[Sample]  # of the parameters before the step; empty if it is not measured
    read: list[Backward]
    in_scaler: bool


def begin(record: Record, optimizer: OptimizerSeen, in_scaler: bool) -> OpenStep:
    """Read the gradients before a step, and sample the parameters it will change."""
    measured = optimizer.measures_next
    lrs = optimizer.learning_rates
    rows = _rows(record, optimizer, lrs)
    if measured or any(parameter.size is None for parameter, _ in rows):
        sizes = norms([parameter.tensor for parameter, _ in rows])
        for (parameter, _), size in zip(rows, sizes, strict=True):
            parameter.size = size
    held = [parameter.tensor for parameter, _ in rows] if measured else []
    samples = [Sample(tensor, tensor.grad) for tensor in held]
    readings = [_reading(optimizer, *row) for row in rows]
    for reading, sample in zip(readings, samples, strict=False):
        _look_back(reading, sample, optimizer.steps)
        if reading.parameter.alike:
            reading.alike = reading.parameter.alike = has_equal_rows(reading.parameter.tensor.grad)
    for parameter, _ in rows:
        if parameter.escape is not None:
            parameter.escape.settle()
            parameter.escape = None
    step = OpenStep(optimizer, lrs, readings, samples, _read(optimizer), in_scaler)
    if in_scaler:
        _unscale(step)
    return step


def _unscale(step: OpenStep) -> None:
    """Divide the norms by a scale that the optimizer itself takes out (a fused one does)."""
    scale = max((b.scale for b in step.read if not b.unscaled), default=1.0)
    for reading in step.readings:
        reading.grad = None if reading.grad is None else reading.grad / scale
        reading.raw = None if reading.raw is None else reading.raw / scale


def _rows(
    record: Record, optimizer: OptimizerSeen, lrs: list[float]
) -> list[tuple[Parameter, float]]:
    return [
        (record.parameters[id(tensor)], lr)
        for group, lr in zip(optimizer.optimizer.param_groups, lrs, strict=True)
        for tensor in group["params"]
        if id(tensor) in record.parameters
    ]


def _reading(optimizer: OptimizerSeen, parameter: Parameter, lr: float) -> Reading:
    held = parameter.contents
    new = len([backward for backward in held if backward.time > optimizer.last_step])
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


def _read(optimizer: OptimizerSeen) -> list[Backward]:
    """The backward calls that a step reads for the first time: the most of any parameter."""
    fullest = max((p.contents for p in optimizer.parameters), key=len, default=[])
    new = [b for b in fullest if b.time > optimizer.last_step]
    if len(new) == len(fullest):
        return new
    others = ([b for b in p.contents if b.time > optimizer.last_step] for p in optimizer.parameters)
    return max(others, key=len)


def read_again(record: Record, step: OpenStep) -> None:
    """Read the gradients that a closure computed; keep the sizes from before the step."""
    before, rows = step.readings, _rows(record, step.optimizer, step.lrs)
    step.readings = [_reading(step.optimizer, *row) for row in rows]
    step.read = _read(step.optimizer)
    for reading, earlier in zip(step.readings, before, strict=True):
        reading.size = earlier.size


def end(step: OpenStep, now: int) -> Step:
    """Measure what the step changed, and return its record."""
    if step.samples:
        for reading, change in zip(step.readings, changes(step.samples), strict=True):
            reading.change = change
        for reading, sample in zip(step.readings, step.samples, strict=True):
            _compare(reading, sample)
            _look_for_mask(reading, sample)
            moved = reading.parameter.before is not None
            at = step.optimizer.steps  # counted by now
            reading.parameter.after = (at, _few(sample, sample.now()).clone()) if moved else None
        step.optimizer.look_again = any(
            r.parameter.escape and r.parameter.masked < MASK_STEPS_WHOLE for r in step.readings
        )
    groups = step.optimizer.optimizer.param_groups
    own = not type(step.optimizer.optimizer).__module__.startswith("torch.")
    return Step(
        time=now,
        optimizer=step.optimizer,
        lrs=step.lrs,
        maximize=any(bool(group.get("maximize")) for group in groups),
        readings=step.readings,
        measured=bool(step.samples),
        read=step.read,
        in_scaler=step.in_scaler,
        uphill=_uphill(step) if own and step.samples else None,
    )


def _uphill(step: OpenStep) -> float | None:
    """The cosine between what a step changed and the gradient that it read, over the samples.

    These hold differences, before minus after, by now.
    """
    product = moved = pushed = 0.0
    for reading, sample in zip(step.readings, step.samples, strict=True):
        gradient = reading.parameter.tensor.grad
        read = None if gradient is None else sample.of(gradient)
        if gradient is None or read is None or read.is_complex():
            continue
        if not math.isclose(norms([gradient])[0], reading.grad or 0.0, rel_tol=EDITED):
            return None  # the step has used it to compute its update in it
        change, gradients = -sample.before.double(), read.double()
        product += float((change * gradients).sum())
        moved += float(change.square().sum())
        pushed += float(gradients.square().sum())
    return product / math.sqrt(moved * pushed) if moved * pushed > 0 else None


def _compare(reading: Reading, sample: Sample) -> None:
    """Detect updates lost to rounding; the sample holds differences by now."""
    gradient = reading.parameter.tensor.grad
    half = sample.before.dtype in HALVES
    if gradient is None or not reading.grad or (reading.change and not half):
        return
    pushed = sample.before[sample.pushed(gradient)]
    if pushed.numel():
        share = float((pushed == 0).double().mean())
        reading.stuck = share >= LOST_SHARE if half else share == 1
    elif not reading.change:
        reading.change = None  # elements that moved are not in the sample


def _few(sample: Sample, elements: Tensor) -> Tensor:
    return elements[:: max(1, sample.before.numel() // FEW)]


def _look_back(reading: Reading, sample: Sample, steps: int) -> None:
    """Notice that the elements which the last measured step moved are again as before it.

    Or that the loop has changed them since in another way, if that step was the last one.
    """
    parameter = reading.parameter
    before, now = parameter.before, _few(sample, sample.before).clone()
    reading.returned = before is not None and torch.equal(before, now)
    if before is not None and parameter.after is not None and before.shape == now.shape:
        at, after = parameter.after
        if at == steps:
            _compare_with_last(reading, before, after, now)
    parameter.before = now


def _compare_with_last(reading: Reading, before: Tensor, after: Tensor, now: Tensor) -> None:
    if torch.equal(after, now):
        reading.kept = 1.0
        return
    moved = float((after - before).abs().double().norm())
    reading.kept = float((now - before).abs().double().norm()) / moved if moved else None
    usual = reading.parameter.typical_size / math.sqrt(max(reading.parameter.tensor.numel(), 1))
    size = max(float(after.abs().double().norm()), usual * math.sqrt(now.numel()))
    written = float((now - after).abs().double().norm())
    reading.overwritten = written > OVERWRITTEN * size and not bool((now == after).any())


def _look_for_mask(reading: Reading, sample: Sample) -> None:
    """Notice elements whose gradient was set to zero, and that moved all the same.

    The sample holds differences by now.
    """
    parameter = reading.parameter
    if not reading.change or not _few(sample, sample.before).any():
        parameter.before = None  # nothing to see when they come back
    raw, gradient = parameter.raw_nonzero, parameter.tensor.grad
    if reading.raw == reading.grad and not parameter.tensor._backward_hooks:
        parameter.mask = None  # nobody has edited it
        return
    read = None if gradient is None else sample.of(gradient)
    if raw is None or read is None or raw.shape != read.shape:
        return
    mask = raw & (read == 0)
    if not mask.any():
        parameter.mask = None
        return
    same = parameter.mask is not None and torch.equal(mask, parameter.mask)
    parameter.masked = parameter.masked + 1 if same else 1
    reading.masked_again = mask.numel() >= MASK_ELEMENTS and parameter.masked >= (
        MASK_STEPS_WHOLE if mask.all() else MASK_STEPS
    )
    parameter.mask, places = mask, mask & (sample.before != 0)
    if places.any():
        parameter.escape = Escape(reading, sample, places, sample.now()[places])


def edit(readings: list[Reading]) -> str | None:
    """The change of the gradient's norm since backward, in words; None if there is none."""
    raw, read = norms_around_edit(readings)
    if math.isfinite(raw) and not math.isclose(raw, read, rel_tol=EDITED):
        return f"norm {raw:.2g} to {read:.2g}"
    return None


def first_non_finite(readings: list[Reading]) -> str | None:
    """The first gradient or parameter that is not finite, in words; None if all are."""
    for reading in readings:
        if not math.isfinite(reading.grad or 0.0):
            return f"gradient of {reading.parameter.name}"
        if not math.isfinite(reading.change or 0.0):
            return f"parameter {reading.parameter.name}, after a step"
    return None
