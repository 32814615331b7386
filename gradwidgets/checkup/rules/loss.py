"""Faults of the loss itself: its shape and its sign."""

from __future__ import annotations

from collections.abc import Iterator

from gradwidgets.checkup import thresholds as limit
from gradwidgets.checkup.record import Backward, OptimizerSeen, Record, Step
from gradwidgets.checkup.report import Finding, counted


def broadcast_loss(record: Record) -> Iterator[Finding]:
    """Prediction and target were broadcast against each other."""
    spreads = [b.spread for b in record.real_backwards if b.spread is not None]
    if spreads:
        before, after, weighed = spreads[0]
        yield Finding(
            "broadcast-loss",
            "error",
            (),
            f"losses of shape {before} were broadcast to {after} by a factor: each is multiplied "
            "by the factors of all samples, so that those hardly matter"
            if weighed
            else f"predictions of shape {before} were broadcast to {after}: each is compared with "
            "every target, and the best answer is their mean",
            "give both the same shape: output.squeeze(-1), or target.unsqueeze(-1)",
        )


def loss_input(record: Record) -> Iterator[Finding]:
    """A criterion gets probabilities where it takes logits, or the like."""
    misfits = [b.misfit for b in record.real_backwards if b.misfit is not None]
    if misfits:
        name, takes, given = misfits[0]
        yield Finding(
            "loss-input",
            "error" if takes.startswith("log-") else "warning",
            (),
            f"in {len(misfits)} of {counted(len(record.real_backwards), 'backward call')} {name}, "
            f"which takes {takes}, is given {given}",
            "remove the activation before it, or use the criterion that takes what you have: "
            "logits for cross_entropy and binary_cross_entropy_with_logits, log_softmax(logits) "
            "for nll_loss and kl_div",
        )


def not_detached(record: Record) -> Iterator[Finding]:
    """A target or an advantage that should be a constant is trained along."""
    found = [b.attached for b in record.real_backwards if b.attached]
    if found and not record.grad_calls:  # an equation of derivatives may look the same
        yield Finding(
            "not-detached",
            "warning",
            (),
            f"in {len(found)} of {counted(len(record.real_backwards), 'backward call')} {found[0]} "
            "is computed from trained parameters and takes part in the gradient: the loss also "
            "falls by moving what it should be compared with",
            "compute it under torch.no_grad(), or use the result of .detach(), which changes "
            "nothing in place",
        )


def grad_unused(record: Record) -> Iterator[Finding]:
    """Gradients computed with create_graph=True, through which no loss is differentiated."""
    calls = record.higher_grads
    if calls and record.steps and not any(call.used for call in calls):
        yield Finding(
            "grad-unused",
            "warning",
            (),
            f"{counted(len(calls), 'call')} of torch.autograd.grad kept a graph "
            "(create_graph=True), and no loss depends on the results: what was meant to pass "
            "through them is cut off",
            "keep the results as tensors up to the loss: no .detach(), .data, .item() or "
            "load_state_dict between; torch.func.functional_call(model, weights, x) runs a model "
            "with computed weights",
        )


def ascending(record: Record) -> Iterator[Finding]:
    """The update raises the error: maximize=True, a negative lr, or a negated loss."""
    for optimizer in record.optimizers:
        keys = {id(p.tensor) for p in optimizer.parameters}
        own = [b for b in record.real_backwards if b.reached & keys]
        directions = [backward.direction for backward in own]
        steps = record.steps_of(optimizer)
        climbs = _why_it_climbs(steps)
        late = steps[0].time + 1 if steps else None
        if climbs and 1 in directions and -1 not in directions:
            yield _ascending(
                optimizer,
                f"{climbs}, and the loss measures an error",
                late,
                certain=_trains_the_model(optimizer),
            )
        elif climbs and directions and not any(directions):
            yield _ascending(optimizer, climbs, late, certain=False)
        elif not climbs and directions and _all_negated(own, record):
            reason = "the loss is a negated error, or a likelihood not negated"
            yield _ascending(optimizer, reason, late)


def _why_it_climbs(steps: list[Step]) -> str:
    """Say why an optimizer goes up its loss; "" if it does not."""
    if any(step.maximize or min(step.lrs) < 0 for step in steps):
        return "it is set to maximize"
    measured = [step for step in steps if step.uphill is not None]
    if measured and all((step.uphill or 0.0) > limit.UPHILL for step in measured):
        return "each of its steps goes along the gradient, not against it"
    return ""


def _trains_the_model(optimizer: OptimizerSeen) -> bool:
    """False for an attack, which moves pictures and the like to where a model fails."""
    return any(parameter.in_model for parameter in optimizer.parameters)


def _all_negated(own: list[Backward], record: Record) -> bool:
    """True if each loss that shares a parameter with these is negated.

    In adversarial training, only one of a pair is.
    """
    leaves = {leaf for backward in own for leaf in backward.leaves}
    related = [b for b in record.real_backwards if b.leaves & leaves]
    return all(backward.direction < 0 for backward in related)


def _ascending(
    optimizer: OptimizerSeen, reason: str, began: int | None, certain: bool = True
) -> Finding:
    return Finding(
        "ascending",
        "error" if certain else "info",
        (),
        f"{optimizer.name} climbs: {reason}",
        "minimise errors and negative log-likelihoods; use maximize=True for rewards only",
        began=began,
    )
