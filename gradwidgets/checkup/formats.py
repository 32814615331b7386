"""Other forms of a report: its JSON schema, SARIF for code review, a few lines for a terminal.

They are made from the plain dict that `Report.to_dict` returns.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TextIO
from urllib.parse import quote

SCHEMA_NAME = "gradwidgets-checkup-report/1"

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    """An object with these properties, all of them required and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


REPORT_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A report of gradwidgets' checkup",
    **_object(
        schema={"const": SCHEMA_NAME},
        complete={"type": "boolean", "description": "False while the loop is still watched"},
        headline={**_TEXT, "description": "One line: codes of errors and warnings, and steps"},
        steps={"type": "integer", "minimum": 0, "description": "Optimizer steps watched"},
        findings={
            "type": "array",
            "description": "By severity, likeliest cause first, each before its consequences",
            "items": _object(
                code={**_TEXT, "pattern": "^[a-z-]+$"},
                severity={"enum": ["error", "warning", "info"]},
                parameters={**_TEXTS, "description": "Names of parameters or modules"},
                message={**_TEXT, "description": "What was seen"},
                fix={**_TEXT, "description": "What to do about it"},
            ),
        },
        events={
            "type": "array",
            "description": "What the loop did, in order; neighbours that are equal are one entry",
            "items": _object(kind=_TEXT, detail=_TEXT, times={"type": "integer", "minimum": 1}),
        },
        not_checked={**_TEXTS, "description": "What failed in the checkup or cannot be seen"},
        ignored={**_TEXTS, "description": "Codes that were left out, as `ignore` told"},
    ),
}
"""The JSON schema of `Report.to_json`. Another form of report would have another `schema`."""

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(documents: Sequence[dict[str, Any]], script: str) -> dict[str, Any]:
    """Reports as a SARIF 2.1.0 log (OASIS, Static Analysis Results Interchange Format).

    Every report is a run, told apart by its number; every code a rule; a finding's parameters are
    its logical locations.
    """
    uri = quote(script.replace(os.sep, "/"))
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [_run(document, uri, place) for place, document in enumerate(documents, 1)],
    }


def _run(document: dict[str, Any], uri: str, place: int) -> dict[str, Any]:
    findings = document["findings"]
    codes = list(dict.fromkeys(finding["code"] for finding in findings))
    rules = [{"id": code, "name": code.title().replace("-", "")} for code in codes]
    notes = [{"level": "note", "message": {"text": text}} for text in document["not_checked"]]
    return {
        "tool": {"driver": {"name": "gradwidgets checkup", "rules": rules}},
        "automationDetails": {"id": f"gradwidgets-checkup/{place}/"},
        "results": [_result(finding, codes, uri) for finding in findings],
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
    }


def _result(finding: dict[str, Any], codes: list[str], uri: str) -> dict[str, Any]:
    return {
        "ruleId": finding["code"],
        "ruleIndex": codes.index(finding["code"]),
        "level": _LEVELS[finding["severity"]],
        "message": {"text": f"{finding['message']}. What to do: {finding['fix']}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}},
                "logicalLocations": [
                    {"fullyQualifiedName": name, "kind": "member"} for name in finding["parameters"]
                ],
            }
        ],
    }


_PAINT = {"error": "31", "warning": "33", "info": "36", "good": "32"}


def few_lines(document: dict[str, Any], colored: bool) -> str:
    """The headline, and what to do about each error and warning; the rest is only counted."""

    def painted(kind: str, text: str) -> str:
        return f"\x1b[1;{_PAINT[kind]}m{text}\x1b[0m" if colored else text

    grave = [one for one in document["findings"] if one["severity"] != "info"]
    worst = grave[0]["severity"] if grave else "info" if document["not_checked"] else "good"
    lines = [painted(worst, f"checkup: {document['headline']}")]
    for finding in grave:
        names = finding["parameters"]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        of = f" [{names[0]}{more}]" if names else ""
        head = painted(finding["severity"], f"{finding['severity']} {finding['code']}")
        lines += [f"{head}{of}: {finding['message']}", f"  do: {finding['fix']}"]
    lines += [f"not checked: {reason}" for reason in document["not_checked"]]
    return "".join(f"{line}\n" for line in lines)


def takes_color(file: TextIO) -> bool:
    """True for a terminal, if neither NO_COLOR (no-color.org) nor TERM=dumb speaks against it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(getattr(file, "isatty", bool)())
