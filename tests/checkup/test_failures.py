"""What a report says of errors, of the lesson, and of bugs in the checkup itself."""

from __future__ import annotations

import contextlib
import copy
import warnings
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import optim

from gradwidgets.checkup import Finding, Report, checkup, graph, loss_reading, rules, step_readings
from gradwidgets.checkup.report import counted
from tests.checkup.loops import mlp, regression


class StoppedError(Exception):
    """Raised inside a watched loop."""


def test_failing_rule_is_named_and_masks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(_seen: object) -> list[Finding]:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(rules, "RULES", (planted, *rules.RULES))
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.0)

    def stopped(error: type[Exception]) -> Report:
        with contextlib.suppress(StoppedError), checkup(model, optimizer) as report:
            F.mse_loss(model(x), y).backward()
            optimizer.step()
            raise error
        return report

    with pytest.warns(UserWarning, match="rule planted failed: ZeroDivisionError"):
        report = stopped(StoppedError)
    with pytest.warns(UserWarning, match="planted"), pytest.raises(KeyError):
        stopped(KeyError)
    assert report.codes == {"zero-lr"}, "the other rules have their say"
    assert "not checked: the rule planted failed: ZeroDivisionError: planted" in str(report)
    assert "not checked: the rule planted failed" in report._repr_html_()


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (graph, "tensors_in"),
        (loss_reading, "read_loss"),
        (step_readings, "begin"),
        (step_readings, "end"),
    ],
    ids=["forward", "backward", "before step", "after step"],
)
def test_failing_watch_does_not_touch_the_loop(
    part: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(part, name, planted)
    model, (x, y) = mlp(), regression()
    before = copy.deepcopy(model.state_dict())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # in which a warning would end the loop
        with checkup(model, optimizer) as report:
            F.mse_loss(model(x), y).backward()
            optimizer.step()
    assert report.complete
    assert "ZeroDivisionError" in str(report)
    assert not torch.equal(before["0.weight"], model[0].weight)


def test_one_of_a_thing_is_said_in_the_singular() -> None:
    assert counted(1, "step") == "1 step"
    assert counted(0, "step") == "0 steps"
    assert counted(2, "trained pass") == "2 trained passes"


def test_raise_for_errors_raises_on_errors_only() -> None:
    finding = Finding("eval-mode", "warning", (), "seen", "do")
    Report([finding], complete=True).raise_for_errors()
    with pytest.raises(AssertionError, match="no-step"):
        Report([Finding("no-step", "error", (), "a", "b")], complete=True).raise_for_errors()
