"""Order: calls that are missing, repeated or made at the wrong moment."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradwidgets.checkup.record import Backward, Record, Step, names_of, norms_around_edit
from gradwidgets.checkup.report import Finding, counted


def no_graph(record: Record) -> Iterator[Finding]:
    """Backward was called on something without a graph to the parameters."""
    freed = [b for b in record.backwards if b.root == "freed"]
    cut = [b for b in record.backwards if b.root in ("nothing", "leaf") or _is_rebuilt(b, record)]
    if freed:
        yield Finding(
            "no-graph",
            "error",
            (),
            "backward went through a graph that an earlier backward had freed",
            "run the forward again for each backward; detach what is carried from one step to "
            "the next (hidden = hidden.detach()); or retain_graph=True for two losses of one graph",
        )
    if cut:
        yield Finding(
            "no-graph",
            "error",
            (),
            f"{len(cut)} of {counted(len(record.backwards), 'backward call')} started from a "
            f"tensor without a graph to any parameter: {_why_no_graph(record, cut)}",
            "compute the loss from the model's output by tensor operations only, outside no_grad; "
            "setting requires_grad on the loss silences the error and trains nothing",
        )


def _is_rebuilt(backward: Backward, record: Record) -> bool:
    """True if the loss was rebuilt from a number as a new leaf (then perhaps scaled)."""
    known = record.parameters.keys() | record.hidden.keys()
    if backward.root != "graph" or backward.leaves & known:
        return False
    return bool(backward.other_leaves) and not any(backward.other_leaves)


def _why_no_graph(record: Record, cut: list[Backward]) -> str:
    ran = [module for module in record.execution if module.owns_parameters]
    if ran and all(module.runs_without_grad == module.runs for module in ran):
        return "the forward ran under no_grad"
    if not any(p.tensor.requires_grad for p in record.parameters.values()):
        return "no parameter requires grad"
    if any(backward.root != "nothing" for backward in cut):
        return "the loss is a new tensor made from a number, not the computed one"
    return "the loss was detached, or rebuilt from numbers"


def no_backward(record: Record) -> Iterator[Finding]:
    """An optimizer stepped, but no gradient ever came."""
    for optimizer in record.optimizers:
        held = optimizer.parameters
        if optimizer.given and optimizer.steps and not any(p.ever_written for p in held):
            often = "once" if optimizer.steps == 1 else f"{optimizer.steps} times"
            aside = (
                "; torch.autograd.grad was called, which returns gradients and stores none"
                if record.grad_calls
                else ""
            )
            yield Finding(
                "no-backward",
                "error",
                (),
                f"{optimizer.name} stepped {often} and no gradient came{aside}",
                "call loss.backward() (with its parentheses) before optimizer.step()",
                concerns=names_of(held),
            )


def no_step(record: Record) -> Iterator[Finding]:
    """Gradients came, but the optimizer never stepped."""
    interrupted = record.error and not record.steps
    if record.moved_by_hand or interrupted:
        return
    for optimizer in record.optimizers:
        held = optimizer.parameters
        fed = [b for b in record.real_backwards if b.reached & {id(p.tensor) for p in held}]
        others = {other for p in held for other in p.optimizers if other is not optimizer}
        tried = optimizer.steps | optimizer.skipped
        if fed and optimizer.given and not tried | sum(o.steps for o in others):
            yield Finding(
                "no-step",
                "error",
                (),
                f"{counted(len(fed), 'backward call')} gave gradients to {optimizer.name}, "
                "which never stepped",
                "call optimizer.step() (with its parentheses) after backward; scheduler.step() "
                "only changes the learning rate",
                concerns=names_of(held),
            )


def not_cleared(record: Record) -> Iterator[Finding]:
    """A step read a gradient that still contained one that an earlier step had used."""
    stale = [r for step in record.steps for r in step.readings if r.old and r.new and r.grad]
    if stale:
        names = dict.fromkeys(reading.parameter.name for reading in stale)
        steps = sum(any(r in stale for r in step.readings) for step in record.steps)
        most = max(reading.old for reading in stale)
        yield Finding(
            "not-cleared",
            "error",
            tuple(names),
            f"{steps} of {counted(len(record.steps), 'step')} read a gradient that still contained "
            f"up to {counted(most, 'backward call')} already used by an earlier step",
            "call optimizer.zero_grad() once per step, before backward",
            began=next(s.time for s in record.steps if any(r in stale for r in s.readings)),
        )


def contains_earlier(record: Record) -> Iterator[Finding]:
    """A step read the gradient of a sum that contains a loss which it had stepped for before."""
    for optimizer in record.optimizers:
        steps = record.steps_of(optimizer)
        again = [step for step in steps if any(_repeats(b, optimizer.index) for b in step.read)]
        if again:
            most = max(len(backward.contains) for step in again for backward in step.read)
            yield Finding(
                "not-cleared",
                "error",
                (),
                f"{len(again)} of {counted(len(steps), 'step')} of {optimizer.name} read the "
                f"gradient of a loss that still contained up to {counted(most, 'loss')} "
                "of earlier steps",
                "call backward on the loss of this step alone; for a log add numbers: "
                "total += loss.item()",
                concerns=names_of(optimizer.parameters),
                began=again[0].time,
            )


def _repeats(backward: Backward, index: int) -> bool:
    """True if an optimizer had applied a loss before another began that contains it."""
    return any(one.applied_by.get(index, math.inf) < backward.time for one in backward.contains)


def _lost(record: Record) -> list[Backward]:
    """Backward calls cleared before any step read them, and not used in another way.

    Discarding gradients is right if the input was being differentiated (attacks), if the graph
    was kept for another backward, or if the loop itself moved parameters with them.
    """
    trained = {key for key, p in record.parameters.items() if p.optimizers}
    return [
        b
        for b in record.real_backwards
        if b.cleared and not b.applied and not b.used_by_hand and not b.graph_retained
        if b.reached & trained and not any(b.other_leaves)
    ]


def _reached(backwards: list[Backward], record: Record) -> tuple[str, ...]:
    """Parameters of optimizers that got a gradient from one of these backward calls."""
    reached = {key for backward in backwards for key in backward.reached}
    return names_of(p for key, p in record.parameters.items() if key in reached and p.optimizers)


def _meant(lost: list[Backward], record: Record) -> tuple[str, ...]:
    """The parameters that backward calls were for: those of the next step if they reached none."""
    names: dict[str, None] = {}
    for backward in lost:
        following = next((step for step in record.steps if step.time > backward.time), None)
        held = following.optimizer.parameters if following else []
        passed_by = held and not any(id(p.tensor) in backward.reached for p in held)
        names.update(dict.fromkeys(names_of(held) if passed_by else _reached([backward], record)))
    return tuple(names)


def cleared_before_step(record: Record) -> Iterator[Finding]:
    """Gradients were cleared before a step at least as often as steps used them."""
    lost = _lost(record)
    applied = [b for b in record.real_backwards if b.applied]
    if lost and record.steps and len(lost) >= len(applied):
        yield Finding(
            "cleared-before-step",
            "error",
            (),
            f"{len(lost)} of {counted(len(record.real_backwards), 'backward call')} had their "
            "gradients cleared before any step read them",
            "move zero_grad() before backward, or behind step(); when accumulating, call it once "
            "per step and not per batch",
            concerns=_meant(lost, record),
        )


def reads_nothing(record: Record) -> Iterator[Finding]:
    """No step ever reads a gradient, although backward gives some, and nothing moves."""
    for optimizer in record.optimizers:
        steps, held = record.steps_of(optimizer), optimizer.parameters
        came = any(p.ever_written for p in held)
        read = any(r.grad or r.new or r.old for step in steps for r in step.readings)
        if len(steps) > 1 and came and not read and not any(p.moved for p in held):
            yield Finding(
                "cleared-before-step",
                "error",
                (),
                f"none of {counted(len(steps), 'step')} of {optimizer.name} read a gradient, and "
                "nothing has moved: all were cleared before",
                "each step needs a backward of its own right before it; SAM needs a second forward "
                "and backward between its first and its second step",
                concerns=names_of(held),
            )


def step_twice(record: Record) -> Iterator[Finding]:
    """A step applied a gradient that an earlier step had already applied."""
    for optimizer in record.optimizers:
        if not any(p.ever_written for p in optimizer.parameters):
            continue
        again = [
            step
            for step in record.steps_of(optimizer)[1:]
            if not step.has_new_gradient and any(r.old and r.grad for r in step.readings)
        ]
        if again:
            yield Finding(
                "step-twice",
                "error",
                (),
                f"{len(again)} of {counted(optimizer.steps, 'step')} of {optimizer.name} applied "
                "a gradient that an earlier step had already applied",
                "call optimizer.step() once per backward",
                concerns=names_of(optimizer.parameters),
                began=again[0].time,
            )


def step_before_backward(record: Record) -> Iterator[Finding]:
    """A step came between a forward and its backward, or before all gradients."""
    late = [b for b in record.backwards if b.outdated]
    if late or _starts_with_empty_step(record):
        yield Finding(
            "step-before-backward",
            "error",
            (),
            f"{len(late) or len(record.backwards)} of "
            f"{counted(len(record.backwards), 'backward call')} came after the step that should "
            "have used the gradients",
            "order the loop as zero_grad, forward, backward, step",
        )


def _starts_with_empty_step(record: Record) -> bool:
    """True if the loop begins with a step and no step ever reads a gradient."""
    if not record.steps or not record.real_backwards:
        return False
    reads = any(r.new or r.old for step in record.steps for r in step.readings)
    return not reads and record.steps[0].time < record.real_backwards[0].time


def amp_skipping(record: Record) -> Iterator[Finding]:
    """A GradScaler skipped every step; one skip is normal while it finds its scale."""
    for optimizer in record.optimizers:
        if optimizer.skipped and not optimizer.steps:
            every = "the only step" if optimizer.skipped == 1 else f"all {optimizer.skipped} steps"
            yield Finding(
                "amp-skipping",
                "error" if optimizer.skipped > 1 else "info",
                (),
                f"the GradScaler found infinite gradients and skipped {every} of "
                f"{optimizer.name}; its scale is now {optimizer.last_scale:g}",
                "call scaler.update() so that the scale falls; if it keeps falling, the "
                "unscaled gradients are infinite themselves: look for NaN in data and loss",
                concerns=names_of(optimizer.parameters),
            )


def never_cleared_scaled(record: Record) -> Iterator[Finding]:
    """A GradScaler skipped steps because of gradients that it had skipped before."""
    for optimizer in record.optimizers:
        if optimizer.skipped_again and not optimizer.steps:
            yield Finding(
                "not-cleared",
                "error",
                (),
                f"{optimizer.skipped_again} of {counted(optimizer.skipped, 'step')} that the "
                f"GradScaler skipped for {optimizer.name} still held the infinite gradients of an "
                "earlier one: infinity plus anything stays infinite",
                "call optimizer.zero_grad() once per step, after a skipped one, too",
                concerns=names_of(optimizer.parameters),
            )


def amp_scale(record: Record) -> Iterator[Finding]:
    """A step with gradients still multiplied by a GradScaler's scale, or divided without it."""
    for optimizer in record.optimizers:
        steps = record.steps_of(optimizer)
        scaled = [step for step in steps if _scale_left(step) > 1]
        if scaled:
            yield Finding(
                "amp-scale",
                "error",
                (),
                f"{len(scaled)} of {counted(len(steps), 'step')} of {optimizer.name} read "
                f"gradients {_scale_left(scaled[-1]):g} times too large: the loss was scaled, and "
                "nothing divided the gradients",
                "call scaler.step(optimizer) and scaler.update() in place of optimizer.step()",
                began=scaled[0].time,
            )
        divided = [step for step in steps if _divided_only(step)]
        if divided:
            yield Finding(
                "amp-scale",
                "error",
                (),
                f"in {len(divided)} of {counted(len(steps), 'step')} of {optimizer.name} the "
                f"GradScaler divided gradients by {divided[-1].read[0].unscaled_by:g} whose loss "
                "it had not multiplied",
                "call backward on what scaler.scale(loss) returns",
            )


def _scale_left(step: Step) -> float:
    """The scale in the gradients that a step has read; 1 if somebody has divided them."""
    if step.in_scaler or not step.measured:
        return 1.0
    raw, read = norms_around_edit(step.readings)
    if not math.isfinite(raw) or read < raw / 2:
        return 1.0
    return max((b.scale for b in step.read if not b.unscaled), default=1.0)


def _divided_only(step: Step) -> bool:
    own = [backward for backward in step.read if backward.root == "graph"]
    return bool(own) and all(b.unscaled_by > 1 and b.scale == 1 for b in own)


def leftover(record: Record) -> Iterator[Finding]:
    """Gradients were still waiting for a step when the watch ended."""
    held = {key for key, p in record.parameters.items() if p.optimizers}
    waiting = [
        b
        for b in record.real_backwards
        if b.reached & held and not (b.applied or b.cleared or b.used_by_hand or b.failed)
    ]
    if waiting and not record.error:
        yield Finding(
            "leftover",
            "info",
            (),
            f"no step read the gradients of the last {len(waiting)} of "
            f"{counted(len(record.backwards), 'backward call')}",
            "if the loop ends here, step once more for the incomplete group of batches",
            concerns=_reached(waiting, record),
        )
