"""What a finding says: the figures and names in it are those of the loop."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.nn.utils import clip_grad_norm_

from gradwidgets.checkup import Finding, Report, checkup, rules
from gradwidgets.checkup.record import Record
from tests.checkup.loops import mlp, regression


def finding(report: Report, code: str) -> Finding:
    (found,) = [finding for finding in report.findings if finding.code == code]
    return found


def test_nan_is_named_where_it_was_before_clipping_spread_it() -> None:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    with checkup(model, optimizer) as report:
        for index in range(8):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            if index == 6:
                model[2].weight.grad[0, 3] = torch.nan
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    said = finding(report, "non-finite").message
    assert "gradient of 2.weight (1 of 4 gradients, which clipping spreads to all)" in said


@pytest.mark.parametrize(
    ("divisor", "said", "advice"),
    [
        (1, "whose losses were not divided", "divide each loss by 4"),
        (4, "each loss divided by 4", "nothing: the sum is their mean"),
        (2, "each loss divided by 2", "divide each loss by 4"),
    ],
)
def test_accumulation_tells_whether_losses_were_divided(
    divisor: int, said: str, advice: str
) -> None:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    with checkup(model, optimizer) as report:
        for _ in range(2):
            for a, b in zip(x.split(8), y.split(8), strict=True):
                (F.mse_loss(model(a), b) / divisor).backward()
            optimizer.step()
            optimizer.zero_grad()
    found = finding(report, "accumulating")
    assert "up to 4 backward calls" in found.message
    assert said in found.message
    assert advice in found.fix


def test_loss_of_a_scaler_is_judged_without_its_scale() -> None:
    """A gradient of a million times the parameters, with a scaler and without."""
    told = []
    for scaled in (False, True):
        torch.manual_seed(0)
        model, (x, y) = mlp(), regression()
        optimizer = optim.SGD(model.parameters(), lr=1e-9)
        scaler = torch.amp.GradScaler("cpu", enabled=scaled, init_scale=2.0**10)
        with checkup(model, optimizer) as report:
            for _ in range(3):
                optimizer.zero_grad()
                scaler.scale(F.mse_loss(model(x * 1e3), y)).backward()
                scaler.step(optimizer)
                scaler.update()
        told.append([(found.code, found.message) for found in report.findings])
    assert told[0] == told[1]
    assert told[0][0][0] == "exploding"


def test_token_counts_are_those_of_the_targets() -> None:
    model = nn.Sequential(nn.Embedding(12, 8), nn.Linear(8, 12))
    optimizer, x = optim.SGD(model.parameters(), lr=0.1), torch.randint(12, (2, 10))
    with checkup(model, optimizer) as report:
        for length in (3, 9):
            y = torch.where(torch.arange(10) < length, x, -100)
            (F.cross_entropy(model(x).transpose(1, 2), y) / 2).backward()
        optimizer.step()
    assert "(6, 18)" in finding(report, "uneven-tokens").message
    assert "3 times as much" in finding(report, "uneven-tokens").message


def test_a_root_is_as_grave_as_what_follows_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clipping to next to nothing is a warning; that nothing moves for it is an error."""
    following = Finding("zero-gradient", "error", (), "a", "b")
    root = Finding("clipped-away", "warning", (), "c", "d")
    monkeypatch.setattr(rules, "RULES", (lambda _: iter([root, following]),))
    findings, failures = rules.diagnose(Record())
    assert not failures
    assert [(f.code, f.severity) for f in findings] == [
        ("clipped-away", "error"),
        ("zero-gradient", "info"),
    ]
    with pytest.raises(AssertionError, match="clipped-away"):
        Report(findings, steps=1, complete=True).raise_for_errors()


def test_two_causes_in_different_parameters_are_both_named() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = (nn.Linear(8, 8) for _ in range(3))

        def forward(self, x):
            return self.third(self.second(self.first(x)).detach())

    model, x = Cut(), torch.randn(16, 8)
    model.first.requires_grad_(False)
    nn.init.constant_(model.third.weight, 0.0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer) as report:
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(model(x).relu() * 0, x).backward()
            optimizer.step()
    grave = {found.code for found in report.findings if found.severity == "error"}
    assert grave == {"detached", "zero-gradient"}


def test_no_step_is_not_called_nothing_wrong() -> None:
    model, (x, _) = mlp(), regression()
    with checkup(model, optim.SGD(model.parameters(), lr=0.1)) as report:
        model(x)
    assert report.headline == "no step was seen (0 steps watched)"
    assert "not seen by a checkup: whether data and targets are right" in str(report)


@pytest.mark.parametrize("partly", [False, True])
def test_the_other_model_that_the_loss_trains_is_named(partly: bool) -> None:
    model, (x, y) = nn.ModuleDict({"body": mlp(out=8), "head": nn.Linear(8, 1)}), regression()
    body = copy.deepcopy(model["body"])
    head = model["head"] if partly else nn.Linear(8, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer) as report:
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(head(body(x)), y).backward()
            optimizer.step()
    said = finding(report, "detached").message
    assert "the loss trains another model" in said
    first = "Sequential.0.bias, Sequential.0.weight, Sequential.2.bias"
    assert first in said if partly else "Linear.bias, Linear.weight, Sequential.0.bias" in said


def test_a_network_beside_the_model_does_not_explain_a_layer_without_gradient() -> None:
    model, judge, (x, y) = nn.ModuleList([mlp(), nn.Linear(3, 3)]), mlp(1), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer) as report:
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(judge(model[0](x)), y).backward()
            optimizer.step()
    said = finding(report, "detached")
    assert said.parameters == ("1.weight", "1.bias")
    assert "another model" not in said.message
