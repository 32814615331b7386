"""Nothing of the caller's changes: random numbers, dtype, grad mode, threads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from gradwidgets.core import (
    PROCESS_LOCK,
    IsolatedRun,
    Problem,
    Recipe,
    TrainingError,
    problems,
    train,
)
from gradwidgets.core.isolation import FairLock
from gradwidgets.core.loop import Run, live
from gradwidgets.script import script
from gradwidgets.sweep import Sweep
from tests.examples import double_problem, doubles
from tests.surroundings import surroundings


@contextmanager
def unchanged() -> Iterator[None]:
    """Fails when anything global is different afterwards."""

    before = surroundings()
    try:
        yield
    finally:
        assert surroundings() == before


def raising_at(update: int) -> Callable[[], nn.Module]:
    """A model with dropout whose forward raises at its `update`th call."""

    class Raising(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2))
            self.double()
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            if self.calls > update:
                raise RuntimeError("a wire came loose")
            output: Tensor = super().forward(x)
            return output

    return Raising


def broken_off() -> None:
    for run in live("moons", Recipe(updates=50)):
        if len(run.losses) == 3:
            break


def fails() -> None:
    with pytest.raises(TrainingError):
        train(double_problem(model=raising_at(4)), Recipe(updates=9))


def fails_to_build() -> None:
    def make() -> nn.Module:
        torch.randn(3)
        raise KeyError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        train(double_problem(model=make))


def interrupted() -> None:
    def interrupt(_: list[Tensor]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("line", Recipe(edits=(interrupt,)))


USES: dict[str, Callable[[], object]] = {
    "train": lambda: train(double_problem(model=raising_at(99)), Recipe(updates=5)),
    "minibatches": lambda: train("digits", Recipe(updates=3, batch_size=32, seed=3)),
    "random mask": lambda: train("tokens", Recipe(updates=3, mask=0.5, mask_kind="random")),
    "closure": lambda: train("line", Recipe(updates=3, optimizer="LBFGS")),
    "live": lambda: list(live("spirals", Recipe(updates=5))),
    "live, broken off": broken_off,
    "script": lambda: script("moons", Recipe(mask=0.5, mask_kind="0.*")),
    "a failing model": fails,
    "a failing factory": fails_to_build,
    "an interrupt": interrupted,
    "divergence": lambda: train("line", Recipe(scale=100.0)),
    "fresh data": lambda: train(fresh_problem(), Recipe(updates=2)),
}


def fresh_problem() -> Problem:
    def data() -> tuple[Tensor, Tensor]:
        return torch.randn(8, 3), torch.randn(8, 2)

    return Problem("fresh", lambda: nn.Linear(3, 2), data, nn.functional.mse_loss)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("use", USES)
def test_nothing_global_changes(use: str, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(42)
    torch.rand(7)
    with unchanged():
        USES[use]()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("use", ["minibatches", "live", "script", "divergence", "fresh data"])
def test_a_run_works_the_same_in_any_grad_mode(use: str, mode: Callable[[], Any]) -> None:
    with mode(), unchanged():
        USES[use]()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_callers_threads_do_not_change_the_numbers_of_a_small_model(threads: int) -> None:
    recipe = Recipe(updates=5, optimizer="Adam")
    expected = train("digits", recipe).loss.tolist()
    torch.set_num_threads(threads)
    assert train("digits", recipe).loss.tolist() == expected


def test_threads_are_chosen_at_once_and_for_the_next_time() -> None:
    torch.set_num_threads(2)
    run = IsolatedRun(data=None, seed=0)
    with run.inside():
        assert torch.get_num_threads() == 2
        run.choose_threads(nn.Linear(2, 2))
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with run.inside():
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", problems.names())
def test_data_first_loaded_in_another_grad_mode_serves_later(
    name: str, mode: Callable[[], Any]
) -> None:
    expected = train(name, Recipe(updates=2, batch_size=8)).loss.tolist()
    problems.get(name)._loaded.clear()
    with mode():
        assert train(name, Recipe(updates=2, batch_size=8)).loss.tolist() == expected
    assert train(name, Recipe(updates=2, batch_size=8)).loss.tolist() == expected


def test_the_callers_random_numbers_do_not_matter() -> None:
    def losses(seed: int) -> list[float]:
        torch.manual_seed(seed)
        return train(double_problem(model=raising_at(99)), Recipe(updates=5)).loss.tolist()

    assert losses(1) == losses(2)


def test_slices_and_a_caller_who_draws_between_them_change_nothing() -> None:
    problem, recipe = double_problem(model=raising_at(99)), Recipe(updates=9, batch_size=5)
    whole = train(problem, recipe)
    run = Run(problem, recipe)
    while not run.done:
        torch.rand(3)
        with unchanged():
            run.advance(updates=2)
    assert run.history().loss.tolist() == whole.loss.tolist()


def test_two_runs_in_turn_do_not_disturb_each_other() -> None:
    problem = double_problem(model=raising_at(99))
    recipes = [Recipe(updates=6, seed=seed, batch_size=4) for seed in (1, 2)]
    pairs = list(zip(*(live(problem, recipe) for recipe in recipes), strict=True))
    for run, recipe in zip(pairs[-1], recipes, strict=True):
        assert run.history().loss.tolist() == train(problem, recipe).loss.tolist()


def test_a_run_keeps_the_default_dtype_of_its_caller() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with unchanged():
            history = train("moons", Recipe(updates=2))
        assert next(history.model.parameters()).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert next(train("moons", Recipe(updates=2)).model.parameters()).dtype == torch.float32


def test_a_users_data_is_read_and_never_written() -> None:
    x, y = doubles()
    before = x.clone(), y.clone()
    train(double_problem(data=(x, y)), Recipe(updates=3, batch_size=5))
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    assert x.grad is None


class Meets(nn.Linear):
    """Draws random numbers; says at its third call that it has come so far, and waits a while."""

    def __init__(self, here: threading.Event, other: threading.Event) -> None:
        super().__init__(3, 2)
        self.here, self.other, self.calls = here, other, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 3:
            self.here.set()
            self.other.wait(0.5)
        return super().forward(x + torch.randn_like(x))


def meeting(here: threading.Event, other: threading.Event) -> Problem:
    data = torch.ones(4, 3), torch.zeros(4, 2)
    return Problem("meets", lambda: Meets(here, other), data, nn.functional.mse_loss)


def test_runs_on_two_threads_wait_for_each_other() -> None:
    """Their numbers are those of each alone, and the process's generator is as it was."""
    recipes = Recipe(updates=5), Recipe(updates=5, seed=1)
    ready = threading.Event()
    ready.set()
    alone = [train(meeting(ready, ready), recipe).loss.tolist() for recipe in recipes]
    first, second = threading.Event(), threading.Event()
    found: dict[int, list[float]] = {}

    def both() -> None:
        def run(number: int, here: threading.Event, other: threading.Event) -> None:
            found[number] = train(meeting(here, other), recipes[number]).loss.tolist()

        threads = [
            threading.Thread(target=run, args=(0, first, second)),
            threading.Thread(target=run, args=(1, second, first)),
        ]
        threads[0].start()
        first.wait()
        threads[1].start()
        for thread in threads:
            thread.join()

    with unchanged():
        both()
    assert [found[0], found[1]] == alone


class Clock(nn.Linear):
    """Says that a run has begun; takes 5 ms an update."""

    begun = threading.Event()

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.begun.set()
        time.sleep(0.005)
        return super().forward(nn.functional.dropout(x, 0.5))


@pytest.mark.parametrize("how", ["train", "sweep"])
def test_another_thread_has_its_turns_while_a_long_run_goes_on(how: str) -> None:
    """And finds the generator as it left it, whatever the run has drawn."""
    problem = Problem("slow", Clock, problems.moons.batches(), nn.functional.cross_entropy)
    recipe = Recipe(updates=300)
    ways = {
        "train": lambda: train(problem, recipe),
        "sweep": lambda: Sweep(problem, [recipe]).advance(),
    }
    torch.manual_seed(7)
    expected = torch.rand(5).tolist()
    torch.manual_seed(7)
    Clock.begun.clear()
    hand = threading.Thread(target=ways[how])
    hand.start()
    Clock.begun.wait()
    drawn = []
    for _ in range(5):
        with PROCESS_LOCK:
            drawn.append(torch.rand(1).item())
    assert hand.is_alive()  # it has a second or more to go
    hand.join()
    assert drawn == expected


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
@settings(max_examples=25)
def test_threads_that_take_a_lock_again_and_again_all_have_their_turns(depths: list[int]) -> None:
    """However deep each takes it, one is inside at a time, and nobody waits for ever."""
    lock = FairLock()
    inside: list[int] = []
    seen: list[int] = []

    def work(depth: int) -> None:
        for _ in range(20):
            with ExitStack() as stack:
                for _ in range(depth):
                    stack.enter_context(lock)
                inside.append(depth)
                seen.append(len(inside))
                inside.pop()

    hands = [threading.Thread(target=work, args=(depth,)) for depth in depths]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(60)
        assert not hand.is_alive()
    assert seen == [1] * 20 * len(depths)


def test_whoever_waits_for_the_lock_gets_it_before_the_thread_that_had_it() -> None:
    lock = FairLock()
    order: list[str] = []

    def wait() -> None:
        with lock:
            order.append("waited")

    with lock:
        hand = threading.Thread(target=wait)
        hand.start()
        time.sleep(0.1)  # it waits by now
    with lock:
        order.append("again")
    hand.join()
    assert order == ["waited", "again"]


def test_runs_leave_the_generators_of_python_and_numpy_and_draw_alike_from_them() -> None:
    class Noisy:
        """Batches with noise from NumPy and from `random`, drawn while they are iterated."""

        def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for _ in range(3):
                x = torch.from_numpy(np.random.randn(4, 2)).float()
                yield x, x.sum(1, keepdim=True) + random.random()

    problem = Problem(
        "noisy", lambda: nn.Linear(2, 1), Noisy(), F.mse_loss, recipe=Recipe(updates=9)
    )
    before = random.getstate(), np.random.get_state()[1].copy()
    first, second = train(problem), train(problem)
    other = train(problem, problem.recipe.replace(seed=1))
    np.testing.assert_array_equal(first.loss, second.loss)
    assert (first.loss != other.loss).all()
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
