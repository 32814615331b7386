"""Gradients that are too large, too small or not finite (see `thresholds`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Set
from itertools import takewhile

from gradwidgets.checkup import thresholds as limit
from gradwidgets.checkup.record import (
    Clip,
    ModuleSeen,
    OptimizerSeen,
    Parameter,
    Reading,
    Record,
    Step,
    names_of,
    norms_around_edit,
)
from gradwidgets.checkup.report import Finding, counted


def non_finite(record: Record) -> Iterator[Finding]:
    """NaN or infinity appeared; the finding names the first place."""
    if record.first_non_finite:
        yield Finding(
            "non-finite",
            "error",
            (),
            f"NaN or infinity, first in: {record.first_non_finite}",
            "check the data for NaN; keep log, sqrt, division and norm away from zero; "
            "torch.autograd.set_detect_anomaly(True) names the operation",
            began=record.non_finite_since,
            given=record.non_finite_given,
        )


def exploding_at_once(record: Record) -> Iterator[Finding]:
    """Gradients are huge at the first step."""
    for optimizer in record.optimizers:
        steps = record.steps_of(optimizer)
        if steps and _explodes(steps[0], record):
            yield _exploding(steps[0], f"{steps[0].gradient:.1g} times the parameters' size")


def _explodes(step: Step, record: Record) -> bool:
    felt = _sensitivity(step, record)
    driven = felt is None or felt > limit.EXPLODING_SENSITIVITY
    return driven and step.gradient > limit.EXPLODING_GRADIENT


def _sensitivity(step: Step, record: Record) -> float | None:
    """|grad| |parameter| / |loss| before edits; None if the loss is unknown, 0 or not finite."""
    loss = record.loss_before(step)
    if not loss or not math.isfinite(loss):
        return None
    raw = math.hypot(*(r.raw if r.raw is not None else r.grad or 0.0 for r in step.judged))
    return raw * math.hypot(*(r.size for r in step.judged)) / abs(loss)


def exploding_later(record: Record) -> Iterator[Finding]:
    """Gradients grow far beyond those of the first step, and the loss with them."""
    for optimizer in record.optimizers:
        steps = [step for step in record.steps_of(optimizer) if step.gradient > 0]
        if len(steps) < 2 or _explodes(steps[0], record):
            continue
        worst = max(steps, key=lambda step: step.gradient)
        growth = worst.gradient / steps[0].gradient
        first, last = record.loss_before(steps[0]), record.loss_before(worst)
        loss_grows = first and last and abs(last) > limit.EXPLODING_LOSS_GROWTH * abs(first)
        if growth > limit.EXPLODING_GROWTH and loss_grows:
            yield _exploding(worst, f"{growth:.1g} times the first one's")


def _exploding(step: Step, how: str) -> Finding:
    readings = sorted(step.judged, key=lambda r: -(r.grad or 0.0))
    return Finding(
        "exploding",
        "error",
        names_of(readings[:5]),
        f"the gradient is {how}",
        "lower the lr, clip with torch.nn.utils.clip_grad_norm_, normalise inputs and targets, "
        "and check the initialisation",
        concerns=names_of(step.judged),
        began=step.time,
    )


def vanishing(record: Record) -> Iterator[Finding]:
    """Some matrices have vanishing gradients, or the loss is flat in all parameters."""
    for optimizer in record.optimizers:
        steps = [s for s in record.steps_of(optimizer) if s.has_new_gradient and not _is_gated(s)]
        best = _best_ratios(steps, record)
        least = limit.VANISHING_GRADIENT * max(best.values(), default=0.0)
        starved = [name for name, ratio in best.items() if ratio < least]
        names = [name for name in starved if not _is_spared(name, best.keys() - starved, record)]
        if names:
            yield _vanishing(names, f"below {limit.VANISHING_GRADIENT:g} of the largest")
        elif steps and all(_is_flat(step, record) for step in steps):
            yield _vanishing(list(best), "too small to show in the loss")


def _is_spared(name: str, alive: Set[str], record: Record) -> bool:
    """True for a branch that the loss hardly asks for now, as a level of a pyramid without a box.

    The gradient does not die on its way: layers that ran before it are alive, and one that runs
    more often, on each of such branches.
    """
    order = [(module, _names_in(module, record)) for module in record.execution]
    at = next((index for index, (_, names) in enumerate(order) if name in names), 0)
    before = any(names & alive for _, names in order[:at])
    return before and any(m.runs > order[at][0].runs for m, names in order if names & alive)


def _names_in(module: ModuleSeen, record: Record) -> set[str]:
    """The names of a module's own parameters that are watched."""
    known = record.parameters
    return {known[id(t)].name for t in module.own_parameters() if id(t) in known}


def _is_flat(step: Step, record: Record) -> bool:
    felt = _sensitivity(step, record) or 0.0
    return 0 < felt < limit.FLAT_LOSS


def _is_gated(step: Step) -> bool:
    """True if a gain or gate (not a bias or matrix) is nearly closed and gets a gradient."""
    return any(_closed_gates(step, limit.NEARLY_CLOSED))


def _closed_gates(step: Step, least: float) -> Iterator[Parameter]:
    """Gains and gates with a gradient whose size per element is below a limit."""
    for reading in step.readings:
        parameter = reading.parameter
        if not reading.grad or parameter.is_matrix or parameter.is_bias:
            continue
        if reading.size < least * parameter.tensor.numel() ** 0.5:
            yield parameter


def _best_ratios(steps: list[Step], record: Record) -> dict[str, float]:
    """The largest |grad| / |parameter| over all steps, for each matrix with a gradient.

    The largest, because a gate that starts nearly closed lets more through after every step. What
    is in one block with such a gate is left out: a residual branch is closed on purpose.
    """
    best: dict[str, float] = {}
    layers = {module.name for module in record.modules.values() if module.is_layer}
    for step in steps:
        gates = {gate.name for gate in _closed_gates(step, limit.OPEN_BRANCH)}
        blocks = tuple({_block(gate, layers) for gate in gates})
        for reading in step.judged:
            name = reading.parameter.name
            if reading.parameter.is_matrix and reading.grad and not name.startswith(blocks):
                best[name] = max(reading.grad / reading.reference, best.get(name, 0.0))
    return best


def _block(name: str, layers: set[str]) -> str:
    """The beginning of the names of all parameters that are in one block with this one."""
    owner = name.rpartition(".")[0]
    block = owner.rpartition(".")[0] if owner in layers else owner
    return f"{block}." if block else ""


def _vanishing(names: list[str], how: str) -> Finding:
    return Finding(
        "vanishing",
        "warning",
        tuple(names),
        f"at every step the gradient relative to the parameter is {how}",
        "use ReLU-like activations, normalisation or skip connections; scale inputs so that "
        "sigmoid, tanh and softmax are not saturated",
    )


def zero_gradient(record: Record) -> Iterator[Finding]:
    """A parameter's whole gradient is exactly zero at every step."""
    judged = [step for step in record.steps if not _opens_gate(step)]
    readings = [r for step in judged for r in step.readings if r.new]
    finite = [r for r in readings if math.isfinite(r.grad or 0.0)]
    alive = {id(r.parameter) for r in finite if r.grad or r.raw}
    dead = [r for r in finite if id(r.parameter) not in alive and r.parameter.has_elements]
    names = [name for name in names_of(dead) if not _has_live_weight(name, readings)]
    off = _switched_off(dead, record)
    if names and off.issuperset(names):
        yield Finding(
            "zero-gradient",
            "info",
            tuple(names),
            f"the gradient of {counted(len(names), 'parameter')} is exactly zero at every step: "
            "what depends on them is multiplied by 0 in the loss",
            "nothing, if that is meant; otherwise look at the weight of that part of the loss",
        )
    elif names:
        yield Finding(
            "zero-gradient",
            "error",
            tuple(names),
            f"the gradient of {counted(len(names), 'parameter')} is exactly zero at every step",
            "look for units that are always off (dead ReLU), all-zero initialisation, round, "
            "sign or a comparison in the path, or a softmax over one class",
            began=min(step.time for step in judged if any(r in dead for r in step.readings)) - 1,
        )


def _switched_off(dead: list[Reading], record: Record) -> set[str]:
    """The names of parameters on which each loss depends through a term times 0, at least."""
    losses = [b for b in record.real_backwards if b.applied]
    return {
        reading.parameter.name
        for reading in dead
        if (key := id(reading.parameter.tensor))
        if losses and all(key in b.switched_off for b in losses if key in b.leaves)
    }


def dies_out(record: Record) -> Iterator[Finding]:
    """The first layers had gradients, and from some step on theirs are exactly zero."""
    order = [id(t) for module in record.execution for t in module.own_parameters()]
    for optimizer in record.optimizers:
        steps = [step for step in record.steps_of(optimizer) if step.has_new_gradient]
        least = max(limit.DEAD_STEPS, math.ceil(limit.DEAD_SHARE * len(steps)))
        dead: list[Reading] = []
        for key in order:
            readings = [r for step in steps for r in step.readings if id(r.parameter.tensor) == key]
            if not any(r.parameter.is_matrix for r in readings):
                continue
            if not _is_dead_since(readings, least):
                break  # what comes later has a gradient, or never had one
            dead += readings[-1:]
        alive = any(r.grad for step in steps[-1:] for r in step.readings)
        if dead and alive:
            yield Finding(
                "zero-gradient",
                "warning",
                names_of(dead),
                f"the gradient of {counted(len(dead), 'parameter')} was not zero at first and is "
                f"exactly zero in the last {least} steps or more: the units behind died",
                "lower the lr or warm it up; use leaky_relu or gelu; look at the bias of the layer "
                "behind, which may have become very negative",
            )


def _is_dead_since(readings: list[Reading], least: int) -> bool:
    still = list(takewhile(lambda r: r.new and r.grad == 0 and not r.raw, reversed(readings)))
    before = readings[: len(readings) - len(still)]
    measured = any(r.raw == 0 for r in still)  # as backward left it: nobody masks it
    return len(still) >= least and measured and any(r.grad for r in before)


def _opens_gate(step: Step) -> bool:
    """True if a zero factor gets a gradient: what it hides will get one after this step.

    Low-rank adapters, gated branches and zero-initialised heads start so. A bias is not a factor.
    """
    return any(r.size == 0 and r.grad and not r.parameter.is_bias for r in step.readings)


def _has_live_weight(name: str, readings: list[Reading]) -> bool:
    """True for a bias whose weight gets a gradient: BatchNorm, say, cancels the bias after it."""
    module, _, attribute = name.rpartition(".")
    if not attribute.startswith("bias"):
        return False
    weight = f"{module}.{attribute.replace('bias', 'weight', 1)}".lstrip(".")
    return any(r.parameter.name == weight and r.grad for r in readings)


def clip_misplaced(record: Record) -> Iterator[Finding]:
    """Clipping reaches no gradient that a step reads, or only a part of its sum."""
    clips = [clip for clip in record.clips if math.isfinite(clip.max_norm)]
    states = {clip.state for clip in clips}
    if states and record.steps and not states & {"fresh", "elsewhere"}:
        worst = next(state for state in _MISPLACED if state in states)
        times = sum(clip.state == worst for clip in clips)
        yield _misplaced(f"{times} of {counted(len(clips), 'call')} that clip {_MISPLACED[worst]}")
    for optimizer in record.optimizers:
        others = _clips_of_others(optimizer, clips, record)
        if len(others) > 1:
            yield _misplaced(
                f"{len(others)} of {counted(len(clips), 'call')} that clip came right before a "
                f"step of {optimizer.name}, were given parameters that it does not have, and had "
                "nothing to clip there; its own gradients are never clipped"
            )
    between = [step for step in record.steps if _is_clipped_between(step)]
    if between:
        yield _misplaced(
            f"in {len(between)} of {counted(len(record.steps), 'step')} gradients were clipped "
            "before the last backward call had added to them: the sum itself was not, and the "
            "earlier calls count less"
        )


_MISPLACED = {
    "nothing": "got no parameters: an iterator can be gone through once only",
    "applied": "came after the step that had applied the gradients",
    "empty": "came when there was no gradient, before backward or after zero_grad()",
}


def _clips_of_others(optimizer: OptimizerSeen, clips: list[Clip], record: Record) -> list[Clip]:
    """Clips without effect right before a step of an optimizer of which nothing is clipped."""
    held = set(optimizer.held)
    if any(clip.held & held for clip in clips):
        return []
    found = []
    for clip in clips:
        following = next((step for step in record.steps if step.time > clip.time), None)
        if following is None or clip.state not in ("applied", "empty"):
            continue
        between = any(clip.time < b.time < following.time for b in record.backwards)
        if following.optimizer is optimizer and not between:
            found.append(clip)
    return found


def _misplaced(seen: str) -> Finding:
    return Finding(
        "clip-misplaced",
        "warning",
        (),
        seen,
        "clip model.parameters(), or a list of them, once per step, between the last backward "
        "and optimizer.step()",
    )


def _is_clipped_between(step: Step) -> bool:
    last = max((backward.time for backward in step.read), default=0)
    return any(0 < backward.clipped < last for backward in step.read)


def clipped_away(record: Record) -> Iterator[Finding]:
    """Every measured step reads under a thousandth of the gradient, and too little is left."""
    for optimizer in record.optimizers:
        steps = [s for s in record.steps_of(optimizer) if s.measured and s.has_new_gradient]
        if steps and all(_is_clipped_away(step) for step in steps):
            raw, left = norms_around_edit(steps[-1].readings)
            yield Finding(
                "clipped-away",
                "warning" if left else "error",
                (),
                f"between backward and step the gradient's norm falls from {raw:.2g} to {left:.2g}",
                "raise max_norm; with a GradScaler call scaler.unscale_(optimizer) before clipping",
                concerns=names_of(steps[-1].readings),
                began=steps[0].time,
            )


def _is_clipped_away(step: Step) -> bool:
    raw, left = norms_around_edit(step.readings)
    clipped = math.isfinite(raw) and raw > 0 and left < limit.CLIPPED_AWAY_NORM * raw
    return clipped and step.gradient < limit.CLIPPED_AWAY_REST
