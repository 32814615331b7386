"""`checkup`: the context manager that ties listening, measuring, judging and reporting together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from torch import nn
from torch.optim import Optimizer

from gradwidgets.checkup.hooks import listening
from gradwidgets.checkup.observer import Observer
from gradwidgets.checkup.record import Seen
from gradwidgets.checkup.report import Report
from gradwidgets.checkup.rules import diagnose


@contextmanager
def checkup(
    model: nn.Module | Sequence[nn.Module], optimizer: Optimizer | Sequence[Optimizer]
) -> Iterator[Report]:
    """Watch the loop in the `with` block, unchanged, and say which link is broken.

    Training is bit-identical with and without, and an exception raised inside propagates; the
    report is complete either way.

    Args:
        model: The module being trained, or several (a generator and a discriminator).
        optimizer: The optimizer that trains it, or several; wrappers that keep the real one in
            an attribute `optimizer` are looked through.

    Yields:
        The report, filled when the block ends.

    Raises:
        TypeError: If `model` holds anything but modules or `optimizer` anything but optimizers.
    """
    observer = Observer(_modules(model), _optimizers(optimizer))
    report = Report()
    try:
        with listening(observer):
            yield report
    except BaseException as error:
        observer.stopped_by(error)
        raise
    finally:
        observer.finish()
        _fill(report, observer.seen)


def _fill(report: Report, seen: Seen) -> None:
    report.findings = diagnose(seen)
    report.events = seen.events
    report.steps = sum(optimizer.steps for optimizer in seen.optimizers)
    report.failures = seen.failures
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
