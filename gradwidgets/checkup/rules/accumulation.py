"""Accumulation: the sum of several backward calls, and whether it is the mean that is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from gradwidgets.checkup import thresholds as limit
from gradwidgets.checkup.record import Backward, OptimizerSeen, Record, Step
from gradwidgets.checkup.report import Finding, counted


def mixed(record: Record) -> Iterator[Finding]:
    """A step read its own loss's gradient and that of another's, which another step had applied.

    The loss of a generator goes through the discriminator, and leaves gradients there.
    """
    for optimizer in record.optimizers:
        steps = record.steps_of(optimizer)
        found = [(step, other) for step in steps for other in _owners(step, record)]
        if found:
            others = ", ".join(sorted({other.name for _, other in found}))
            yield Finding(
                "accumulating",
                "warning",
                (),
                f"{len({id(step) for step, _ in found})} of {counted(len(steps), 'step')} of "
                f"{optimizer.name} read, beside their own, the gradients of a loss that {others} "
                "had already stepped for",
                f"call zero_grad() of {optimizer.name} right before its own backward",
            )


def _owners(step: Step, record: Record) -> list[OptimizerSeen]:
    """Other optimizers that have stepped for an earlier backward call, and have no later one.

    They lie upstream: a trunk may add up what the losses of several heads leave in it.
    """
    found = []
    for other in record.optimizers:
        keys = {id(parameter.tensor) for parameter in other.parameters}
        if other is step.optimizer or _upstream_time(step, other) is None:
            continue
        applied = [b.applied_by[other.index] for b in step.read if other.index in b.applied_by]
        later = [b for b in step.read if applied and b.time > min(applied)]
        if later and not any(b.reached & keys for b in later):
            found.append(other)
    return found


def _upstream_time(step: Step, other: OptimizerSeen) -> int | None:
    own = step.optimizer.index
    for backward in step.read:
        first = backward.earliest.get(other.index)
        if first is not None and first < backward.earliest.get(own, 0):
            return first
    return None


def uneven_groups(record: Record) -> Iterator[Finding]:
    """Steps read one backward call mostly and two or more at times.

    Two, if the modulo of an `if` is inverted; more, if others than the loop's have left theirs.
    """
    for optimizer in record.optimizers:
        groups = [step.read for step in record.steps_of(optimizer) if step.read]
        sizes = [len(group) for group in groups]
        kinds = {backward.kind for group in groups for backward in group}
        if len(kinds) != 1 or not _is_uneven(sizes) or _keeps_its_promise(groups):
            continue
        often = Counter(sizes).most_common()
        seen = ", ".join(f"{size} in {counted(times, 'step')}" for size, times in often)
        if max(sizes) > 2:
            yield Finding(
                "accumulating",
                "warning",
                (),
                f"the number of backward calls that a step of {optimizer.name} reads changes: "
                f"{seen}: the gradients of others are still there",
                "call zero_grad() right before each backward, and no backward in validation, "
                "which belongs under torch.no_grad()",
            )
            continue
        yield Finding(
            "uneven-groups",
            "warning",
            (),
            f"the number of backward calls that a step of {optimizer.name} reads changes: {seen}"
            + (f"; each loss was divided by {_divisor(groups[0][0]):g}" * _is_divided(groups)),
            "step if (index + 1) % accumulation_steps == 0; `if index % accumulation_steps` is "
            "true for all the others",
        )


def _is_uneven(sizes: list[int]) -> bool:
    """True for groups of one, mostly, and a larger one at equal distances."""
    larger = [index for index, size in enumerate(sizes) if size > 1]
    distances = {after - before for before, after in pairwise(larger)}
    same = len({sizes[index] for index in larger}) == 1
    return len(larger) > 1 and same and len(distances) == 1 and min(distances) > 1


def _keeps_its_promise(groups: list[list[Backward]]) -> bool:
    """True if groups are as large as the number that losses were divided by."""
    return any(len(group) > 1 and _divisor(group[0]) == len(group) for group in groups)


def _divisor(backward: Backward) -> float:
    return round(backward.divided, 3)


def _is_divided(groups: list[list[Backward]]) -> bool:
    return all(_divisor(backward) > 1 for group in groups for backward in group)


def uneven_tokens(record: Record) -> Iterator[Finding]:
    """Means over very different numbers of targets are added with the same weight."""
    groups = [step.read for step in record.steps if len(step.read) > 1]
    uneven = [group for group in groups if _ratio(group) > limit.UNEVEN_TOKENS]
    if uneven and 2 * len(uneven) > len(groups):
        counts = ", ".join(f"{b.tokens[0]:g}" for b in uneven[-1] if b.tokens)
        yield Finding(
            "uneven-tokens",
            "warning",
            (),
            f"{len(uneven)} of {counted(len(groups), 'accumulated step')} add means over different "
            f"numbers of targets ({counts}) with the same weight: a target counts "
            f"{_ratio(uneven[-1]):.2g} times as much as another",
            "sum the losses (reduction='sum') and divide by the number of targets in all the "
            "micro-batches of the step",
        )


def _ratio(group: list[Backward]) -> float:
    """The largest number of targets over the smallest, if padding makes them differ; else 1."""
    found = [backward.tokens for backward in group if backward.tokens is not None]
    if len(found) < len(group) or len({frozenset(b.leaves) for b in group}) > 1:
        return 1.0
    weights = [weight for _, _, weight in found]
    padded = [counted / total for counted, total, _ in found]
    if max(weights) > 1.01 * min(weights) or max(padded) == min(padded):
        return 1.0
    return max(counted for counted, _, _ in found) / min(counted for counted, _, _ in found)


def accumulating(record: Record) -> Iterator[Finding]:
    """A step read the sum of several backward calls."""
    group = max((step.read for step in record.steps), key=len, default=[])
    if len(group) < 2:
        return
    divisors = {_divisor(backward) for backward in group}
    yield Finding(
        "accumulating",
        "info",
        (),
        f"a step reads the sum of up to {len(group)} backward calls{_told(divisors)}",
        _advice(divisors, len(group)),
    )


def _told(divisors: set[float]) -> str:
    if len(divisors) > 1:
        return ""
    (divisor,) = divisors
    if divisor == 1:
        return ", whose losses were not divided"
    return f", each loss divided by {divisor:g}"


def _advice(divisors: set[float], count: int) -> str:
    if divisors == {float(count)}:
        return "nothing: the sum is their mean"
    if max(divisors) > 1:
        return f"nothing, if the weights are meant; for their mean divide each loss by {count}"
    return f"to get their mean, divide each loss by {count}"
