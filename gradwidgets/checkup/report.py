"""The result of a checkup: the findings and the events of the loop.

`print` shows it as text, Jupyter as a table.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal, TextIO

from gradwidgets.checkup import formats
from gradwidgets.checkup.record import Event

Severity = Literal["error", "warning", "info"]

SECTIONS = {
    "Wiring": {
        "not-in-optimizer",
        "not-in-model",
        "frozen",
        "unregistered",
        "detached",
        "duplicate",
        "eval-mode",
        "frozen-statistics",
        "ranks-differ",
    },
    "Order": {
        "no-graph",
        "no-backward",
        "no-step",
        "step-before-backward",
        "step-twice",
        "not-cleared",
        "cleared-before-step",
        "amp-skipping",
        "leftover",
        "accumulating",
        "uneven-groups",
        "uneven-tokens",
        "amp-scale",
    },
    "Loss": {"broadcast-loss", "ascending", "loss-input", "not-detached", "grad-unused"},
    "Gradients": {
        "zero-gradient",
        "non-finite",
        "exploding",
        "vanishing",
        "clipped-away",
        "clip-misplaced",
    },
    "Updates": {
        "zero-lr",
        "update-too-small",
        "update-too-large",
        "update-undone",
        "mask-undone",
        "optimizer-replaced",
    },
}
"""The headings of the table in lesson 09, and the codes below each."""

_COLUMNS = ("finding", "parameters", "what was seen", "what to do")
_CELL = "text-align:left;vertical-align:top;white-space:normal"
_BREAKABLE = f"{_CELL};overflow-wrap:anywhere"  # a long name must not widen a narrow page
_BADGE = "color:#fff;border-radius:3px;padding:0 5px;font-size:85%"
_COLORS = {"error": "#b3261e", "warning": "#8a5a00", "info": "#3b6ea5"}  # on light and on dark


_LIMITS = (
    "not seen by a checkup: whether data and targets are right, whether the model is able to learn "
    "them, and how it does on new data"
)
"""The line of a report without errors and warnings: it is no all-clear."""


@dataclass(frozen=True)
class Finding:
    """One broken link in the chain from the loss to a parameter that moves.

    Args:
        code: The name of the fault, as in the table of lesson 09.
        severity: "error", "warning" or "info".
        parameters: Names of the parameters (or modules) concerned.
        message: What was seen.
        fix: What to do about it.
        concerns: Names of all parameters that it is about, where `parameters` does not list them.
        began: The number of the event from which on it was seen; None where that is not known.
        given: True if the loop was given it (NaN in the data), and nothing in it is the cause.

    >>> print(Finding("no-step", "error", ("0.weight",), "no step", "call optimizer.step()"))
    error no-step [0.weight]
        seen: no step
        do:   call optimizer.step()
    """

    code: str
    severity: Severity
    parameters: tuple[str, ...]
    message: str
    fix: str
    concerns: tuple[str, ...] = field(default=(), compare=False, repr=False)
    began: int | None = field(default=None, compare=False, repr=False)
    given: bool = field(default=False, compare=False, repr=False)

    @property
    def section(self) -> str | None:
        """The heading in lesson 09 that explains the code; None if the code is not there."""
        return next((name for name, codes in SECTIONS.items() if self.code in codes), None)

    def __str__(self) -> str:
        more = len(self.parameters) - 4
        names = ", ".join(self.parameters[:4]) + (f" and {more} more" if more > 0 else "")
        head = f"{self.severity} {self.code}" + (f" [{names}]" if names else "")
        return f"{head}\n    seen: {self.message}\n    do:   {self.fix}"

    def _html_row(self) -> str:
        badge = (
            f'<span style="{_BADGE};background:{_COLORS[self.severity]}">'
            f"{escape(self.severity)}</span>"
        )
        head = f'{badge}<br><b style="white-space:nowrap">{escape(self.code)}</b>'
        if self.section:
            head += f'<br><span style="white-space:nowrap">lesson 09, {self.section}</span>'
        more = len(self.parameters) - 6
        names = [f"<code>{escape(name)}</code>" for name in self.parameters[:6]]
        names += [f"and {more} more"] if more > 0 else []
        cells = (head, "<br>".join(names), escape(self.message), escape(self.fix))
        return "<tr>" + "".join(f'<td style="{_BREAKABLE}">{cell}</td>' for cell in cells) + "</tr>"


@dataclass
class Report:
    """The findings and events of a watched block, filled when it ends, even by an error.

    Args:
        findings: Broken links: by severity, likeliest cause first, each before its consequences.
        events: What the loop did, in order.
        steps: Number of optimizer steps watched.
        failures: Parts of the checkup itself that failed, and how.
        unseen: What cannot be seen in this loop, and why.
        ignored: Codes of findings that are left out, because `checkup` was told to.
        complete: True once the block has ended.

    >>> finding = Finding("no-step", "error", ("0.weight",), "no step", "call optimizer.step()")
    >>> report = Report([finding], steps=0, complete=True)
    >>> report.headline
    'no-step (0 steps watched)'
    >>> report.codes
    {'no-step'}
    >>> report.show()
    checkup: no-step (0 steps watched)
    error no-step [0.weight]: no step
      do: call optimizer.step()
    """

    findings: list[Finding] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    steps: int = 0
    failures: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    complete: bool = False

    @property
    def codes(self) -> set[str]:
        """The codes of all findings."""
        return {finding.code for finding in self.findings}

    @property
    def headline(self) -> str:
        """One line: the codes of errors and warnings, and the number of steps."""
        grave = [finding.code for finding in self.findings if finding.severity != "info"]
        steps = f"{counted(self.steps, 'step')} watched"
        text = ", ".join(grave) or ("nothing wrong seen" if self.steps else "no step was seen")
        return f"{text} ({steps}{', not everything was checked' if self.unchecked else ''})"

    @property
    def unchecked(self) -> list[str]:
        """All that was not checked: parts that failed, and what cannot be seen."""
        return self.failures + self.unseen

    def _left_out(self) -> list[str]:
        clear = all(finding.severity == "info" for finding in self.findings)
        lines = [_LIMITS] if clear else []
        lines += [f"not checked: {reason}" for reason in self.unchecked]
        return lines + ([f"ignored, as told: {', '.join(self.ignored)}"] if self.ignored else [])

    def raise_for_errors(self) -> None:
        """Raise AssertionError with the report if it holds an error; for use in tests."""
        if any(finding.severity == "error" for finding in self.findings):
            raise AssertionError(str(self))

    def to_dict(self) -> dict[str, Any]:
        """The whole report as plain data, in the form of `REPORT_SCHEMA`."""
        return {
            "schema": formats.SCHEMA_NAME,
            "complete": self.complete,
            "headline": self.headline,
            "steps": self.steps,
            "findings": [
                {
                    "code": finding.code,
                    "severity": finding.severity,
                    "parameters": list(finding.parameters),
                    "message": finding.message,
                    "fix": finding.fix,
                }
                for finding in self.findings
            ],
            "events": [vars(event).copy() for event in self.events],
            "not_checked": self.unchecked,
            "ignored": list(self.ignored),
        }

    def to_json(self, indent: int | None = None) -> str:
        """The whole report as strict JSON; its schema is `gradwidgets.checkup.REPORT_SCHEMA`."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_sarif(self, script: str) -> str:
        """The findings as SARIF 2.1.0, which code review tools show beside the code.

        Args:
            script: the file with the loop, relative to the repository's root. A finding stands
                at its first line: a checkup sees parameters and calls, and no lines.
        """
        return json.dumps(formats.sarif([self.to_dict()], script), indent=2, allow_nan=False)

    def show(self, file: TextIO | None = None) -> None:
        """Write a few lines, in colour to a terminal unless NO_COLOR is set: what to do.

        Args:
            file: where to write; None is `sys.stdout`.
        """
        file = sys.stdout if file is None else file
        if self.complete:
            file.write(formats.few_lines(self.to_dict(), formats.takes_color(file)))
        else:
            file.write(f"{self}\n")

    def __str__(self) -> str:
        if not self.complete:
            return "checkup: still watching; the report is filled when the with block ends"
        lines = [f"checkup: {self.headline}", *map(str, self.findings)]
        lines += self._left_out()
        return "\n".join([*lines, f"as it happened: {' > '.join(map(str, self.events[:40]))}"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The whole report as a table; every text that comes from the loop is escaped."""
        if not self.complete:
            return f"<p>{escape(str(self))}</p>"
        parts = [f"<p><b>checkup:</b> {escape(self.headline)}</p>"]
        if self.findings:
            head = "".join(f'<th scope="col" style="{_CELL}">{name}</th>' for name in _COLUMNS)
            rows = "".join(finding._html_row() for finding in self.findings)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
        parts += [f"<p>{escape(line)}</p>" for line in self._left_out()]
        shown = " &rarr; ".join(escape(str(event)) for event in self.events[:60])
        more = len(self.events) - 60
        rest = f" &hellip; and {more} more" if more > 0 else ""
        return "".join([*parts, f"<p><b>as it happened:</b> {shown or 'nothing'}{rest}</p>"])


def counted(number: int, noun: str) -> str:
    """'1 step', '2 steps', '2 passes'."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{'' if number == 1 else ending}"
