"""One thing at a time, in order, on the loop; newer work takes the place of older."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
import torch

from gradwidgets import Recipe, train
from gradwidgets.components import LatestTask, LoopScheduler
from tests.on_a_loop import on_a_loop, until


def steps_into(done, name, count, pause=None):
    for number in range(count):
        done.append(f"{name}{number}")
        yield pause


def test_without_a_loop_an_action_is_done_at_once_and_what_it_asks_for_after_it():
    done = []
    scheduler = LoopScheduler()

    def action():
        scheduler.soon(lambda: done.append("asked for"))
        done.append("action")

    scheduler.soon(action)
    assert done == ["action", "asked for"]
    with scheduler.now():
        scheduler.later(3.0, lambda: done.append("later"))
        assert done[2:] == []
    assert done[2:] == ["later"]


def test_actions_from_many_threads_are_done_on_the_loop_in_their_order():
    async def scenario():
        scheduler, done = LoopScheduler(), []

        def ask(name):
            for number in range(100):
                act = (name, number)
                scheduler.soon(lambda act=act: done.append((act, threading.current_thread())))

        hands = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        assert not done
        await until(lambda: len(done) == 200)
        assert {thread for _, thread in done} == {threading.main_thread()}
        for name in "ab":
            numbers = [number for (who, number), _ in done if who == name]
            assert numbers == list(range(100))

    on_a_loop(scenario)


def test_what_code_does_now_comes_after_what_was_asked_for_before():
    async def scenario():
        scheduler, done = LoopScheduler(), []
        scheduler.soon(lambda: done.append("asked for"))
        with scheduler.now():
            done.append("now")
        assert done == ["asked for", "now"]

    on_a_loop(scenario)


def test_an_action_and_a_run_on_another_thread_wait_for_each_other():
    """Both may disturb the process's generators and threads: the action finds them as they are."""
    seen = []

    class Edit:
        def __call__(self, _):
            begun.set()
            if not asked.wait(10):
                raise TimeoutError

    async def scenario():
        scheduler = LoopScheduler()
        hand = threading.Thread(target=train, args=("line", Recipe(updates=2000, edits=(Edit(),))))
        hand.start()
        begun.wait()
        scheduler.soon(lambda: seen.append(torch.get_rng_state()))
        asked.set()
        await until(lambda: seen)
        hand.join()

    begun, asked = threading.Event(), threading.Event()
    before = torch.get_rng_state()
    on_a_loop(scenario)
    assert torch.equal(seen[0], before)


@pytest.mark.parametrize("loop", [False, True])
def test_a_task_is_done_to_its_end(loop):
    async def scenario():
        task, done = LatestTask(), []
        task.begin(steps_into(done, "step", 3))
        if loop:
            assert not done
            await until(lambda: not task.busy)
        assert done == ["step0", "step1", "step2"]
        assert not task.busy

    if loop:
        on_a_loop(scenario)
    else:
        with pytest.raises(StopIteration):
            scenario().send(None)


def test_newer_work_takes_the_place_of_older():
    async def scenario():
        task, done = LatestTask(), []
        task.begin(steps_into(done, "old", 1_000_000))
        await until(lambda: len(done) > 3)
        task.begin(steps_into(done, "new", 2))
        await until(lambda: not task.busy)
        assert done[-2:] == ["new0", "new1"]
        assert done.index("new0") == len(done) - 2

    on_a_loop(scenario)


def test_after_a_long_step_the_loop_can_hand_a_message_on_in_several_turns(monkeypatch):
    """By a clock of the test's own a step takes a minute: no pause of the machine counts."""
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("gradwidgets.components.scheduler.time", clock)

    async def scenario():
        done = []

        def long_steps():
            for number in range(3):
                now[0] += 60.0
                done.append(number)
                yield None

        async def message():
            for _ in range(5):
                await asyncio.sleep(0)
            done.append("message")

        LatestTask().begin(long_steps())
        await until(lambda: done)
        await message()
        assert done == [0, "message"]

    on_a_loop(scenario)


def test_work_that_is_stopped_in_the_middle_of_a_step_takes_no_other():
    async def scenario():
        done = []
        task = LatestTask()

        def step():
            while True:
                hand = threading.Thread(target=task.stop)
                hand.start()
                hand.join()
                done.append("step")
                yield None

        task.begin(step())
        await until(lambda: done)
        task.begin(steps_into(done, "later", 1))
        await until(lambda: not task.busy)
        assert done == ["step", "later0"]

    on_a_loop(scenario)


def test_finish_leaves_out_the_pauses_and_stops_where_it_is_enough():
    async def scenario():
        task, done = LatestTask(), []
        task.begin(steps_into(done, "step", 5, pause=3600.0))
        task.finish(lambda: len(done) == 2)
        assert done == ["step0", "step1"]
        task.finish(seconds=0.0)
        assert len(done) == 2
        task.finish()
        assert len(done) == 5

    on_a_loop(scenario)


def test_an_error_ends_the_work_and_is_told_to_the_loop():
    async def scenario():
        asyncio.get_running_loop().set_exception_handler(lambda _, told: raised.append(told))
        task = LatestTask()
        task.begin(1 / number for number in (1e3, 0))
        await until(lambda: raised)
        assert isinstance(raised[0]["exception"], ZeroDivisionError)
        assert not task.busy

    raised = []
    on_a_loop(scenario)


def test_an_action_that_fails_ends_no_work_that_waits_with_it():
    told = []

    async def scenario():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(repr(context["exception"])))
        scheduler = LoopScheduler()
        done = []

        def from_elsewhere():
            scheduler.soon(lambda: 1 / 0)
            scheduler.soon(lambda: done.append("later"))

        thread = threading.Thread(target=from_elsewhere)
        thread.start()
        thread.join()
        with scheduler.now():  # catches up first
            done.append("now")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == ["later", "now"]

    asyncio.run(scenario())
    assert told == ["ZeroDivisionError('division by zero')"]


def test_what_comes_after_the_loop_is_closed_is_done_at_once():
    made, done = [], []

    async def scenario():
        made.append(LoopScheduler())

    on_a_loop(scenario)
    made[0].soon(lambda: done.append("soon"))
    made[0].later(3600.0, lambda: done.append("later"))
    assert done == ["soon", "later"]
