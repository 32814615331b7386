"""While the learner looks, the range of the active slider is trained; dragging then shows it."""

import asyncio
import gc
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gradwidgets import GradLab, Problem, Recipe, problems, train
from gradwidgets.components import LatestTask
from gradwidgets.lab.prefetch import MEMORY, SHORT, Cost, measured, trained
from gradwidgets.lab.results import Results
from tests.front_end import Page, screen_of, send
from tests.on_a_loop import on_a_loop, until

START = Recipe(lr=0.5, updates=20)


def stops_known(lab, name):
    return sum(bar is not None for bar in lab.controls[name].bars)


def test_focus_alone_trains_the_whole_range_and_draws_its_bars():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        slider = lab.controls["scale"]
        assert slider.bars == [None] * len(slider.stops)
        slider.focused = True
        await until(lambda: all(slider.bars))
        assert "the loss ends lowest at" in slider.bars_text
        lab.close()

    on_a_loop(scenario)


def test_the_baseline_has_its_parameters_where_a_sweep_trained_it():
    async def scenario():
        lab = GradLab("moons", show=("seed", "scale"), recipe=START, panels=("loss",))
        lab.controls["seed"].focused = True
        lab.wait(prefetched=True)
        lab.recipe = START.replace(seed=1, scale=2.0)
        expected = train("moons", START.replace(seed=1)).parameters
        assert {*lab.baseline.parameters} == {*expected}
        for name, values in expected.items():
            assert np.array_equal(lab.baseline.parameters[name], values)
        lab.close()

    on_a_loop(scenario)


def test_a_stop_that_is_prepared_is_drawn_at_once_and_not_trained_again():
    async def scenario():
        lab = GradLab(problem, show=("scale",), recipe=START)
        slider = lab.controls["scale"]
        slider.focused = True
        lab.wait(prefetched=True)
        built.clear()
        slider.value = 2.0
        await until(lambda: lab.settled and lab.recipe.scale == 2.0)
        assert lab.wait()
        assert repr(lab).startswith(expected.summary())
        assert not built
        assert lab.history.loss.tolist() == expected.loss.tolist()
        for name, values in expected.parameters.items():  # all that a run alone has
            assert lab.history.parameters[name].tolist() == values.tolist()
        lab.close()

    built = []

    def model():
        built.append(1)
        return problems.moons.build()

    problem = Problem("counted", model, problems.moons.batches(), nn.functional.cross_entropy)
    expected = train("moons", START.replace(scale=2.0))
    on_a_loop(scenario)


class Sleeps(nn.Linear):
    """Takes its time for a forward pass."""

    seconds = 0.0

    def __init__(self):
        super().__init__(2, 2)

    def forward(self, x):
        time.sleep(self.seconds)
        return super().forward(x)


@pytest.mark.parametrize(("seconds", "known"), [(0.0, 7), (0.02, 1)])
def test_what_does_not_fit_a_slice_is_not_prepared(monkeypatch, seconds, known):
    """A model that must be trained alone: the neighbours, or nothing but what was asked for."""

    async def scenario():
        lab = GradLab(problem, show=("scale",), recipe=Recipe(updates=5), compare=False)
        lab.controls["scale"].focused = True
        lab.wait(prefetched=True)
        assert stops_known(lab, "scale") == known
        lab.close()

    monkeypatch.setattr(Sleeps, "seconds", seconds)
    problem = Problem("sleeps", Sleeps, problems.moons.batches(), nn.functional.cross_entropy)
    on_a_loop(scenario)


def test_a_slow_run_shows_by_itself_that_nothing_can_be_prepared(monkeypatch):
    async def scenario():
        lab = GradLab(problem, show=("scale",), recipe=Recipe(updates=3), compare=False)
        lab.wait()
        built.clear()
        lab.controls["scale"].focused = True
        lab.wait(prefetched=True)
        assert built == []
        lab.close()

    def build():
        built.append(1)
        return Sleeps()

    built = []
    monkeypatch.setattr(Sleeps, "seconds", 0.06)
    problem = Problem("sleeps", build, problems.moons.batches(), nn.functional.cross_entropy)
    on_a_loop(scenario)


@given(st.floats(1e-6, 10.0), st.integers(1, 10**10))
def test_replicas_fit_a_slice_and_the_memory_or_there_is_none(seconds, size):
    replicas = Cost(seconds, size).replicas
    assert replicas * seconds <= SHORT * 1.001
    assert replicas * size <= MEMORY
    one_more = replicas + 1
    assert one_more * seconds > SHORT * 0.999 or one_more * size > MEMORY


def cost_of(problem, recipe):
    def steps():
        found.append((yield from measured(problem, recipe)))

    found = []
    list(steps())
    return found[0]


def test_what_a_run_keeps_for_its_backward_pass_is_measured():
    """A Linear and a Tanh keep their input and their output, beside parameters and targets."""
    samples, width = 1000, 500
    x, y = torch.zeros(samples, 1), torch.zeros(samples, width)
    factory = lambda: nn.Sequential(nn.Linear(1, width), nn.Tanh())  # noqa: E731
    problem = Problem("wide", factory, (x, y), nn.functional.mse_loss)

    cost = cost_of(problem, Recipe(updates=5))
    outputs = samples * width * 4
    assert cost.seconds > 0
    assert outputs <= cost.bytes <= 4 * outputs


@pytest.mark.parametrize("changes", [{"updates": 1}, {"updates": 2}, {"stop_below": 1e9}])
def test_a_slow_run_of_few_updates_is_measured_as_slow(changes, monkeypatch):
    monkeypatch.setattr(Sleeps, "seconds", 0.02)
    problem = Problem("sleeps", Sleeps, problems.moons.batches(), nn.functional.cross_entropy)
    assert cost_of(problem, Recipe(**{"updates": 5, **changes})).seconds >= 0.02


def test_another_active_slider_clears_the_bars_of_the_last():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        lab.controls["scale"].focused = True
        lab.wait(prefetched=True)
        assert all(lab.controls["scale"].bars)
        lab.controls["lr"].focused = True
        lab.wait(prefetched=True)
        assert not any(lab.controls["scale"].bars)
        assert all(lab.controls["lr"].bars)
        lab.close()

    on_a_loop(scenario)


def test_where_each_stop_needs_its_own_run_only_the_neighbours_are_trained():
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(optimizer="NAdam", lr=0.01, updates=5))
        lab.controls["scale"].focused = True
        lab.wait(prefetched=True)
        assert stops_known(lab, "scale") == 7  # six neighbours and where it stands
        bars = lab.controls["scale"].bars
        at = lab.controls["scale"].index
        assert [bar is not None for bar in bars[at - 3 : at + 4]] == [True] * 7
        lab.close()

    on_a_loop(scenario)


def test_looking_ahead_can_be_switched_off():
    async def scenario():
        lab = GradLab("moons", recipe=START, look_ahead=False)
        lab.controls["scale"].focused = True
        assert lab.wait(prefetched=True)
        assert stops_known(lab, "scale") == 0
        lab.close()

    on_a_loop(scenario)


def test_without_a_loop_nothing_is_trained_ahead():
    lab = GradLab("moons", recipe=START)
    lab.controls["scale"].focused = True
    assert lab.wait(prefetched=True)
    assert stops_known(lab, "scale") == 0
    lab.close()


def kept(done, problem, recipes):
    """Steps that train recipes and put their histories into a list."""
    done.append((yield from trained(problem, recipes)))


def test_a_newer_event_is_never_kept_waiting():
    waits = []

    async def scenario():
        done = []
        start = problems.moons.recipe.replace(updates=400)
        recipes = [start.replace(scale=s) for s in np.linspace(0.1, 3, 51).tolist()]
        LatestTask().begin(kept(done, problems.moons, recipes))
        while not done:
            begun = time.thread_time()
            await asyncio.sleep(0)
            waits.append(time.thread_time() - begun)  # what the sweep worked between two events

    on_a_loop(scenario)
    assert np.median(waits) < 2 * SHORT


class FailsWhenPushed(nn.Module):
    """Raises once its parameter has been pushed above 0, as large rates do."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([-1.0]))

    def forward(self, x):
        if self.weight.item() > 0:
            raise RuntimeError("too far")
        return x * self.weight


def test_a_model_that_fails_ahead_is_reported_only_when_it_is_asked_for():
    async def scenario():
        asyncio.get_running_loop().set_exception_handler(lambda _, told: raised.append(told))
        x = torch.ones(4, 1)
        problem = Problem("fails", FailsWhenPushed, (x, 0 * x - 0.1), nn.functional.mse_loss)
        lab = GradLab(problem, show=("lr",), recipe=Recipe(lr=0.001, updates=20))
        lab.controls["lr"].focused = True
        assert lab.wait(prefetched=True)
        assert screen_of(lab).trace == ""
        lab.controls["lr"].value = 10.0
        await until(lambda: "too far" in repr(lab))
        assert "RuntimeError" in screen_of(lab).trace
        lab.close()

    raised = []
    on_a_loop(scenario)
    assert raised == []


def test_a_bug_of_ours_while_preparing_is_not_swallowed(monkeypatch):
    """Neither on the loop, which is told, nor in code that waits."""

    def broken(*_):
        raise KeyError("a bug")

    monkeypatch.setattr("gradwidgets.lab.prefetch.outcome_bars", broken)

    async def scenario():
        asyncio.get_running_loop().set_exception_handler(lambda _, told: raised.append(told))
        lab = GradLab("moons", recipe=START)
        lab.controls["scale"].focused = True
        await until(lambda: raised)
        assert isinstance(raised[0]["exception"], KeyError)
        lab.controls["lr"].focused = True
        with pytest.raises(KeyError, match="a bug"):
            lab.wait(prefetched=True)
        lab.close()

    raised = []
    on_a_loop(scenario)


def test_the_pictures_that_wait_on_the_page_are_what_the_lab_would_answer():
    async def scenario():
        lab = GradLab("moons", show=("scale", "lr", "optimizer"), recipe=START)
        screen, page = screen_of(lab), Page(lab)
        scale, lr = lab.controls["scale"], lab.controls["lr"]
        scale.focused = True
        for slider, index in ((scale, 3), (scale, 20), (lr, lr.index + 1)):
            lab.wait(prefetched=True)
            assert {name for name, _ in page.ready} == {"scale", "lr"}
            waiting = page.ready[slider.name, index]
            asked = lab.recipe.replace(**{slider.name: slider.stops[index]})
            slider.index = index
            await until(lambda waiting=waiting: screen.png == waiting)
            assert lab.recipe == asked
            assert {name for name, _ in page.ready} == {slider.name}
            assert repr(lab).startswith(train("moons", asked).summary())
        lab.close()

    on_a_loop(scenario)


def test_pictures_do_not_wait_any_more_when_something_else_changes():
    async def scenario():
        lab = GradLab("moons", show=("scale", "lr", "optimizer"), recipe=START)
        page = Page(lab)
        lab.controls["scale"].focused = True
        for change in (
            lab.pin,
            lab.seeds,
            lambda: setattr(lab.controls["optimizer"], "value", "Adam"),
            lambda: setattr(screen_of(lab), "dark", True),
        ):
            assert lab.wait(prefetched=True)
            before = dict(page.ready)
            change()
            assert lab.wait()
            assert before
            assert not page.ready
        lab.close()

    on_a_loop(scenario)


def test_stops_that_read_alike_have_pictures_of_their_own():
    """A stop beside another, shown with the same text, does not get the other's picture."""

    async def scenario():
        lab = GradLab("moons", show=("lr",), recipe=START.replace(lr=0.1))
        lr, page = lab.controls["lr"], Page(lab)
        lr.value = 0.1000001
        lr.focused = True
        lab.wait(prefetched=True)
        twins = [index for index, text in enumerate(lr.texts) if text == "0.1"]
        assert [lr.stops[index] for index in twins] == [0.1, 0.1000001]
        for index in twins:
            recipe = lab.recipe.replace(lr=lr.stops[index])
            alone = GradLab("moons", show=("lr",), recipe=lab.start)
            alone.recipe = recipe
            assert page.ready["lr", index] == alone.picture
            alone.close()
        lab.close()

    on_a_loop(scenario)


def test_pictures_go_where_a_slider_gets_another_stop():
    """Then the stops behind it have moved, and a picture would stand at the wrong one."""

    async def scenario():
        lab = GradLab("moons", show=("lr",), recipe=START)
        lr, page = lab.controls["lr"], Page(lab)
        lr.focused = True
        lab.wait(prefetched=True)
        before, moved = dict(page.ready), lr.stops.index(1.0)
        lr.value = 0.55
        lab.wait()
        assert before
        assert not page.ready
        lab.wait(prefetched=True)
        assert lr.stops[moved + 1] == 1.0
        assert page.ready["lr", moved + 1] == before["lr", moved]
        lab.close()

    on_a_loop(scenario)


def test_a_move_that_leads_nowhere_new_is_answered_all_the_same():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        scale, screen = lab.controls["scale"], screen_of(lab)
        scale.set_state({"index": scale.index + 1, "moved_at": 5.0})
        await until(lambda: screen.answered == 5.0)
        scale.set_state({"index": scale.index, "moved_at": 7.0})  # there and back, merged
        await until(lambda: screen.answered == 7.0)
        assert lab.recipe.scale == scale.value
        lab.close()

    on_a_loop(scenario)


def test_a_move_to_what_cannot_be_trained_is_answered():
    async def scenario():
        start = Recipe(updates=20, options={"momentum": 0.9, "nesterov": True})
        lab = GradLab("moons", show=("momentum",), recipe=start)
        momentum, screen = lab.controls["momentum"], screen_of(lab)
        at, before = momentum.index, repr(lab)
        momentum.set_state({"index": 0, "moved_at": 3.0})
        await until(lambda: screen.answered == 3.0)
        assert "Nesterov" in screen.sentence
        momentum.set_state({"index": at, "moved_at": 4.0})
        await until(lambda: screen.answered == 4.0)
        assert repr(lab) == before
        lab.close()

    on_a_loop(scenario)


def test_a_new_view_is_sent_once_more_what_waits():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        page = Page(lab)
        lab.wait(prefetched=True)
        before = dict(page.ready)
        page.kinds.clear()
        send(screen_of(lab), {"kind": "shown"})
        lab.wait(prefetched=True)
        assert page.kinds == ["forget", *["ready"] * len(before)]
        assert page.ready == before
        lab.close()

    on_a_loop(scenario)


def test_a_lab_that_nobody_sees_prepares_nothing_and_goes_on_when_it_is_seen():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        screen, page = screen_of(lab), Page(lab)
        for _ in range(2):
            send(screen, {"kind": "shown"})
        lab.wait(prefetched=True)
        before = dict(page.ready)
        send(screen, {"kind": "gone"})
        lab.wait(prefetched=True)
        assert page.ready == before  # there is another view
        send(screen, {"kind": "gone"})
        lab.wait(prefetched=True)
        assert not page.ready
        lab.controls["scale"].value = 2.0
        lab.wait(prefetched=True)
        assert not page.ready
        send(screen, {"kind": "shown"})
        lab.wait(prefetched=True)
        assert page.ready
        lab.close()

    on_a_loop(scenario)


def test_a_lab_whose_view_goes_during_a_run_ends_it_and_prepares_nothing():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        screen, page = screen_of(lab), Page(lab)
        send(screen, {"kind": "shown"})
        lab.seeds()
        lab.recipe = START.replace(updates=2000)
        await asyncio.sleep(0.1)
        send(screen, {"kind": "gone"})
        await until(lambda: "2000 updates" in repr(lab))
        assert lab.wait(prefetched=True)
        assert not page.ready
        assert "seeds" not in repr(lab)
        send(screen, {"kind": "shown"})
        await until(lambda: "Over 10 seeds" in repr(lab))
        await until(lambda: page.ready)
        lab.close()

    on_a_loop(scenario)


def test_what_is_asked_for_comes_before_what_may_be_asked_for():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        told = []
        screen_of(lab).observe(lambda _: told.append("answer"), "sentence")
        lab.controls["scale"].observe(lambda _: told.append("bars"), "bars")
        lab.recipe = START.replace(updates=3_000)
        lab.controls["scale"].focused = True
        await until(lambda: "bars" in told)
        assert told[0] == "answer"
        lab.close()

    on_a_loop(scenario)


def test_what_was_used_last_is_kept_when_room_is_short():
    runs = [train("moons", START.replace(scale=scale)) for scale in (1.0, 2.0, 3.0, 4.0, 5.0)]
    results = Results(capacity=3 * runs[0].nbytes)
    results.keep(runs[:3])
    assert results.history(runs[0].recipe) is runs[0]
    results.keep(runs[3:])
    assert [results.history(run.recipe) for run in runs] == [runs[0], None, None, *runs[3:]]
    assert results.nbytes <= results.capacity


@pytest.mark.skipif(sys.platform != "linux", reason="a limit that Linux keeps to")
def test_a_thousand_changes_take_no_more_memory_than_fifty():
    async def scenario():
        lab = GradLab("moons", recipe=START.replace(updates=100))
        for change in range(1000):
            name = ("scale", "lr", "l2")[change // 25 % 3]
            slider = lab.controls[name]
            slider.index = (slider.index + 1) % len(slider.stops)
            if change % 10 == 9:
                await asyncio.sleep(0)
                lab.wait()
            if change in (24, 49, 499, 999):
                lab.wait(prefetched=True)
                resident.append(memory())
        lab.close()

    resident = []
    on_a_loop(scenario)
    assert resident[-1] - resident[1] < 20_000_000


def memory():
    """Bytes resident now."""
    gc.collect()
    return psutil.Process().memory_info().rss
