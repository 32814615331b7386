"""`checkup`: it watches a loop, runs the rules and fills the report."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ContextDecorator, suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from types import TracebackType

from torch import nn
from torch.optim import Optimizer

from gradwidgets.checkup.inventory import not_torch
from gradwidgets.checkup.observer import Observer, unobserved
from gradwidgets.checkup.report import SECTIONS, Finding, Report
from gradwidgets.checkup.rules import diagnose

Ignore = Iterable[str] | Mapping[str, str | Iterable[str]]
"""Codes, or for each code the patterns of the parameters' names to which it does not matter."""


def checkup(
    model: nn.Module | Sequence[nn.Module],
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    *,
    max_steps: int | None = None,
    ignore: Ignore = (),
) -> Watch:
    """Watch the loop in the `with` block without changing it, and report the broken link.

    Training is bit-identical with and without it. An exception raised inside propagates; the
    report is filled all the same. Where there is no block, `start()` and `stop()` do the same.

    Args:
        model: The module being trained, or several (a generator and a discriminator).
        optimizer: The optimizer that trains it, or several; a wrapper that keeps the real one
            in an attribute `optimizer` may be given instead. None finds them as they step.
        max_steps: The number of optimizer steps, of all optimizers together, after which the
            watch ends by itself and the report is filled; None watches until the end.
        ignore: Codes that are no fault here, as {"accumulating"}; or for each code the names of
            the parameters that it does not concern, as patterns: {"frozen": "encoder.*"}.

    Returns:
        A `Watch`; as a context manager it gives the report, which is filled when the block ends.

    Raises:
        TypeError: If `model` holds anything but modules or `optimizer` anything but optimizers.
        ValueError: If `max_steps` is less than 1, or `ignore` has a code that there is not.

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
    modules = _modules(model)
    given = None if optimizer is None else _optimizers(optimizer)
    if max_steps is not None and (type(max_steps) is not int or max_steps < 1):
        raise ValueError(f"max_steps must be None or a whole number from 1 on, not {max_steps!r}")
    return Watch(modules, given, max_steps, _patterns(ignore))


class Watch(ContextDecorator):
    """A watch that `checkup` has made: it is begun by `start()` or `with`, and may be again.

    Attributes:
        report: The report of the latest watch; it is filled when that ends.

    >>> import torch
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    >>> watch = checkup(model, max_steps=2)
    >>> report = watch.start()
    >>> for _ in range(3):
    ...     optimizer.zero_grad()
    ...     model(torch.ones(4, 2)).square().mean().backward()
    ...     optimizer.step()
    >>> report.headline
    'zero-lr (2 steps watched)'
    >>> watch.stop() is report
    True
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        optimizers: tuple[list[Optimizer], list[object]] | None,
        max_steps: int | None,
        ignore: Mapping[str, Sequence[str]],
    ) -> None:
        self.report = Report()
        self._modules, self._optimizers = modules, optimizers
        self._max_steps, self._ignore = max_steps, ignore
        self._observer: Observer | None = None

    def start(self) -> Report:
        """Begin to watch; a watch that is on ends before.

        Returns:
            A new report, which `stop()` fills, or the step that is the last of `max_steps`.
        """
        self.stop()
        found, others = self._optimizers or (None, [])
        self.report = report = Report()

        def fill() -> None:
            _fill(report, observer, self._ignore)

        self._observer = observer = Observer(self._modules, found, self._max_steps, fill)
        observer.record.all_optimizers_seen = not others
        observer.record.unseen += [not_torch(type(other).__name__) for other in others]
        observer.begin()
        return report

    def stop(self, error: BaseException | None = None) -> Report:
        """End the watch and fill its report; of a watch that has ended, return the report.

        Args:
            error: What ended the loop, if something did; the report tells it.
        """
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.end(error)
        return self.report

    def __enter__(self) -> Report:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(error)


def _fill(report: Report, observer: Observer, ignore: Mapping[str, Sequence[str]]) -> None:
    """Fill in a report; whatever fails in this must not end the loop."""
    record = observer.record
    if not observer.blind:
        with unobserved():
            found, failures = diagnose(record)
        report.findings, report.ignored = _without_ignored(found, ignore)
        observer.failures += failures
    report.events = record.timeline.events
    report.steps = sum(known.steps for known in record.optimizers)
    report.failures = observer.failures
    report.unseen = record.unseen
    report.complete = True
    if report.failures:
        with suppress(Warning):  # where warnings are errors, this one must not end the loop
            warnings.warn(f"checkup is incomplete: {report.failures[0]}", stacklevel=6)


def _patterns(ignore: Ignore) -> dict[str, tuple[str, ...]]:
    """For each code the patterns of names; "*" where the code is ignored altogether."""
    if isinstance(ignore, str):
        ignore = (ignore,)
    told = ignore if isinstance(ignore, Mapping) else dict.fromkeys(ignore, "*")
    known = set().union(*SECTIONS.values())
    if wrong := [code for code in told if code not in known]:
        raise ValueError(
            f"ignore: {wrong[0]!r} is no code; the codes are {', '.join(sorted(known))}"
        )
    return {code: (one,) if isinstance(one, str) else tuple(one) for code, one in told.items()}


def _without_ignored(
    findings: list[Finding], ignore: Mapping[str, Sequence[str]]
) -> tuple[list[Finding], list[str]]:
    """The findings that count, of the parameters that count; and the codes of the others."""
    kept: list[Finding] = []
    ignored: list[str] = []
    for finding in findings:
        patterns = ignore.get(finding.code, ())
        names = [n for n in finding.parameters if not any(fnmatchcase(n, one) for one in patterns)]
        if "*" in patterns or (finding.parameters and not names):
            ignored.append(finding.code)
        else:
            kept.append(replace(finding, parameters=tuple(names)))
    return kept, list(dict.fromkeys(ignored))


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
