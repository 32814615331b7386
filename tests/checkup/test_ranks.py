"""Reports of several processes become one; two real processes on gloo gather theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from front_ends.ports import free_port
from gradwidgets.checkup import Finding, Report, gather_reports, merge_reports
from gradwidgets.checkup.ranks import _checksums, ranks_differ
from gradwidgets.checkup.record import Event

ROOT = Path(__file__).parents[2]


def finding(code: str, severity: Any = "error", of: str = "w", message: str = "seen") -> Finding:
    return Finding(code, severity, (of,), message, "a cure")


def merged(*reports: Report) -> Report:
    return merge_reports({rank: report.to_json() for rank, report in enumerate(reports)})


def test_equal_reports_are_one_and_a_single_one_stays_as_it_is() -> None:
    report = Report(
        [finding("no-step"), finding("leftover", "info")],
        [Event("backward", "loss", 2)],
        steps=3,
        unseen=["a layer"],
        ignored=["frozen"],
        complete=True,
    )
    for together in (merged(report), merged(report, report, report)):
        assert together.to_dict() == report.to_dict()


def test_a_finding_of_some_ranks_names_them() -> None:
    clean = Report(steps=3, complete=True)
    broken = Report([finding("no-step"), finding("no-step", of="b")], steps=3, complete=True)
    other = Report([finding("no-step", message="others")], steps=3, complete=True)
    together = merged(clean, broken, other)
    assert [one.message for one in together.findings] == [
        "on ranks 1, 2 of 3: seen",
        "on rank 1 of 3: seen",
    ]
    assert together.headline == "no-step, no-step (3 steps watched)"
    with pytest.raises(AssertionError, match="on rank 1 of 3: seen"):
        together.raise_for_errors()


def test_roots_are_sorted_by_severity_each_before_its_consequences() -> None:
    follows = finding("vanishing", "info", message="follows from exploding: small")
    first = Report([finding("leftover", "warning"), finding("frozen", "info")], complete=True)
    second = Report([finding("exploding"), follows, finding("frozen", "info")], complete=True)
    found = [(one.code, one.message) for one in merged(first, second).findings]
    assert found == [
        ("exploding", "on rank 1 of 2: seen"),
        ("vanishing", "on rank 1 of 2: follows from exploding: small"),
        ("leftover", "on rank 0 of 2: seen"),
        ("frozen", "seen"),
    ]


def test_what_differs_besides_findings_is_told() -> None:
    first = Report(steps=3, failures=["a rule"], ignored=["frozen"], complete=True)
    second = Report(steps=1, ignored=["leftover"], complete=False)
    together = merged(first, second)
    assert together.steps == 1
    assert not together.complete
    assert together.ignored == ["frozen", "leftover"]
    assert together.unseen == [
        "on rank 0 of 2: a rule",
        "the ranks took different numbers of steps: rank 0 3, rank 1 1",
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "no report to merge"),
        ({0: Report().to_json(), 3: '{"schema": "x"}'}, "texts[3] is no report: its schema is 'x'"),
        ({1: "[]"}, "texts[1] is no report: its schema is None"),
    ],
)
def test_what_is_no_report_is_named(texts: dict[int, str], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        merge_reports(texts)
    assert message in str(raised.value)


def test_parameters_are_compared_bit_for_bit() -> None:
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1, dtype=torch.bfloat16)) for _ in "ab"]
    models[1].load_state_dict(models[0].state_dict())
    assert not list(ranks_differ(dict(enumerate(_checksums(model)[0] for model in models))))
    with torch.no_grad():
        models[1][1].bias.fill_(-0.0)  # type: ignore[union-attr, operator]
        models[0][1].bias.fill_(0.0)  # type: ignore[union-attr, operator]
    (found,) = ranks_differ(dict(enumerate(_checksums(model)[0] for model in models)))
    assert found.parameters == ("1.bias",)
    sums, left_out = _checksums(nn.Linear(2, 2, device="meta"))
    assert not sums
    assert "parameters of other ranks: " in left_out[0]


def test_a_single_process_gets_its_own_report() -> None:
    report = Report(complete=True)
    assert gather_reports(report, nn.Linear(1, 1)) is report
    with pytest.raises(ValueError, match="timeout must be at least 0 seconds, not -1"):
        gather_reports(report, timeout=-1)


def test_a_store_that_fails_is_named_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def add(self, *_: object) -> int:
            raise ConnectionError("gone")

    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist.distributed_c10d, "_get_default_store", Broken)
    report = Report([finding("no-step")], complete=True)
    found = gather_reports(report)
    assert found.findings == report.findings
    assert found.failures == ["reports of other ranks: ConnectionError: gone"]


@pytest.fixture
def gathered(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """What rank 0 of two processes has gathered."""

    def run(mode: str) -> dict[str, Any]:
        port = free_port()
        file = tmp_path / "report.json"
        module = [sys.executable, "-m", "tests.checkup.two_processes", mode]
        processes = [
            subprocess.Popen([*module, rank, str(port), str(file)], cwd=ROOT) for rank in "01"
        ]
        try:
            assert [process.wait(timeout=300) for process in processes] == [0, 0]
        finally:
            for process in processes:
                process.kill()
        text = file.read_text(encoding="utf-8") if file.exists() else "{}"
        return json.loads(text)  # type: ignore[no-any-return]

    return run


def told(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["code"], one["message"]) for one in document["findings"]]


def test_a_wrapper_that_is_passed_by_leaves_ranks_with_other_weights(
    gathered: Callable[[str], dict[str, Any]],
) -> None:
    found = gathered("broken")
    grave = [one for one in found["findings"] if one["severity"] != "info"]
    assert [one["code"] for one in grave] == ["ranks-differ", "ranks-differ"]
    assert grave[1]["message"].startswith(
        "4 of 4 steps of SGD read gradients of this process alone"
    )
    assert grave[0]["message"] == "4 of 4 parameters are not the same on all of 2 ranks"
    assert grave[0]["parameters"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert found["steps"] == 4


def test_a_wrapper_that_is_passed_by_in_turn_is_told_by_each_rank(
    gathered: Callable[[str], dict[str, Any]],
) -> None:
    found = told(gathered("broken in turn"))
    assert [code for code, _ in found] == ["ranks-differ", "ranks-differ"]
    assert found[1][1].startswith("2 of 4 steps of SGD read gradients of this process alone")
    assert told(gathered("repaired in turn")) == []


def test_a_wrapper_that_is_rightly_passed_by_is_no_fault(
    gathered: Callable[[str], dict[str, Any]],
) -> None:
    """Its own ranks hold the same parameters in the end."""
    gathered("healthy")


def test_ranks_that_train_together_get_one_clean_report(
    gathered: Callable[[str], dict[str, Any]],
) -> None:
    found = gathered("repaired")
    assert told(found) == []
    assert found["not_checked"] == []
    assert found["headline"] == "nothing wrong seen (4 steps watched)"


def test_a_fault_of_one_rank_is_told_with_the_rank(
    gathered: Callable[[str], dict[str, Any]],
) -> None:
    found = dict(told(gathered("one")))
    assert found["no-step"].startswith("on rank 1 of 2: 1 backward call gave gradients to SGD, ")
    assert found["zero-lr"].startswith("on rank 0 of 2: ")


def test_a_rank_that_does_not_answer_is_named_and_training_goes_on(
    gathered: Callable[[str], dict[str, Any]],
) -> None:
    found = gathered("late")
    assert found["not_checked"] == ["rank 1: no report within 0.5 s"]
    assert found["headline"].startswith("nothing wrong seen (4 steps watched, not everything")
