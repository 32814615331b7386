"""The scorecard counts what the tools say; the closure that rivals get is the loop's own loss."""

from __future__ import annotations

import dataclasses
import os
import time
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from benchmarks.measure import Result
from tests.checkup.loops import WITH_RULES, Case, Loop, collect, mlp, regression
from tests.checkup.scorecard.first_losses import first_call, first_losses
from tests.checkup.scorecard.page import page
from tests.checkup.scorecard.tools import TOOLS, Word, joined, whole
from tests.checkup.scorecard.trials import Trial, trial

BROKEN, HEALTHY = collect()
CHECKUP, RIVAL = TOOLS[:2]

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="each trial is a forked process")


def loop_of(updates: int = 3, accumulate: int = 2, scaled: bool = False) -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=scaled)

    def train() -> None:
        for _ in range(updates):
            optimizer.zero_grad()
            for a, b in zip(x.chunk(accumulate), y.chunk(accumulate), strict=True):
                scaler.scale(F.mse_loss(model(a), b) / accumulate).backward()
            scaler.step(optimizer)
            scaler.update()

    return Loop(model, optimizer, train)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_closure_gives_the_loss_of_the_first_update_and_trains_nothing(scaled: bool) -> None:
    torch.manual_seed(0)
    loop = loop_of(scaled=scaled)
    before = [p.detach().clone() for p in loop.model.parameters()]  # type: ignore[union-attr]
    for _ in range(2):
        loss = first_losses(loop)
        assert loss is not None
        loss.backward()
        after = list(loop.model.parameters())  # type: ignore[union-attr]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    torch.manual_seed(0)
    twin = loop_of(updates=1)
    plain = optim.SGD.step
    try:
        optim.SGD.step = lambda *_: None  # type: ignore[method-assign, assignment]
        twin.train()
    finally:
        optim.SGD.step = plain  # type: ignore[method-assign]
    for mine, own in zip(after, twin.model.parameters(), strict=True):  # type: ignore[union-attr]
        torch.testing.assert_close(mine.grad, own.grad)


def test_the_closure_calls_the_model_with_what_a_tool_gives() -> None:
    loop = loop_of(accumulate=1)
    model, given = first_call(loop)
    assert model is loop.model
    assert given is not None
    zeros = torch.zeros_like(given[0][0], requires_grad=True)
    loss = first_losses(loop, model, ((zeros,), {}))
    assert loss is not None
    loss.backward()
    assert zeros.grad is not None
    assert not model._forward_pre_hooks


def test_losses_of_all_optimizers_are_joined_and_one_without_a_graph_is_given_as_it_is() -> None:
    models = [nn.Linear(2, 1), nn.Linear(2, 1)]
    optimizers = [optim.SGD(model.parameters(), lr=0.1) for model in models]
    x = torch.ones(1, 2)

    def train(cut: bool = False) -> None:
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            loss = model(x).sum()
            (loss.detach() if cut else loss).backward()
            optimizer.step()

    loop = Loop(models, optimizers, train)
    torch.testing.assert_close(first_losses(loop), sum(model(x).sum() for model in models))
    cut = first_losses(loop._replace(train=lambda: train(cut=True)))
    assert cut is not None
    assert not cut.requires_grad
    assert first_losses(loop._replace(train=lambda: None)) is None
    assert len(list(whole(loop).parameters())) == len(joined(loop).param_groups) * 2


def test_rivals_words_stand_for_codes_that_there_are() -> None:
    codes = {case.codes[0] for case in BROKEN}
    for tool in TOOLS[1:]:
        assert tool.meaning
        for word in tool.meaning:
            assert tool.means(word) <= codes
    assert RIVAL.means("no such word") == set()


def asking(ask: Any) -> Any:
    return dataclasses.replace(RIVAL, ask=ask)


@forks
def test_a_trial_is_a_process_of_its_own_and_ends() -> None:
    def spoil(_: Case) -> list[Word]:
        torch.set_default_dtype(torch.float16)
        return [Word("loss", True)]

    assert trial(asking(spoil), BROKEN[0]).words == [Word("loss", True)]
    assert torch.get_default_dtype() != torch.float16
    assert trial(asking(lambda _: 1 / 0), BROKEN[0]).failure.startswith("ZeroDivisionError: ")
    assert (
        trial(asking(lambda _: os._exit(1)), BROKEN[0]).failure
        == "its process ended without a word"
    )
    assert trial(asking(lambda _: time.sleep(60)), BROKEN[0], 0.1).failure == "took more than 0.1 s"


@forks
def test_checkup_itself_is_asked() -> None:
    case = BROKEN[0]
    found = trial(CHECKUP, case)
    assert found.right
    assert found.alarm
    assert not trial(CHECKUP, case.twin).alarm  # type: ignore[arg-type]


def test_the_page_counts_alarms_right_causes_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.checkup.scorecard.tools.metadata.version", lambda _: "1.0")
    detached = next(case for case in BROKEN if case.codes == ("detached",))
    order = next(case for case in BROKEN if case.codes == ("no-step",))
    healthy = next(case for case in HEALTHY if case.written is WITH_RULES)
    found = [
        Trial(RIVAL, detached, [Word("loss", True), Word("frozen", False)]),
        Trial(RIVAL, order, [Word("loss", True)]),
        Trial(RIVAL, detached.twin, [Word("frozen", False)]),  # type: ignore[arg-type]
        Trial(RIVAL, healthy, [Word("dead_relu", True)]),
        Trial(RIVAL, healthy, [], "KeyError: of its own"),
    ]
    times = [("guardtower", "MLP", Result(2.0, 1.0, (1.5, 2.0, 2.5), 2.0))]
    text = "\n".join(page(found, times, "abc123"))
    assert "| guardtower | 2 of 2 | 1 of 2 | 1 of 1 | 1 of 2 | 0 of 1 | 1 |" in text
    assert "| wiring | 1 of 1 | 0 of 1 |" in text
    assert "| order | 0 of 1 |  |" in text
    assert "| healthy |  | 1 of 2 |" in text
    assert "| guardtower | 2.00 |" in text
    assert f"* guardtower on `{healthy.name}`: KeyError: of its own" in text
    assert "on commit abc123" in text
