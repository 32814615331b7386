"""The report as a table and a timeline for Jupyter."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradwidgets.checkup.report import Event, Finding, Report

LESSON = "09_checkup.ipynb"  # its sections are named by the codes
MOST_EVENTS = 60

_COLUMNS = ("severity", "code", "parameters", "what was seen", "what to do", "lesson")
_CELL = "text-align:left;vertical-align:top;white-space:normal"


def html(report: Report) -> str:
    """The whole report; every text that comes from the loop is escaped."""
    if not report.complete:
        return f"<p>{escape(str(report))}</p>"
    parts = [f"<p><b>checkup:</b> {escape(report.headline)}</p>"]
    if report.findings:
        head = "".join(f'<th scope="col" style="{_CELL}">{name}</th>' for name in _COLUMNS)
        rows = "".join(map(_row, report.findings))
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    return "".join([*parts, _timeline(report.events)])


def _row(finding: Finding) -> str:
    names = "<br>".join(f"<code>{escape(name)}</code>" for name in finding.parameters)
    link = f'<a href="{LESSON}#{escape(finding.code)}">{escape(finding.code)}</a>'
    cells = [
        escape(finding.severity),
        f"<b>{escape(finding.code)}</b>",
        names,
        escape(finding.message),
        escape(finding.fix),
        link,
    ]
    return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


def _timeline(events: list[Event]) -> str:
    shown = " &rarr; ".join(escape(str(event)) for event in events[:MOST_EVENTS])
    more = len(events) - MOST_EVENTS
    rest = f" &hellip; and {more} more" if more > 0 else ""
    return f"<p><b>as it happened:</b> {shown or 'nothing'}{rest}</p>"
