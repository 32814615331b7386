"""The rules, in order: each is a small function that reads the record.

The likeliest root causes come first: mostly wiring, then call order, then the sizes of gradients
and updates, which either can spoil.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

from gradwidgets.checkup.record import Record
from gradwidgets.checkup.report import Finding
from gradwidgets.checkup.rules import accumulation, gradients, loss, order, updates, wiring

Rule = Callable[[Record], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    wiring.frozen,
    wiring.ignored_flag,
    wiring.misspelled_flag,
    wiring.not_in_model,
    order.step_before_backward,
    order.no_graph,
    loss.broadcast_loss,
    wiring.unregistered,
    wiring.not_in_optimizer,
    wiring.left_out_by_criterion,
    wiring.detached,
    wiring.frozen_statistics,
    order.never_cleared_scaled,
    order.amp_scale,
    order.amp_skipping,
    order.no_backward,
    order.no_step,
    order.cleared_before_step,
    order.reads_nothing,
    order.not_cleared,
    order.contains_earlier,
    order.step_twice,
    updates.zero_lr,
    updates.spent_lr,
    updates.undone,
    updates.taken_back,
    loss.ascending,
    loss.loss_input,
    loss.not_detached,
    loss.grad_unused,
    gradients.exploding_at_once,
    updates.update_too_large,
    gradients.exploding_later,
    gradients.non_finite,
    gradients.zero_gradient,
    gradients.dies_out,
    gradients.clipped_away,
    gradients.clip_misplaced,
    gradients.vanishing,
    updates.update_too_small,
    updates.mask_undone,
    updates.replaced,
    wiring.eval_mode,
    wiring.not_averaged,
    wiring.duplicate,
    wiring.untied,
    wiring.equal_units,
    order.leftover,
    accumulation.mixed,
    accumulation.uneven_groups,
    accumulation.uneven_tokens,
    accumulation.accumulating,
)

_BROKEN_SIZES = {"exploding", "update-too-large", "non-finite"}
_UNREAD = {"no-backward", "no-step", "cleared-before-step", "leftover"}

CONSEQUENCES: dict[str, set[str]] = {
    "frozen": {"no-graph", "detached"} | _UNREAD,
    "not-in-model": {"not-in-optimizer", "no-backward", "duplicate"},
    "step-before-backward": {"not-cleared", "step-twice", "accumulating"} | _UNREAD,
    "no-graph": {"detached", "non-finite"} | _UNREAD,
    "unregistered": {"no-graph", "no-backward"},
    "detached": {"zero-gradient", "vanishing", "accumulating"} | _UNREAD,
    "amp-skipping": {"non-finite", "clipped-away", "accumulating"} | _UNREAD,
    "no-backward": {"step-twice", "update-too-small"},
    "no-step": {"leftover", "not-cleared", "cleared-before-step", "accumulating"},
    "cleared-before-step": {"zero-gradient", "leftover", "no-backward", "mask-undone"},
    "not-cleared": _BROKEN_SIZES | {"accumulating", "zero-gradient", "amp-skipping"},
    "amp-scale": _BROKEN_SIZES | {"clipped-away", "update-too-small", "vanishing"},
    "step-twice": _BROKEN_SIZES,
    "zero-lr": {"update-too-small"},
    "ascending": _BROKEN_SIZES,
    "exploding": _BROKEN_SIZES | {"zero-gradient", "vanishing", "clipped-away"},
    "update-too-large": _BROKEN_SIZES | {"zero-gradient", "vanishing"},
    "non-finite": {"zero-gradient", "vanishing", "update-too-small", "clipped-away"},
    "zero-gradient": {"vanishing", "update-too-small"},
    "clipped-away": {"update-too-small", "zero-gradient", "mask-undone"},
    "uneven-groups": {"accumulating", "leftover"},
    "vanishing": {"update-too-small"},
}
"""The findings that each broken link can cause by itself."""


def diagnose(record: Record) -> tuple[list[Finding], list[str]]:
    """All findings by severity, likeliest root first, each followed by its consequences as info.

    A root is as grave as the gravest of its consequences.

    Returns:
        The findings, and the rules that failed: a bug in one must not hide the findings of the
        others or an error in the loop.
    """
    found, failures = zip(*(_found_by(rule, record) for rule in RULES), strict=True)
    roots: list[Finding] = []
    following: dict[str, list[Finding]] = {}
    for finding in chain(*found):
        at = next((at for at, root in enumerate(roots) if _explains(root, finding)), None)
        if at is None:
            roots.append(finding)
        else:
            root = roots[at]
            if root.severity == "warning" and finding.severity == "error":
                roots[at] = replace(root, severity="error")
            message = f"follows from {root.code}: {finding.message}"
            folded = replace(finding, severity="info", message=message)
            following.setdefault(root.code, []).append(folded)
    grave = sorted(roots, key=lambda finding: ("error", "warning", "info").index(finding.severity))
    ordered = [one for root in grave for one in (root, *following.pop(root.code, []))]
    return ordered, [failure for failure in failures if failure]


def _found_by(rule: Rule, record: Record) -> tuple[list[Finding], str]:
    """The findings of a rule, and its failure ("" if none)."""
    try:
        return list(rule(record)), ""
    except Exception as error:
        return [], f"the rule {rule.__name__} failed: {type(error).__name__}: {error}"


def _explains(root: Finding, finding: Finding) -> bool:
    """True if one finding can be the cause of another: neither later, nor of other parameters."""
    is_root = root.severity != "info" or root.code == "amp-skipping"
    if not is_root or finding.code not in CONSEQUENCES.get(root.code, set()):
        return False
    early = finding.began is not None and finding.began < (root.began or 0)
    if early or finding.given:
        return False
    caused, own = (set(one.parameters or one.concerns) for one in (root, finding))
    if not caused or not own or _spreads(root.code, finding.code):
        return True
    return own <= caused if finding.code in _CALLS else bool(own & caused)


_CALLS = _UNREAD | {"not-cleared", "step-twice", "accumulating", "amp-skipping"}
"""Findings about all parameters of an optimizer: a cause in a part of them explains no more."""

_SPREADING = {
    "amp-scale",
    "ascending",
    "exploding",
    "non-finite",
    "not-cleared",
    "step-twice",
    "update-too-large",
}
_ELSEWHERE = {"not-in-model", "unregistered"}


def _spreads(root: str, finding: str) -> bool:
    """True if a cause in some parameters can show in others.

    Parameters that have become too large, or not a number, spoil all gradients; what an optimizer
    holds in place of the model's parameters has other names than these.
    """
    if root in _ELSEWHERE:
        return finding != "duplicate"
    return root in _SPREADING and finding not in _CALLS
