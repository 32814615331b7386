"""Watches that find their optimizers, begin and end anywhere, and are told what to ignore."""

from __future__ import annotations

import contextlib
import functools
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from gradwidgets.checkup import Report, checkup
from gradwidgets.checkup.wrapping import replaced, wrapped
from tests.checkup.loops import Case, collect, mlp, regression
from tests.checkup.test_contract import _everything_wrapped

BROKEN, HEALTHY = collect()
WITHOUT_OPTIMIZER = {"not-in-model": {"not-in-optimizer"}}
"""What a fault is called where nobody said which optimizer is to train the model."""


def told_alone(case: Case) -> Report:
    """The report on a loop of which only the model was given."""
    torch.manual_seed(0)
    loop = case.build()
    with contextlib.suppress(Exception), checkup(loop.model) as report:
        loop.train()
    assert report.complete
    assert report.failures == []
    return report


@pytest.mark.parametrize("case", HEALTHY[::5], ids=lambda case: case.name)
def test_a_healthy_loop_whose_optimizers_are_found_is_not_blamed(case: Case) -> None:
    report = told_alone(case)
    assert [one for one in report.findings if one.severity != "info"] == [], str(report)


UNSEEN = {"tied_after_the_optimizer"}
"""Of these the optimizer holds all of the model, and more: it may serve another model, too."""


@pytest.mark.parametrize(
    "case", [case for case in BROKEN[::7] if case.name not in UNSEEN], ids=lambda case: case.name
)
def test_a_fault_is_told_from_the_model_alone(case: Case) -> None:
    report = told_alone(case)
    expected = set(case.codes) | WITHOUT_OPTIMIZER.get(case.codes[0], set())
    assert report.codes & expected, str(report)


def stepping(model: nn.Module, optimizer: optim.Optimizer, times: int) -> None:
    x, y = regression()
    for _ in range(times):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()


def never_clearing(model: nn.Module, optimizer: optim.Optimizer, times: int) -> None:
    x, y = regression()
    for _ in range(times):
        F.mse_loss(model(x), y).backward()
        optimizer.step()


def test_an_optimizer_that_never_steps_is_found_if_there_is_one() -> None:
    model, (x, y) = mlp(), regression()
    optimizer = optim.Adam(model.parameters())
    with checkup(model) as report:
        F.mse_loss(model(x), y).backward()
    assert report.codes == {"no-step", "leftover"}
    del optimizer
    gc.collect()
    with checkup(model) as report:
        F.mse_loss(model(x), y).backward()
    assert report.codes == set()
    assert "not checked: the optimizer: none with the model's parameters" in str(report)


@pytest.mark.parametrize("train", [stepping, never_clearing])
def test_a_watch_ends_by_itself_and_leaves_torch_as_it_was(train: Callable[..., None]) -> None:
    before = _everything_wrapped()
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    watch = checkup(model, optimizer, max_steps=3)
    report = watch.start()
    assert not report.complete
    train(model, optimizer, 2)
    assert not report.complete
    train(model, optimizer, 1)
    assert report.complete
    assert report.steps == 3
    said = str(report)
    train(model, optimizer, 2)
    assert _everything_wrapped() == before, "restored by the first event after the last step"
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
    assert watch.stop() is report
    assert str(report) == said
    assert report.codes == ({"not-cleared"} if train is never_clearing else set())


def test_skipped_steps_count_as_watched_ones() -> None:
    model, (x, y) = mlp(), regression()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1e38)
    with checkup(model, optimizer, max_steps=2) as report:
        for _ in range(2):
            optimizer.zero_grad()
            scaler.scale(F.mse_loss(model(x), y)).backward()
            scaler.step(optimizer)
            scaler.update()
        assert report.complete


def test_a_watch_may_be_begun_again_and_be_a_decorator() -> None:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    watch = checkup(model, optimizer)
    first = watch.start()
    never_clearing(model, optimizer, 2)
    second = watch.start()
    optimizer.zero_grad()
    stepping(model, optimizer, 2)
    watch.stop()
    assert (first.codes, second.codes) == ({"not-cleared"}, set())
    watch(never_clearing)(model, optimizer, 2)
    assert watch.report.codes == {"not-cleared"}


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_watches_that_overlap_may_end_in_any_order(first_to_end: int) -> None:
    before = _everything_wrapped()
    models = [mlp(), mlp()]
    optimizers = [optim.SGD(model.parameters(), lr=0.1) for model in models]
    watches = [checkup(*pair) for pair in zip(models, optimizers, strict=True)]
    for watch in watches:
        watch.start()
    for pair in zip(models, optimizers, strict=True):
        stepping(*pair, 2)
    watches[first_to_end].stop()
    for pair in zip(models, optimizers, strict=True):
        never_clearing(*pair, 2)
    watches[1 - first_to_end].stop()
    assert _everything_wrapped() == before
    assert watches[first_to_end].report.codes == set()
    assert watches[1 - first_to_end].report.codes == {"not-cleared"}


def test_watches_on_several_threads_disturb_neither_each_other_nor_another_loop() -> None:
    """Each reports on its own loop; one thread in three trains what nobody watches."""

    def told(number: int) -> set[str]:
        model = mlp()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        if number % 3 == 2:
            stepping(model, optimizer, 5)
            return set()
        with checkup(model, optimizer) as report:
            (stepping, never_clearing)[number % 3](model, optimizer, 3)
        assert report.failures == []
        return report.codes

    before = _everything_wrapped()
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(told, range(120)))
    assert found == [set(), {"not-cleared"}, set()] * 40
    assert _everything_wrapped() == before


def test_a_loop_on_another_thread_than_the_watch_is_watched() -> None:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with ThreadPoolExecutor(1) as other, checkup(model, optimizer) as report:
        other.submit(never_clearing, model, optimizer, 3).result()
    assert (report.codes, report.steps) == ({"not-cleared"}, 3)


@pytest.mark.parametrize("part", ["all but forward", "a compiled model", "step", "backward"])
def test_a_part_of_a_loop_on_another_thread_is_watched(part: str) -> None:
    """Each report is that of the same loop on one thread."""

    def told(elsewhere: Callable[..., Any]) -> tuple[set[str], int, list[str]]:
        model, (x, y) = mlp(), regression()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        compiled = torch.compile(model, backend="eager")
        with checkup(model, optimizer) as report:
            for _ in range(3):
                if part == "a compiled model":
                    elsewhere(never_clearing, compiled, optimizer, 1)
                    continue
                loss = F.mse_loss(model(x), y)
                (elsewhere if part != "step" else _here)(loss.backward)
                (elsewhere if part != "backward" else _here)(optimizer.step)
        assert report.failures == []
        return report.codes, report.steps, [str(event) for event in report.events]

    with ThreadPoolExecutor(1) as other:
        found = told(lambda call, *args: other.submit(call, *args).result())
    assert found == told(_here)
    assert found[0] == {"not-cleared"}


@pytest.mark.parametrize(
    "order", ["first second watch", "watch first second", "first watch second"]
)
def test_compiled_models_that_run_at_once_leave_torch_as_it_was(order: str) -> None:
    """While one runs, its thread puts torch's own function back; threads end in any order."""

    class Torch:
        @staticmethod
        def call() -> str:
            return "called"

    original = vars(Torch)["call"]
    entered = {
        "watch": wrapped(Torch, "call", lambda call: call()),
        "first": replaced(Torch, "call", staticmethod(lambda: "called")),  # of another watch
        "second": replaced(Torch, "call", original),
    }
    for each in entered.values():
        each.__enter__()
    for name in order.split():
        entered[name].__exit__(None, None, None)
    assert vars(Torch)["call"] is original


def _here(call: Callable[..., Any], *args: Any) -> None:
    call(*args)


def test_a_thread_that_has_the_number_of_one_that_ended_is_not_watched() -> None:
    model, (x, _) = mlp(), regression()
    numbers = []

    def run(events: Callable[[], object]) -> None:
        def body() -> None:
            numbers.append(threading.get_ident())
            events()

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()

    def train_another() -> None:
        other = mlp()
        stepping(other, optim.SGD(other.parameters(), lr=0.1), 1)

    with checkup(model) as report:
        for _ in range(20):
            run(lambda: model(x))
            run(train_another)
    assert len(set(numbers)) < len(numbers), "the system gives numbers again"
    assert {event.kind for event in report.events} == {"forward"}


def test_a_wrapper_of_the_users_stays_where_it_was_put() -> None:
    original = nn.Module.__call__
    watch = checkup(mlp())
    watch.start()
    ours = nn.Module.__call__
    try:
        nn.Module.__call__ = lambda *args, **kwargs: ours(*args, **kwargs)  # type: ignore[method-assign]
        theirs = nn.Module.__call__
        watch.stop()
        assert nn.Module.__call__ is theirs
        assert mlp()(regression()[0]).shape[1] == 1
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


@pytest.mark.parametrize("wraps", [functools.wraps, lambda _: lambda theirs: theirs])
def test_a_wrapper_that_is_put_between_two_watches_stays(wraps: Callable[..., Any]) -> None:
    original = nn.Module.__call__
    watches = [checkup(mlp()), checkup(mlp())]
    watches[0].start()
    ours = nn.Module.__call__
    try:

        @wraps(ours)
        def theirs(*args: Any, **kwargs: Any) -> Any:
            return ours(*args, **kwargs)

        nn.Module.__call__ = theirs  # type: ignore[method-assign]
        watches[1].start()
        for watch in watches:
            watch.stop()
        assert nn.Module.__call__ is theirs
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


def unused_and_not_cleared(ignore: Any) -> Report:
    model, (x, y) = mlp(), regression()
    model.extra = nn.Linear(3, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with checkup(model, optimizer, ignore=ignore) as report:
        for _ in range(2):
            F.mse_loss(model[2](model[1](model[0](x))), y).backward()
            optimizer.step()
    return report


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ((), {"not-cleared", "detached"}),
        ("not-cleared", {"detached"}),
        ({"detached", "not-cleared"}, set()),
        ({"detached": "extra.*"}, {"not-cleared"}),
        ({"detached": ["extra.bias", "extra.weight"], "not-cleared": "0.*"}, {"not-cleared"}),
        ({"detached": "extra.bias", "not-cleared": "*"}, {"detached"}),
    ],
)
def test_what_is_ignored_is_left_out_and_named(ignore: Any, left: set[str]) -> None:
    report = unused_and_not_cleared(ignore)
    assert report.codes == left
    assert set(report.ignored) == {"not-cleared", "detached"} - left
    for text in (str(report), report._repr_html_()):
        assert ("ignored, as told: " in text) == bool(report.ignored)
    names = [name for finding in report.findings for name in finding.parameters]
    if ignore == {"detached": "extra.bias", "not-cleared": "*"}:
        assert names == ["extra.weight"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "max_steps must be None or a whole number from 1 on, not 0"),
        ({"max_steps": 2.5}, "not 2.5"),
        ({"ignore": {"frosen"}}, "'frosen' is no code; the codes are accumulating"),
        ({"ignore": {"": "*"}}, "'' is no code"),
    ],
)
def test_wrong_options_are_named(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checkup(mlp(), **options)


def test_a_hidden_tensor_that_an_optimizer_found_or_passed_by_has_is_no_fault() -> None:
    """Of an optimizer found as it steps, and of one beside the optimizer given."""
    for together in (True, False):
        model = torch.nn.Linear(8, 1)
        model.scale = torch.ones(1, requires_grad=True)
        hidden = [model.scale]
        first = torch.optim.SGD([*model.parameters(), *hidden * together], lr=0.01)
        second = torch.optim.SGD([*hidden, torch.zeros(1, requires_grad=True)], lr=0.01)
        with checkup(model, None if together else first) as report:
            for _ in range(3):
                first.zero_grad()
                second.zero_grad()
                (model(torch.ones(4, 8)) * model.scale).square().mean().backward()
                first.step()
                if not together:
                    second.step()
        assert not report.codes, report
