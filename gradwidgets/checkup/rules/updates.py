"""Updates that are too small or too large for the parameters (see `thresholds`)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradwidgets.checkup import thresholds as limit
from gradwidgets.checkup.record import OptimizerSeen, Reading, Record, Step, names_of
from gradwidgets.checkup.report import Finding, counted


def zero_lr(record: Record) -> Iterator[Finding]:
    """A param group's learning rate is zero at every step and at the end."""
    for optimizer in record.optimizers:
        steps, groups = record.steps_of(optimizer), optimizer.optimizer.param_groups
        idle = [
            index
            for index, lr in enumerate(optimizer.learning_rates)
            if steps and lr == 0
            if all(index < len(step.lrs) and step.lrs[index] == 0 for step in steps)
        ]
        if idle:
            held = {id(tensor) for index in idle for tensor in groups[index]["params"]}
            named = [p for p in optimizer.parameters if id(p.tensor) in held]
            count = counted(len(groups), "param group")
            yield Finding(
                "zero-lr",
                "error" if len(idle) == len(groups) else "warning",
                tuple(p.name for p in named),
                f"the lr of {len(idle)} of {count} is 0 at every step",
                "set a positive lr; check how often scheduler.step() is called and whether its "
                "schedule starts at, or has reached, zero",
            )


def spent_lr(record: Record) -> Iterator[Finding]:
    """The learning rate falls to nothing long before the end, as if an epoch were a batch."""
    for optimizer in record.optimizers:
        rates = [max(map(abs, step.lrs), default=0.0) for step in record.steps_of(optimizer)]
        peak = max(rates, default=0.0)
        alive = [index for index, rate in enumerate(rates) if rate > limit.LR_SPENT * peak]
        spent = len(rates) - 1 - alive[-1] if alive else 0
        if spent < max(limit.LR_SPENT_STEPS, limit.LR_SPENT_SHARE * len(rates)):
            continue
        yield Finding(
            "update-too-small" if rates[-1] else "zero-lr",
            "error" if not rates[-1] and 2 * spent >= len(rates) else "warning",
            (),
            f"the lr of {optimizer.name} was {peak:g}, and {rates[-1]:.2g} in the last {spent} of "
            f"{counted(len(rates), 'step')}: nothing moves any more",
            "check how often scheduler.step() is called (once per epoch or once per batch), and "
            "for how many calls its schedule is made",
        )


def undone(record: Record) -> Iterator[Finding]:
    """The loop puts the old weights back after every step."""
    for optimizer in record.optimizers:
        steps = [s for s in record.steps_of(optimizer) if s.measured and s.has_new_gradient]
        moved = [p for p in optimizer.parameters if p.moved]
        stepped = [[r for r in step.readings if r.change] for step in steps]
        if len(steps) < 2 or moved or not all(stepped):
            continue
        if all(r.returned for readings in stepped[1:] for r in readings):
            yield Finding(
                "update-undone",
                "error",
                names_of(stepped[-1]),
                f"every step of {optimizer.name} moves the parameters, and each time they are put "
                f"back before the next: after {counted(optimizer.steps, 'step')} all are as at the "
                "beginning",
                "look for load_state_dict, copy_ or .data in the loop; a kept state_dict() must be "
                "a copy (copy.deepcopy), loaded when training is over",
            )


def taken_back(record: Record) -> Iterator[Finding]:
    """The loop takes back nearly all of every step, or writes other numbers over its result."""
    for optimizer in record.optimizers:
        looked = [[r for r in s.readings if r.kept is not None] for s in record.steps_of(optimizer)]
        looked = [readings for readings in looked if readings]
        if len(looked) < limit.UNDONE_STEPS:
            continue
        most = max(r.kept or 0.0 for readings in looked for r in readings)
        if 0 < most < limit.TAKEN_BACK:  # exactly 0 if other models start from the same weights
            yield Finding(
                "update-undone",
                "error",
                names_of(looked[-1]),
                f"before each next step of {optimizer.name} the parameters are put back: at most "
                f"{100 * most:.2g} per cent of a move is left",
                "look for an average that is written into the trained model in place of its copy",
            )
            continue
        written = [{r.parameter.name for r in rs if _is_overwritten(r)} for rs in looked]
        again = set.intersection(*written)
        if again:
            yield Finding(
                "update-undone",
                "error",
                tuple(name for name in names_of(looked[-1]) if name in again),
                f"before each next step of {optimizer.name} other numbers are written over these",
                "look for an initialisation in forward, or in the loop over the batches",
            )


def _is_overwritten(reading: Reading) -> bool:
    return reading.overwritten and reading.parameter.is_matrix


def mask_undone(record: Record) -> Iterator[Finding]:
    """Elements whose gradient is masked move all the same, by momentum or weight decay."""
    escaped = [
        reading
        for step in record.steps
        for reading in step.readings
        if reading.escaped and reading.masked_again
    ]
    if escaped:
        latest = escaped[-1]
        yield Finding(
            "mask-undone",
            "warning",
            names_of(escaped),
            "elements whose gradient is set to zero after backward, the same at every step, move "
            f"all the same (of {latest.parameter.name} {latest.escaped} of those looked at): "
            "momentum, moment estimates or weight decay move them",
            "apply the mask to the parameters again after optimizer.step(), or use an optimizer "
            "without momentum and weight decay for them",
        )


def replaced(record: Record) -> Iterator[Finding]:
    """An optimizer is made again and again, and what it remembers is lost."""
    later = [o for o in record.optimizers if o.continues and not _steps_on(o.continues, o, record)]
    same = [o for o in later if o.continues and _settings(o) == _settings(o.continues)]
    if same or len(later) > 1:
        yield Finding(
            "optimizer-replaced",
            "warning",
            (),
            f"{counted(len(later), 'time')} another {type(later[0].optimizer).__name__} for the "
            "same parameters took over: its moments or momentum begin at zero again, and a "
            "scheduler of the first one has no effect",
            "make the optimizer once, before the loop; change the lr by a scheduler or in "
            "optimizer.param_groups",
        )


def _steps_on(first: OptimizerSeen, second: OptimizerSeen, record: Record) -> bool:
    """True if the first one steps again after the second has begun: they take turns."""
    begun = min((step.time for step in record.steps_of(second)), default=0)
    return first.last_step > begun


def _settings(optimizer: OptimizerSeen) -> list[dict[str, object]]:
    groups = optimizer.optimizer.param_groups
    return [{k: v for k, v in group.items() if k != "params"} for group in groups]


def update_too_small(record: Record) -> Iterator[Finding]:
    """Updates are too small for the parameters' precision, though gradients are not tiny."""
    for optimizer in record.optimizers:
        steps = [s for s in record.steps_of(optimizer) if s.measured and s.has_new_gradient]
        if not steps or _warms_up(optimizer, steps):
            continue
        stuck = set.intersection(*map(_stuck, steps))
        tiny = all(_update(s) < limit.UPDATE_TOO_SMALL and _is_live(s) for s in steps)
        if stuck or tiny:
            moved = [r for r in steps[-1].readings if tiny or r.parameter.name in stuck]
            yield Finding(
                "update-too-small",
                "warning",
                names_of(moved),
                f"a step changes the parameters by {_update(steps[-1]):.1g} of their size"
                + ("; the updates of these are lost to rounding" if stuck else ""),
                "raise the lr; keep weights in float32 and use autocast instead of half-precision "
                "parameters",
            )


def _update(step: Step) -> float:
    readings = [r for r in step.judged if r.change is not None]
    size = math.hypot(*[r.size for r in readings])
    return math.hypot(*[r.change or 0.0 for r in readings]) / size if size else math.inf


def _is_live(step: Step) -> bool:
    return step.gradient > limit.LIVE_GRADIENT and any(step.lrs)


def _stuck(step: Step) -> set[str]:
    live = [r for r in step.readings if r.grad and r.size and r.lr]
    largest = max(((r.grad or 0.0) / r.size for r in live), default=0.0)
    least = max(limit.NOISE_GRADIENT * largest, limit.LIVE_GRADIENT)
    return {r.parameter.name for r in live if r.stuck and (r.grad or 0.0) / r.size > least}


def _warms_up(optimizer: OptimizerSeen, steps: list[Step]) -> bool:
    """True if the lr rose, or if only one step was seen, with lr below `initial_lr`."""
    now = max(optimizer.learning_rates)
    groups = optimizer.optimizer.param_groups
    intended = max(float(group.get("initial_lr", 0.0)) for group in groups)
    return now > max(steps[0].lrs) or (len(steps) == 1 and intended > now)


def update_too_large(record: Record) -> Iterator[Finding]:
    """A step replaces a parameter, and the loss or gradient gets worse, or the step is huge."""
    for optimizer in record.optimizers:
        steps = record.steps_of(optimizer)
        for step, following in zip(steps, [*steps[1:], None], strict=False):
            large = [r for r in step.judged if r.relative_change > limit.UPDATE_TOO_LARGE]
            worst = max((r.relative_change for r in large), default=0.0)
            if worst > limit.UPDATE_HUGE or (large and _gets_worse(step, following, record)):
                yield Finding(
                    "update-too-large",
                    "error",
                    names_of(large),
                    f"one step of {optimizer.name} changes a parameter by {worst:.2g} times its "
                    f"size, at lr {max(step.lrs):g}",
                    "lower the lr by a factor of ten or more, or warm it up",
                    began=step.time,
                )
                break


def _gets_worse(step: Step, following: Step | None, record: Record) -> bool:
    before = record.loss_before(step)
    later = [b.loss for b in record.real_backwards if b.time > step.time and b.loss is not None]
    if before and later:
        worst = max(map(abs, later), key=lambda loss: math.inf if math.isnan(loss) else loss)
        if not worst <= limit.UPDATE_TOO_LARGE_WORSE * abs(before):
            return True
    grew = following and following.gradient > limit.UPDATE_TOO_LARGE_WORSE * step.gradient
    return bool(grew)
