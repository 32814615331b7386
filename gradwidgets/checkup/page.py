"""The report as a table and a timeline for Jupyter."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradwidgets.checkup.report import Event, Finding, Report

LESSON = "09_why_do_my_parameters_not_update.ipynb"
SECTIONS = {
    "Wiring": {
        "not-in-optimizer",
        "not-in-model",
        "frozen",
        "unregistered",
        "detached",
        "duplicate",
        "eval-mode",
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
    },
    "Loss": {"broadcast-loss", "ascending"},
    "Gradients": {"zero-gradient", "non-finite", "exploding", "vanishing", "clipped-away"},
    "Updates": {"zero-lr", "update-too-small", "update-too-large"},
}
"""The headings of the lesson's table, and the codes below each."""

MOST_EVENTS = 60
MOST_NAMES = 6

_COLUMNS = ("finding", "parameters", "what was seen", "what to do")
_CELL = "text-align:left;vertical-align:top;white-space:normal"
_BROKEN = f"{_CELL};overflow-wrap:anywhere"  # a long name must not widen a narrow page
_BADGE = "color:#fff;border-radius:3px;padding:0 5px;font-size:85%"
_COLORS = {"error": "#b3261e", "warning": "#8a5a00", "info": "#3b6ea5"}  # on light and on dark


def html(report: Report) -> str:
    """The whole report; every text that comes from the loop is escaped."""
    if not report.complete:
        return f"<p>{escape(str(report))}</p>"
    parts = [f"<p><b>checkup:</b> {escape(report.headline)}</p>"]
    if report.findings:
        head = "".join(f'<th scope="col" style="{_CELL}">{name}</th>' for name in _COLUMNS)
        rows = "".join(map(_row, report.findings))
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    parts += [f"<p>not checked: {escape(failure)}</p>" for failure in report.failures]
    return "".join([*parts, _timeline(report.events)])


def _row(finding: Finding) -> str:
    cells = (
        _headed(finding),
        _names(finding.parameters),
        escape(finding.message),
        escape(finding.fix),
    )
    return "<tr>" + "".join(f'<td style="{_BROKEN}">{cell}</td>' for cell in cells) + "</tr>"


def _headed(finding: Finding) -> str:
    color = _COLORS[finding.severity]
    badge = f'<span style="{_BADGE};background:{color}">{escape(finding.severity)}</span>'
    code = f'<b style="white-space:nowrap">{escape(finding.code)}</b>'
    section = next((name for name, codes in SECTIONS.items() if finding.code in codes), None)
    if section is None:
        return f"{badge}<br>{code}"
    return f"{badge}<br>{code}<br>{_lesson(section)}"


def _lesson(section: str) -> str:
    """A link where the lesson lies beside the notebook that is open, its name elsewhere."""
    style, text = "white-space:nowrap", f"lesson 09, {section}"
    if Path(LESSON).exists():
        return f'<a style="{style}" href="{LESSON}#{section}">{text}</a>'
    return f'<span style="{style}">{text}</span>'


def _names(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_NAMES
    shown = [f"<code>{escape(name)}</code>" for name in names[:MOST_NAMES]]
    return "<br>".join([*shown, f"and {more} more"] if more > 0 else shown)


def _timeline(events: list[Event]) -> str:
    shown = " &rarr; ".join(escape(str(event)) for event in events[:MOST_EVENTS])
    more = len(events) - MOST_EVENTS
    rest = f" &hellip; and {more} more" if more > 0 else ""
    return f"<p><b>as it happened:</b> {shown or 'nothing'}{rest}</p>"
