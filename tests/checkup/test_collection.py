"""Every loop of the collection is diagnosed as it should be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checkup.loops import Case, collect

BROKEN, HEALTHY = collect()


def as_parameters(cases: list[Case]) -> list[Any]:
    """The cases by their names, each with its mark."""
    return [
        pytest.param(
            case,
            id=case.name,
            marks=pytest.mark.single_precision(case.single_precision)
            if case.single_precision
            else (),
        )
        for case in cases
    ]


ALL_CODES = {
    "not-in-optimizer",
    "not-in-model",
    "frozen",
    "unregistered",
    "detached",
    "no-graph",
    "no-backward",
    "no-step",
    "not-cleared",
    "cleared-before-step",
    "zero-gradient",
    "non-finite",
    "exploding",
    "vanishing",
    "update-too-small",
    "update-too-large",
    "zero-lr",
    "eval-mode",
    "accumulating",
    "leftover",
    "duplicate",
    "broadcast-loss",
    "ascending",
    "step-twice",
    "step-before-backward",
    "amp-skipping",
    "clipped-away",
}


@pytest.mark.parametrize("case", as_parameters(BROKEN))
def test_broken_loop_is_named_and_nothing_else_is_blamed(case: Case) -> None:
    report = case.run()
    assert not report.failures
    assert report.codes & case.codes, f"{case.source}\n{report}"
    others = {f.code for f in report.findings if f.severity != "info"} - case.codes
    assert not others, f"{case.source}\n{report}"


@pytest.mark.parametrize("case", as_parameters(HEALTHY))
def test_healthy_loop_gets_no_error_and_no_warning(case: Case) -> None:
    report = case.run()
    grave = [finding for finding in report.findings if finding.severity != "info"]
    assert not report.failures
    assert not grave, f"{case.source}\n{report}"
    assert report.steps, "the loop must have trained"


def test_collection_covers_every_code_and_is_large_enough() -> None:
    assert set().union(*(case.codes for case in BROKEN)) == ALL_CODES
    assert len(BROKEN) >= 60
    assert len(HEALTHY) >= 40
