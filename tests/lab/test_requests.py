"""Newest wins, nothing queues, and `wait` waits, whatever thread a request comes from."""

import asyncio
import re
import threading
import time

import pytest
import torch
from torch import nn

from gradwidgets import GradLab, Problem, Recipe, problems, train
from tests.front_end import Page, screen_of, send
from tests.on_a_loop import on_a_loop, until

SHORT = Recipe(lr=0.5, updates=20)
LONG = SHORT.replace(updates=2000)


class Counted(nn.Linear):
    """Notes how many updates each run of it has come to; makes each take a while."""

    runs: list[int] = []  # noqa: RUF012

    def __init__(self):
        super().__init__(1, 1)
        self.number = len(self.runs)
        self.runs.append(0)

    def forward(self, x):
        self.runs[self.number] += 1
        time.sleep(0.001)
        return super().forward(x)


@pytest.fixture
def counted():
    """A problem, and the number of forward passes of each model that was built for it."""
    Counted.runs.clear()
    data = torch.ones(4, 1), torch.zeros(4, 1)
    return Problem("counted", Counted, data, nn.functional.mse_loss, recipe=SHORT)


def test_a_change_returns_at_once_and_is_answered_later():
    async def scenario():
        lab = GradLab("moons", recipe=SHORT)
        before = repr(lab)
        lab.controls["scale"].value = 2.0
        assert repr(lab) == before
        assert not lab.settled
        await until(lambda: repr(lab) != before)
        assert repr(lab).startswith(expected.summary())
        assert lab.history.loss.tolist() == expected.loss.tolist()
        lab.close()

    expected = train("moons", SHORT.replace(scale=2.0))
    on_a_loop(scenario)


def test_a_newer_value_takes_the_place_of_a_run_under_way(counted):
    async def scenario():
        lab = GradLab(counted, look_ahead=False, compare=False)
        lab.recipe = LONG
        for scale in (2.0, 2.5, 3.2, 4.0):
            lab.controls["scale"].value = scale
            await asyncio.sleep(0.03)
        lab.recipe = SHORT.replace(scale=5.0)
        await until(lambda: lab.settled)
        lab.close()
        runs = list(filter(None, Counted.runs))
        assert runs[0] == runs[-1] == SHORT.updates
        assert max(runs) < LONG.updates  # no other run was made to its end

    on_a_loop(scenario)


def test_a_request_from_another_thread_is_carried_out_on_the_loop():
    """Its caches too are read there only: a look from elsewhere may find what is being dropped."""
    hashed = set()

    class Edit:
        def __call__(self, grads):
            pass

        def __hash__(self):
            hashed.add(threading.current_thread())
            return 1

        def __eq__(self, other):
            return isinstance(other, Edit)

    async def scenario():
        lab = GradLab("line", recipe=SHORT.replace(edits=(Edit(),)))
        threads = []
        lab.followers.append(lambda: threads.append(threading.current_thread()))
        screen_of(lab).observe(lambda _: threads.append(threading.current_thread()), "sentence")
        hand = threading.Thread(target=lambda: setattr(lab.controls["scale"], "value", 0.5))
        hand.start()
        hand.join()
        await until(lambda: len(threads) >= 2)
        assert set(threads) == hashed == {threading.main_thread()}
        lab.close()

    on_a_loop(scenario)


class Meets(nn.Linear):
    """Draws random numbers; with gates, the first model on each thread waits for the other."""

    gates: dict[str, threading.Event] = {}  # noqa: RUF012

    def __init__(self):
        super().__init__(2, 2)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.gates and self.calls == 5:
            names = ["loop", "hand"]
            if threading.current_thread() is not threading.main_thread():
                names.reverse()
            here, other = (self.gates[name] for name in names)
            if not here.is_set():
                here.set()
                other.wait(0.5)
        return super().forward(nn.functional.dropout(x, 0.5))


def test_what_a_lab_trains_ahead_and_a_run_on_another_thread_do_not_disturb_each_other():
    async def scenario():
        lab = GradLab(problem, show=("scale",), recipe=SHORT, compare=False, panels=("loss",))
        before = torch.get_rng_state()
        lab.controls["scale"].focused = True
        Meets.gates.update(loop=threading.Event(), hand=threading.Event())
        hand = threading.Thread(target=lambda: found.append(train(problem, other)))
        hand.start()
        lab.wait(prefetched=True)
        hand.join()
        Meets.gates.clear()
        assert torch.equal(torch.get_rng_state(), before)
        lab.close()

    problem = Problem("meets", Meets, problems.moons.batches(), nn.functional.cross_entropy)
    other, found = SHORT.replace(seed=3), []
    on_a_loop(scenario)
    assert found[0].loss.tolist() == train(problem, other).loss.tolist()


def test_asking_for_the_history_does_not_wait_for_the_loop():
    async def scenario():
        lab = GradLab("moons", recipe=SHORT)
        lab.controls["scale"].value = 2.0
        assert lab.history.recipe.scale == 2.0
        assert lab.summary.startswith(lab.history.summary())
        lab.close()

    on_a_loop(scenario)


WAITERS = {
    "a cell": lambda lab: asyncio.sleep(0, lab.wait()),
    "another thread": lambda lab: asyncio.to_thread(lab.wait),
}


@pytest.mark.parametrize("where", WAITERS)
def test_wait_ends_when_all_is_trained_and_drawn(where):
    async def scenario():
        lab = GradLab("moons", recipe=SHORT)
        lab.recipe = SHORT.replace(updates=300)
        lab.seeds()
        assert await WAITERS[where](lab)
        assert lab.settled
        assert "300 updates" in repr(lab)
        assert "Over 10 seeds" in repr(lab)
        lab.close()

    on_a_loop(scenario)


def test_wait_gives_up_after_its_time_and_the_work_goes_on():
    async def scenario():
        lab = GradLab("moons", recipe=SHORT)
        lab.recipe = LONG
        assert not lab.wait(timeout=0.01)
        await until(lambda: lab.settled)
        assert lab.wait(timeout=10)
        lab.close()

    on_a_loop(scenario)


def test_wait_may_include_what_is_prepared_for_the_next_moves():
    async def scenario():
        lab = GradLab("moons", recipe=SHORT)
        page = Page(lab)
        lab.controls["lr"].focused = True
        assert lab.wait()
        assert not page.ready
        assert lab.wait(prefetched=True)
        stops = range(len(lab.controls["lr"].stops))
        assert {index for slider, index in page.ready if slider == "lr"} == set(stops)
        lab.close()

    on_a_loop(scenario)


def test_without_a_loop_there_is_nothing_to_wait_for():
    lab = GradLab("moons", recipe=SHORT)
    lab.controls["scale"].value = 2.0
    assert lab.settled
    assert lab.wait(timeout=0)
    lab.close()


def test_a_run_that_was_interrupted_is_made_again(counted):
    class Interrupted(KeyboardInterrupt):
        pass

    def interrupt(_):
        if stops:
            raise stops.pop()

    async def scenario():
        lab = GradLab(counted, compare=False)
        stops.append(Interrupted())
        lab.recipe = SHORT.replace(edits=(interrupt,))
        with pytest.raises(Interrupted):
            lab.run()
        assert lab.history.updates == SHORT.updates
        lab.close()

    stops = []
    on_a_loop(scenario)


def test_a_long_run_shows_progress_and_can_be_cancelled():
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(updates=10))
        screen, shares = screen_of(lab), []
        screen.observe(lambda change: shares.append(change["new"]), "progress")
        lab.recipe = Recipe(updates=1_000_000)
        picture = screen.png
        await until(lambda: shares and screen.png != picture)
        assert re.match(r"So far \d+ of 1000000 updates: the loss", screen.sentence)
        send(screen, {"kind": "cancel"})
        await until(lambda: screen.progress < 0)
        assert "Cancelled after" in screen.sentence
        assert lab.history.stopped[1] == "cancelled"
        lab.recipe = Recipe(updates=20)
        assert lab.history.updates == 20
        lab.close()

    on_a_loop(scenario)


@pytest.mark.parametrize("after", [0.0, 0.05, 0.3])
def test_cancel_ends_the_baseline_as_well_and_both_are_shown_as_far_as_they_are(after):
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(updates=10))
        lab.recipe = Recipe(updates=1_000_000, seed=3, scale=2.0)
        await asyncio.sleep(after)
        lab.cancel()
        assert lab.wait()
        assert repr(lab).startswith(("Cancelled after", "Cancelled before the first update."))
        assert lab.history.stopped[1] == lab.baseline.stopped[1] == "cancelled"
        assert lab.history.updates < 1_000_000
        if lab.baseline.updates:
            assert f"The start was cancelled after {lab.baseline.updates} updates." in repr(lab)
        lab.close()

    on_a_loop(scenario)


def test_a_run_that_code_waits_for_can_be_cancelled_on_another_thread():
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(updates=10))
        lab.recipe = Recipe(updates=1_000_000)
        threading.Timer(0.2, lab.cancel).start()
        assert lab.run().stopped[1] == "cancelled"
        lab.close()

    on_a_loop(scenario)


def test_a_slow_first_run_does_not_keep_the_lab_from_the_screen():
    async def scenario():
        begun = time.monotonic()
        lab = GradLab("moons", recipe=Recipe(updates=100_000))
        screen, view = screen_of(lab), lab.static_view()
        assert time.monotonic() - begun < 20
        assert view.png
        assert "updates: the loss " in view.words
        assert 0 <= screen.progress < 1
        seen = screen.progress
        await until(lambda: screen.progress != seen)  # it goes on
        lab.cancel()
        await until(lambda: screen.progress < 0)
        assert "Cancelled after" in screen.sentence
        lab.close()

    on_a_loop(scenario)
