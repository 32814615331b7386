"""`checkup`, the context manager: it watches a loop, runs the rules and fills the report."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from torch import nn
from torch.optim import Optimizer

from gradwidgets.checkup.observer import Observer
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
    observer = Observer(_modules(model), _optimizers(optimizer))
    report = Report()
    try:
        with observer.listening():
            yield report
    finally:
        record = observer.record
        report.findings, failures = diagnose(record)
        report.events = record.timeline.events
        report.steps = sum(known.steps for known in record.optimizers)
        report.failures = observer.failures + failures
        report.complete = True
        if report.failures:
            with suppress(Warning):  # where warnings are errors, this one must not end the loop
                warnings.warn(f"checkup is incomplete: {report.failures[0]}", stacklevel=3)


def _modules(model: object) -> list[nn.Module]:
    given = list(model) if isinstance(model, (list, tuple)) else [model]
    modules = [module for module in given if isinstance(module, nn.Module)]
    if len(modules) < len(given) or not given:
        raise TypeError(f"model must be a torch.nn.Module or a list of them, not {model!r}")
    return modules


def _optimizers(optimizer: object) -> list[Optimizer]:
    given = list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer]
    found = []
    for candidate in given:
        inner = candidate
        while not isinstance(inner, Optimizer) and hasattr(inner, "optimizer"):
            inner = inner.optimizer
        if not isinstance(inner, Optimizer):
            raise TypeError(
                f"optimizer must be a torch.optim.Optimizer or a list of them, not {candidate!r}"
            )
        found.append(inner)
    return found
