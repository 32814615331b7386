"""While the learner looks, the range of the slider in hand is trained; dragging then shows it."""

import asyncio
import gc
import resource
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from gradwidgets import GradLab, Problem, Recipe, problems, train
from gradwidgets.lab.background import IDLE, SHORT, Background, trained
from gradwidgets.lab.outcome_bars import strip
from gradwidgets.lab.results import Results

START = Recipe(lr=0.5, updates=20)


def in_a_loop(scenario):
    async def limited():
        await asyncio.wait_for(scenario(), timeout=120)

    asyncio.run(limited())


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


def stops_known(lab, name):
    slider, results = lab.controls[name], lab._work.results
    recipes = [lab._controls.recipe_at(name, stop) for stop in slider.stops]
    return sum(results.preview(recipe) is not None for recipe in recipes)


def all_known(lab, name):
    return stops_known(lab, name) == len(lab.controls[name].stops)


async def prepared(lab):
    """Wait until nothing more is prepared; returns what waits in the browser."""
    before = None
    while before != lab._screen._waiting or len(before) < 3:
        before = dict(lab._screen._waiting)
        await asyncio.sleep(1.0)
    return before


def test_focus_alone_trains_the_whole_range_and_draws_its_bars():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        slider = lab.controls["scale"]
        assert slider.bars == [None] * len(slider.stops)
        slider.focused = True
        await until(lambda: all_known(lab, "scale"))
        await until(lambda: all(slider.bars))
        assert "the loss ends lowest at" in slider.bars_text
        lab.close()

    in_a_loop(scenario)


def test_a_stop_that_is_known_is_drawn_from_the_sweep_and_then_trained_exactly():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        lab.controls["scale"].focused = True
        await until(lambda: all_known(lab, "scale"))
        at_first = lab._screen.sentence
        lab.controls["scale"].value = 2.0
        await until(lambda: lab._screen.sentence != at_first)
        assert lab._work.results.history(lab.recipe) is None  # drawn, and no run was made
        assert lab._screen.sentence.startswith(expected.summary())
        await until(lambda: lab._work.results.history(lab.recipe) is not None)
        assert lab._work.results.history(lab.recipe).loss.tolist() == expected.loss.tolist()
        lab.close()

    expected = train("moons", START.replace(scale=2.0))
    in_a_loop(scenario)


def test_what_code_asks_for_is_exact_whatever_was_drawn():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        lab.controls["scale"].focused = True
        await until(lambda: all_known(lab, "scale"))
        lab.controls["scale"].value = 3.2
        assert lab.history.loss.tolist() == expected.loss.tolist()
        lab.close()

    expected = train("moons", START.replace(scale=3.2))
    in_a_loop(scenario)


def test_another_slider_in_hand_clears_the_bars_of_the_last():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        lab.controls["scale"].focused = True
        await until(lambda: all(lab.controls["scale"].bars))
        lab.controls["lr"].focused = True
        assert not any(lab.controls["scale"].bars)
        await until(lambda: all(lab.controls["lr"].bars))
        lab.close()

    in_a_loop(scenario)


def test_where_each_stop_needs_its_own_run_only_the_neighbours_are_trained():
    async def scenario():
        lab = GradLab("moons", recipe=Recipe(optimizer="RMSprop", lr=0.01, updates=5))
        lab.controls["scale"].focused = True
        await until(lambda: stops_known(lab, "scale") > 1)
        await asyncio.sleep(0.3)
        assert stops_known(lab, "scale") == 7  # six neighbours and where it stands
        bars = lab.controls["scale"].bars
        at = lab.controls["scale"].index
        assert [bar is not None for bar in bars[at - 3 : at + 4]] == [True] * 7
        lab.close()

    in_a_loop(scenario)


def test_looking_ahead_can_be_switched_off():
    async def scenario():
        lab = GradLab("moons", recipe=START, look_ahead=False)
        lab.controls["scale"].focused = True
        await asyncio.sleep(1.0)
        assert stops_known(lab, "scale") == 1
        lab.close()

    in_a_loop(scenario)


def kept(done, problem, recipes):
    """Steps that train recipes and put their histories into a list."""
    done.append((yield from trained(problem, recipes)))


def test_a_newer_event_is_never_kept_waiting():
    waits = []

    async def scenario():
        done = []
        start = problems.moons.recipe.replace(updates=400)
        recipes = [start.replace(scale=s) for s in np.linspace(0.1, 3, 51).tolist()]
        Background().begin(kept(done, problems.moons, recipes))
        while not done:
            begun = time.thread_time()
            await asyncio.sleep(0)
            waits.append(time.thread_time() - begun)  # what the sweep worked between two events

    in_a_loop(scenario)
    assert np.median(waits) < 2 * SHORT


def test_work_that_is_no_longer_wanted_is_dropped():
    async def scenario():
        done = []
        work = Background()
        long = Recipe(updates=100_000)
        work.begin(kept(done, problems.moons, [long, long.replace(scale=2.0)]))
        await asyncio.sleep(0.1)
        work.begin(kept(done, problems.moons, [START]))
        await until(lambda: done)
        assert [[h.recipe for h in histories] for histories in done] == [[START]]

    in_a_loop(scenario)


def test_a_model_that_fails_is_left_to_the_lab_to_report():
    async def scenario():
        done = []
        broken = Problem(
            "broken", lambda: nn.Linear(3, 2), problems.moons.batches(), F.cross_entropy
        )
        work = Background()
        work.begin(kept(done, broken, [START]))
        await asyncio.sleep(0.2)
        assert not done
        work.begin(kept(done, problems.moons, [START]))
        await until(lambda: done)  # and what comes after it is done

    in_a_loop(scenario)


def test_the_pictures_of_the_range_and_of_one_move_elsewhere_are_drawn_ahead():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        canvas = lab._picture._canvas
        lab.controls["scale"].focused = True
        await prepared(lab)
        ready = set(canvas._drawn.values())
        lab.controls["lr"].index += 1
        await until(lambda: lab._screen.sentence.startswith(expected))
        shown = lab._screen.png
        assert shown in ready
        canvas._drawn.clear()
        lab._work.draw(lab._work.results.preview(lab.recipe))
        assert lab._screen.png == shown
        lab.close()

    above = GradLab("moons", recipe=START).controls["lr"].stops
    expected = train("moons", START.replace(lr=above[above.index(0.5) + 1])).summary()
    in_a_loop(scenario)


def test_what_waits_in_the_browser_is_what_the_kernel_would_answer_and_goes_when_that_changes():
    async def scenario():
        lab = GradLab("moons", show=("scale", "lr", "optimizer"), recipe=START)
        scale = lab.controls["scale"]
        scale.focused = True
        for index in (3, 20):
            waiting = await prepared(lab)
            assert {label for label, _ in waiting} == {"scale", "learning rate"}
            scale.index = index
            png = waiting["scale", scale.texts[index]]
            await until(lambda png=png: lab._screen.png == png)
            assert {label for label, _ in lab._screen._waiting} == {"scale"}
        await prepared(lab)
        lab.pin()
        assert not lab._screen._waiting
        scale.index += 1
        await prepared(lab)
        lab.controls["optimizer"].value = "Adam"
        await until(lambda: not lab._screen._waiting)
        lab.close()

    in_a_loop(scenario)


def test_a_move_that_leads_nowhere_new_is_answered_all_the_same():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        scale = lab.controls["scale"]
        scale.set_state({"index": scale.index + 1, "turn": 5.0})
        await until(lambda: lab._screen.turn == 5.0)
        scale.set_state({"index": scale.index, "turn": 7.0})  # there and back, merged on its way
        await until(lambda: lab._screen.turn == 7.0)
        assert lab.recipe.scale == scale.value
        lab.close()

    in_a_loop(scenario)


def test_a_move_to_what_is_refused_is_answered():
    async def scenario():
        lab = GradLab("moons", show=("optimizer", "momentum"), recipe=START)
        lab._work.refuse("cannot be", lab.controls["momentum"])
        lab.controls["momentum"].turn = 3.0
        await until(lambda: lab._screen.turn == 3.0)
        lab.close()

    in_a_loop(scenario)


def test_a_new_view_is_sent_what_waits_once_more():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        await prepared(lab)
        sent = []
        lab._screen.send = lambda message, *_: sent.append(message["kind"])
        lab._screen._received(None, {"kind": "shown"}, [])
        await until(lambda: sent.count("ready") > 2)
        assert sent[0] == "forget"
        lab.close()

    in_a_loop(scenario)


def test_a_lab_that_nobody_sees_prepares_nothing_holds_little_and_goes_on_when_it_is_seen():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        for _ in range(2):
            lab._screen._received(None, {"kind": "shown"}, [])
        await prepared(lab)
        lab._screen._received(None, {"kind": "gone"}, [])
        await asyncio.sleep(0.1)
        assert lab._screen._waiting  # there is another view
        lab._screen._received(None, {"kind": "gone"}, [])
        await until(lambda: "_canvas" not in vars(lab._picture))
        assert not lab._screen._waiting
        lab._screen._received(None, {"kind": "shown"}, [])
        await prepared(lab)
        lab.close()

    in_a_loop(scenario)


def test_a_lab_whose_view_goes_during_a_run_ends_it_and_prepares_nothing():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        lab._screen._received(None, {"kind": "shown"}, [])
        lab.seeds()
        lab.recipe = long
        await asyncio.sleep(0.1)
        lab._screen._received(None, {"kind": "gone"}, [])
        await until(lambda: lab._work.rerun._answered == lab._work.rerun.turn)
        await asyncio.sleep(2 * IDLE)
        assert lab.settled
        assert "_canvas" not in vars(lab._picture)
        assert not lab._screen._waiting
        assert long not in lab._work._seeded
        lab._screen._received(None, {"kind": "shown"}, [])
        await until(lambda: long in lab._work._seeded)
        await prepared(lab)
        lab.close()

    long = START.replace(updates=2000)
    in_a_loop(scenario)


def test_work_is_stopped_from_another_thread_in_the_middle_of_a_step():
    async def scenario():
        steps = []
        work = Background()

        def step():
            while True:
                steps.append(threading.Thread(target=work.stop))
                steps[-1].start()
                steps[-1].join()
                yield

        work.begin(step())
        await asyncio.sleep(0.2)
        assert len(steps) == 1

    in_a_loop(scenario)


def test_what_was_used_last_is_kept_when_room_is_short():
    runs = [train("moons", START.replace(scale=scale)) for scale in (1.0, 2.0, 3.0, 4.0, 5.0)]
    results = Results(problems.moons, capacity=3 * runs[0].nbytes)
    results.keep_previews(runs[:3])
    assert results.preview(runs[0].recipe) is runs[0]
    results.keep_previews(runs[3:])
    assert [results.preview(run.recipe) for run in runs] == [runs[0], None, None, *runs[3:]]
    assert results.nbytes <= results.capacity
    assert results.history(runs[0].recipe) is None  # a preview is not what a run of its own gives


def test_a_thousand_changes_take_no_more_memory_than_fifty():
    async def scenario():
        lab = GradLab("moons", recipe=START.replace(updates=100))
        for change in range(1000):
            name = ("scale", "lr", "l2")[change // 25 % 3]
            slider = lab.controls[name]
            slider.index = (slider.index + 1) % len(slider.stops)
            if change % 10 == 9:
                await until(lambda: lab._work.results.history(lab.recipe) is not None)
            if change in (24, 49, 499, 999):
                await until(lambda name=name: all_known(lab, name))
                resident.append(memory())
        lab.close()

    resident = []
    in_a_loop(scenario)
    assert resident[-1] - resident[1] < 20_000_000


def memory():
    """Bytes resident now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.single_precision("a loss leaves the numbers of single precision much earlier")
def test_bars_say_where_it_is_low_and_where_it_is_unstable():
    scales = (0.1, 1.0, 0.3, 30.0, 100.0)
    recipes = [Recipe(updates=100, scale=scale) for scale in scales]
    histories = [*(train("bowl", recipe) for recipe in recipes), None]
    shown = strip([*map(str, scales), "?"], histories)
    ends = [history.loss[-1] for history in histories[:3]]
    lowest = int(np.argmin(ends))
    assert shown.bars[lowest][0] == min(bar[0] for bar in shown.bars if bar)
    assert [bar[1] for bar in shown.bars[:5]] == ["", "", "", "diverges", "diverges"]
    assert shown.bars[5] is None
    assert f"lowest at {scales[lowest]}" in shown.text
    assert "diverges at 30.0 to 100.0" in shown.text


def test_a_bar_is_unstable_where_the_loss_rises_above_its_start():
    recipes = [Recipe(updates=20, scale=scale) for scale in (1.0, 23.0)]
    histories = [train("line", recipe) for recipe in recipes]
    assert histories[1].summary().startswith("Rising")
    shown = strip(["1", "23"], histories)
    assert [bar[1] for bar in shown.bars] == ["", "rises"]
    assert shown.text.endswith("rises at 23.")


def test_what_is_asked_for_comes_before_what_may_be_asked_for():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        begun = []
        lab._work._ahead.begin = lambda: begun.append(lab.settled)
        lab.recipe = START.replace(updates=3_000)
        lab.controls["scale"].focused = True
        assert not begun
        await until(lambda: begun)
        assert all(begun)
        lab.close()

    in_a_loop(scenario)


@pytest.mark.parametrize("waits", [False, True])
def test_ten_seeds_are_drawn_as_a_band_and_said(waits):
    def check(lab):
        ends = [train("moons", START.replace(seed=seed)).loss[-1] for seed in range(10)]
        median = np.quantile(ends, 0.5, method="nearest")
        assert f"Over 10 seeds it ends at {median:.4g}" in lab._screen.sentence
        assert lab._screen.png != before
        assert "Over 10 seeds" in lab._screen.alt
        lab.seeds()
        assert "seeds" not in lab._screen.sentence
        lab.close()

    async def scenario():
        nonlocal before
        lab = GradLab("moons", recipe=START)
        before = lab._screen.png
        lab.seeds()
        await until(lambda: "seeds" in lab._screen.sentence)
        check(lab)

    before = b""
    if waits:
        in_a_loop(scenario)
    else:
        lab = GradLab("moons", recipe=START)
        before = lab._screen.png
        lab.seeds()
        check(lab)


def test_the_last_seed_has_a_band():
    lab = GradLab("line", recipe=Recipe(updates=5, seed=2**63 - 1))
    lab.seeds()
    assert "Over 10 seeds" in lab._screen.sentence
    lab.close()


def test_the_band_of_a_new_recipe_follows_it():
    async def scenario():
        lab = GradLab("moons", recipe=START)
        lab.seeds()
        await until(lambda: "seeds" in lab._screen.sentence)
        first = lab._screen.sentence
        lab.controls["scale"].value = 3.2
        await until(lambda: "seeds" in lab._screen.sentence and lab._screen.sentence != first)
        ends = [train("moons", START.replace(scale=3.2, seed=seed)).loss[-1] for seed in range(10)]
        assert f"ends at {np.quantile(ends, 0.5, method='nearest'):.4g}" in lab._screen.sentence
        lab.controls["scale"].value = 1.6
        await until(lambda: lab.recipe in lab._work._seeded)
        assert list(lab._work._seeded) == [lab.recipe, START]  # what is not drawn is not kept
        lab.close()

    in_a_loop(scenario)


def test_without_a_loop_nothing_is_trained_ahead():
    torch.manual_seed(0)
    lab = GradLab("moons", recipe=START)
    lab.controls["scale"].focused = True
    assert stops_known(lab, "scale") == 1
    lab.close()
