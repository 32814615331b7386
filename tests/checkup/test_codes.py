"""CODES.md says what the rules, their limits and the collection say today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets.checkup import checkup, thresholds
from tests.checkup.codes import codes, loops, page, reasons
from tests.checkup.loops import BETWEEN_PROCESSES, collect, mlp, regression

BROKEN, _ = collect()
HELD = codes()
PAGE = page()
ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "CODES.md").read_text(encoding="utf-8") == PAGE, "run `make codes`"


@pytest.mark.parametrize("code", HELD)
def test_a_code_has_severity_evidence_a_cure_and_loops(code: str) -> None:
    held = HELD[code]
    assert held.severities
    assert held.judged
    assert held.seen
    assert held.cures
    assert f"### {code}\n" in PAGE
    assert loops()[code]


def test_every_limit_has_a_reason() -> None:
    assert reasons().keys() == {name for name in vars(thresholds) if name.isupper()}
    assert {limit for held in HELD.values() for limit in held.limits} <= reasons().keys()


def fits(text: str, templates: list[str]) -> bool:
    """True if a text is one of the page's, with something in place of each "…"."""
    patterns = [".*".join(map(re.escape, template.split("…"))) for template in templates]
    return any(re.fullmatch(pattern, text, re.DOTALL) for pattern in patterns)


@pytest.mark.parametrize("code", sorted(HELD.keys() - BETWEEN_PROCESSES))
def test_the_loop_that_is_shown_is_blamed_in_the_page_s_words(code: str) -> None:
    _, entry = PAGE.split(f"### {code}\n", 1)
    shown = re.search(r"^def (\w+)\(repaired", entry, flags=re.MULTILINE)
    assert shown
    (case,) = [case for case in BROKEN if case.name == shown[1]]
    assert case.codes[0] == code
    found = [one for one in case.run().findings if one.code in case.codes]
    assert found
    for one in found:
        held = HELD[one.code]
        assert fits(re.sub("^follows from [a-z-]+: ", "", one.message), held.seen)
        assert fits(one.fix, held.cures)
    assert found[0].severity in HELD[found[0].code].severities


def test_a_loader_that_begins_again_looks_like_a_fit_to_one_batch() -> None:
    """So the page says that it is not seen."""
    reports = []
    for again in (True, False):
        torch.manual_seed(0)
        model, loader = mlp(), DataLoader(TensorDataset(*regression()), batch_size=8)
        optimizer, first = optim.SGD(model.parameters(), lr=0.1), next(iter(loader))
        with checkup(model, optimizer) as report:
            for _ in range(6):
                x, y = next(iter(loader)) if again else first
                optimizer.zero_grad()
                F.mse_loss(model(x), y).backward()
                optimizer.step()
        reports.append(report.to_dict())
    assert reports[0] == reports[1]
    assert reports[0]["findings"] == []
    assert "`DataLoader` that begins again at every step" in PAGE
