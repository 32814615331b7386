"""`checkup`, the context manager: it watches a loop, runs the rules and fills the report."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from torch import nn
from torch.optim import Optimizer

from gradwidgets.checkup.observer import Observer, unobserved
from gradwidgets.checkup.report import Report
from gradwidgets.checkup.rules import diagnose


@contextmanager
def checkup(
    model: nn.Module | Sequence[nn.Module], optimizer: Optimizer | Sequence[Optimizer]
) -> Iterator[Report]:
    """Watch the loop in the `with` block without changing it, and report the broken link.

    Training is bit-identical with and without it. An exception raised inside propagates; the
    report is filled all the same.

    Args:
        model: The module being trained, or several (a generator and a discriminator).
        optimizer: The optimizer that trains it, or several; a wrapper that keeps the real one
            in an attribute `optimizer` may be given instead.

    Yields:
        The report, filled when the block ends.

    Raises:
        TypeError: If `model` holds anything but modules or `optimizer` anything but optimizers.

    >>> import torch
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with checkup(model, optimizer) as report:
    ...     for _ in range(3):
    ...         loss = model(torch.ones(4, 2)).square().mean()
    ...         loss.backward()
    ...         optimizer.step()
    >>> report.headline
    'not-cleared (3 steps watched)'
    >>> print(report.findings[0].fix)
    call optimizer.zero_grad() once per step, before backward
    """
    found, others = _optimizers(optimizer)
    observer = Observer(_modules(model), found)
    observer.record.all_optimizers_seen = not others
    observer.record.unseen += [
        f"the steps of {type(other).__name__}, which is no torch.optim.Optimizer"
        for other in others
    ]
    report = Report()
    try:
        with observer.listening():
            yield report
    finally:
        _fill(report, observer)


def _fill(report: Report, observer: Observer) -> None:
    """Fill in a report; whatever fails in this must not end the loop."""
    record = observer.record
    if not observer.blind:
        with unobserved():
            report.findings, failures = diagnose(record)
        observer.failures += failures
    report.events = record.timeline.events
    report.steps = sum(known.steps for known in record.optimizers)
    report.failures = observer.failures
    report.unseen = record.unseen
    report.complete = True
    if report.failures:
        with suppress(Warning):  # where warnings are errors, this one must not end the loop
            warnings.warn(f"checkup is incomplete: {report.failures[0]}", stacklevel=4)


def _modules(model: object) -> list[nn.Module]:
    given = list(model) if isinstance(model, (list, tuple)) else [model]
    modules = [module for module in given if isinstance(module, nn.Module)]
    if len(modules) < len(given) or not given:
        raise TypeError(f"model must be a torch.nn.Module or a list of them, not {model!r}")
    return modules


def _optimizers(optimizer: object) -> tuple[list[Optimizer], list[object]]:
    """The optimizers among what was given, and what else steps: it cannot be watched."""
    given = list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer]
    found: list[Optimizer] = []
    others: list[object] = []
    for candidate in given:
        inner = _unwrapped(candidate)
        if isinstance(inner, Optimizer):
            found.append(inner)
        elif callable(getattr(type(inner), "step", None)):
            others.append(inner)
        else:
            raise TypeError(
                f"optimizer must be a torch.optim.Optimizer or a list of them, not {candidate!r}"
            )
    return found, others


def _unwrapped(optimizer: object) -> object:
    """The real optimizer in a wrapper's attribute, if it has one.

    A wrapper may be an `Optimizer` by its class and yet have none of its hooks (accelerate).
    """
    while not (isinstance(optimizer, Optimizer) and "_optimizer_step_pre_hooks" in vars(optimizer)):
        own = getattr(optimizer, "__dict__", {})
        inner = next((own[name] for name in _WRAPPED if hasattr(type(own.get(name)), "step")), None)
        if inner is None:
            break
        optimizer = inner
    return optimizer


_WRAPPED = ("optimizer", "_optimizer", "opt")
"""Attributes in which wrappers keep the real optimizer: accelerate, Lightning, fastai."""
