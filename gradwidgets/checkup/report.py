"""What a checkup says: findings, most likely root first, and the timeline of the loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gradwidgets.checkup import page

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One broken link: its code, how grave, which parameters, what was seen and what to do."""

    code: str
    severity: Severity
    parameters: tuple[str, ...]
    message: str
    fix: str

    def __str__(self) -> str:
        names = f" [{shorten(self.parameters)}]" if self.parameters else ""
        return f"{self.severity} {self.code}{names}\n    seen: {self.message}\n    do:   {self.fix}"


@dataclass
class Event:
    """One thing the loop did: forward, backward, grad, edit, clear, step, skip or error."""

    kind: str
    detail: str = ""
    times: int = 1

    def __str__(self) -> str:
        text = f"{self.kind} ({self.detail})" if self.detail else self.kind
        return f"{text} x{self.times}" if self.times > 1 else text


@dataclass
class Report:
    """Filled when the watched block ends, also by an exception."""

    findings: list[Finding] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    steps: int = 0
    failures: list[str] = field(default_factory=list)  # parts of the checkup itself that failed
    complete: bool = False

    @property
    def codes(self) -> set[str]:
        """The codes of all findings."""
        return {finding.code for finding in self.findings}

    def raise_for_errors(self) -> None:
        """Raise AssertionError with the report if it holds an error; for use in tests."""
        if any(finding.severity == "error" for finding in self.findings):
            raise AssertionError(str(self))

    def __str__(self) -> str:
        if not self.complete:
            return "checkup: still watching; the report is filled when the with block ends"
        lines = [f"checkup: {self.headline}", *map(str, self.findings)]
        lines += [f"not checked: {failure}" for failure in self.failures]
        return "\n".join([*lines, f"as it happened: {' > '.join(map(str, self.events[:40]))}"])

    __repr__ = __str__

    @property
    def headline(self) -> str:
        """One sentence that counts."""
        grave = [finding.code for finding in self.findings if finding.severity != "info"]
        steps = f"{counted(self.steps, 'step')} watched"
        text = ", ".join(grave) or "nothing wrong seen"
        return f"{text} ({steps}{', not everything was checked' if self.failures else ''})"

    def _repr_html_(self) -> str:
        return page.html(self)


def counted(number: int, noun: str) -> str:
    """'1 step', '2 steps', '2 passes'."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{'' if number == 1 else ending}"


def shorten(names: tuple[str, ...], most: int = 4) -> str:
    """The first few names and how many more."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
