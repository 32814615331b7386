"""The two programs that a page shows of a loop, run as they stand under `checkup` itself."""

from __future__ import annotations

import inspect
import re
import textwrap

import pytest
import torch

from tests.checkup import codes as table
from tests.checkup.loops import BETWEEN_PROCESSES, collect, watched
from tests.website.conftest import WHOLE
from website import codes
from website.specialise import specialise

SHOWN = {codes.shown(code, each) for code, each in table.loops().items()}
CASES = [case for case in collect().broken if WHOLE or case.build.func in SHOWN]


def shown(case, repaired):
    """A loop, built by the program that a page shows."""
    builder = case.build.func
    source = textwrap.dedent(inspect.getsource(builder))
    program = specialise(source[source.index("def ") :], repaired)
    assert "repaired" not in program.replace("_repaired", "")
    space = dict(vars(inspect.getmodule(builder)))
    exec(program, space)
    torch.manual_seed(0)
    return space[builder.__name__]()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_broken_program_has_the_fault_and_the_repaired_one_has_not(case) -> None:
    for repaired, original in ((False, case), (True, case.twin)):
        report = watched(shown(case, repaired), RuntimeError)
        assert [one.code for one in report.findings] == [
            one.code for one in original.run().findings
        ]


def test_every_code_has_a_page_with_a_loop_that_has_it(tmp_path) -> None:
    assert codes.write(tmp_path) == list(table.codes())
    for code in table.codes():
        page = (tmp_path / "checkup" / f"{code}.md").read_text(encoding="utf-8")
        broken, repaired = page.split("## The same loop, repaired")
        if code not in BETWEEN_PROCESSES:
            said = re.compile(rf"^({'|'.join(table.SEVERITIES)}) {code}\b(?!-)", re.MULTILINE)
            assert said.search(broken.split("```text")[1])
            assert not said.search(repaired)


def test_a_choice_of_statements_becomes_one_of_them() -> None:
    source = """def loop(repaired: bool, count: int) -> Loop:
    model = mlp()
    for _ in range(count):
        if not repaired:
            # nobody clears
            model.train()
        else:
            model.zero_grad()
        step(clear=repaired, often=2 if repaired else 1)
    return fit(model)
"""
    assert (
        specialise(source, False)
        == """def loop(count):
    model = mlp()
    for _ in range(count):
        model.train()
        step(clear=False, often=1)
    return fit(model)"""
    )
    assert (
        specialise(source, True)
        == """def loop(count):
    model = mlp()
    for _ in range(count):
        model.zero_grad()
        step(clear=True, often=2)
    return fit(model)"""
    )


def test_a_function_without_the_switch_is_refused() -> None:
    with pytest.raises(ValueError, match="a function of `repaired`"):
        specialise("def loop():\n    pass\n", True)
