"""Every loop of the collection is diagnosed as it should be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gradwidgets.checkup import Report
from tests.checkup.loops import (
    BETWEEN_PROCESSES,
    WITH_RULES,
    Case,
    Loop,
    collect,
    fault,
    no_fault,
    watched,
)

BROKEN, HEALTHY = collect()


class FalseAlarmError(AssertionError):
    """A checkup warns about a loop that nothing is wrong with."""


def marks(case: Case) -> Iterator[pytest.MarkDecorator]:
    if case.single_precision:
        yield pytest.mark.single_precision(case.single_precision)
    if case.false_alarm:
        yield pytest.mark.xfail(reason=case.false_alarm, raises=FalseAlarmError, strict=True)


def named(cases: list[Case]) -> list[Any]:
    """Parameters of a test, each with its case's name and marks."""
    return [pytest.param(case, id=case.name, marks=[*marks(case)]) for case in cases]


def told(report: Report) -> set[str]:
    """The codes of all errors and warnings."""
    assert not report.failures
    return {finding.code for finding in report.findings if finding.severity != "info"}


@pytest.mark.parametrize("case", named(BROKEN))
def test_broken_loop_is_named_and_nothing_else_is_blamed(case: Case) -> None:
    report = case.run()
    assert report.codes & set(case.codes), f"{case.source}\n{report}"
    assert told(report) <= set(case.codes), f"{case.source}\n{report}"


def parameters(loop: Loop) -> list[torch.Tensor]:
    modules = [loop.model] if isinstance(loop.model, torch.nn.Module) else loop.model
    return [p.detach().clone() for module in modules for p in module.parameters()]


@pytest.mark.parametrize("case", named(BROKEN))
def test_repaired_loop_trains_and_gets_no_error_and_no_warning(case: Case) -> None:
    loop = case.twin.loop()
    before = parameters(loop)
    report = watched(loop)
    assert not told(report), f"{case.source}\n{report}"
    moved = [not torch.equal(a, b) for a, b in zip(before, parameters(loop), strict=True)]
    assert any(moved), f"{case.source}\n{report}"

    still = report.codes & set(case.codes)
    if still:
        assert still <= told(case.run()), "only what was graver may be left as information"


@pytest.mark.parametrize("case", named(HEALTHY))
def test_healthy_loop_gets_no_error_and_no_warning(case: Case) -> None:
    report = case.run()
    assert report.steps, "the loop must have trained"
    if told(report):
        raise FalseAlarmError(f"{case.source}\n{report}")


def test_every_code_that_the_package_raises_has_a_file_of_loops() -> None:
    package = Path(__file__).parents[2] / "gradwidgets" / "checkup"
    source = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    raised = set(re.findall(r'Finding\(\s*"([a-z-]+)"', source))
    assert raised == {case.codes[0] for case in BROKEN} | BETWEEN_PROCESSES
    assert raised >= {code for case in BROKEN for code in case.codes}
    for case in BROKEN:
        assert case.file.endswith("." + case.codes[0].replace("-", "_")), case.name


def test_every_file_has_its_loops() -> None:
    folder = Path(__file__).parent / "loops"
    files = {path.relative_to(folder) for path in folder.glob("*/**/*.py")}
    written = {".".join(file.with_suffix("").parts) for file in files if file.name != "__init__.py"}
    assert written == {case.file for case in BROKEN + HEALTHY}
    assert {case.name for case in HEALTHY if not case.file.startswith("healthy.")} == set()


def test_a_name_is_given_once() -> None:
    def everything_frozen(_repaired: bool = False) -> Loop:
        raise AssertionError("it is not to be built")

    registered = (
        fault("frozen", source="", written=WITH_RULES),
        no_fault(source="", written=WITH_RULES),
    )
    for register in registered:
        with pytest.raises(ValueError, match="both hold everything_frozen"):
            register(everything_frozen)
