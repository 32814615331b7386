"""The widget: what it shows is what the engine holds."""

import asyncio
import gc
import re
import sys

import pytest
import torch
from torch import nn

from gradwidgets import Problem, Recipe, Stepper
from gradwidgets.stepper.engine import StepperEngine
from tests.front_end import send

THREE = Recipe(accumulation_steps=3)


@pytest.fixture
def stepper():
    made = Stepper("moons", THREE)
    yield made
    made.close()


def press(stepper, action, **more):
    send(stepper, {"action": action, **more})


def key_of(stepper, text):
    return next(line["key"] for line in stepper.page["lines"] if text in line["text"])


def marked(stepper, mark):
    return [line["text"] for line in stepper.page["lines"] if line["mark"] == mark]


def last(stepper):
    return [line["text"] for line in stepper.page["lines"] if line["last"]]


def gradients(stepper):
    return [row["cells"][1]["summary"] for row in stepper.page["rows"]]


@pytest.mark.parametrize(("clear", "cleared"), [("none", "None"), ("zero", "0")])
def test_a_gradient_that_is_none_is_shown_as_none_and_zero_as_zero(clear, cleared):
    stepper = Stepper("line", Recipe(clear=clear))
    assert gradients(stepper) == ["None", "None"]
    press(stepper, "finish")
    press(stepper, "next")
    assert gradients(stepper) == [cleared, cleared]
    assert all(row["cells"][1]["changed"] for row in stepper.page["rows"])


def test_every_number_is_that_of_the_loop(stepper):
    press(stepper, "run", number=3)
    loop = StepperEngine("moons", THREE)
    loop.run(3)
    for row, parameter in zip(stepper.page["rows"], loop.snapshot.parameters, strict=True):
        for cell, numbers in zip(row["cells"], (parameter.value, parameter.grad), strict=True):
            shown = [float(text) for text in cell["numbers"].split()]
            assert shown == pytest.approx(numbers.values.flatten().tolist(), rel=1e-3)
            assert cell["summary"] == f"norm {numbers.norm:.4g}"


def test_next_and_previous_move_the_marks(stepper):
    assert (marked(stepper, "next"), last(stepper)) == (["optimizer.zero_grad()"], [])
    press(stepper, "next")
    assert marked(stepper, "next") == ["total, seen = 0.0, 0"]
    assert last(stepper) == ["optimizer.zero_grad()"]
    press(stepper, "previous")
    assert (marked(stepper, "next"), last(stepper)) == (["optimizer.zero_grad()"], [])
    assert stepper.page["first"]


def test_only_what_the_line_changed_is_marked_and_said(stepper):
    for _ in range(5):
        press(stepper, "next")
    assert stepper.page["where"] == "update 0, micro-batch 1 of 3"
    assert stepper.page["sentence"] == "`(loss / 3).backward()` changed `.grad` of every parameter."
    for row in stepper.page["rows"]:
        assert [cell["changed"] for cell in row["cells"]] == [False, True]


def test_the_end_of_a_run_says_how_many_updates_are_finished_and_that_one_line_is_meant(stepper):
    press(stepper, "finish")
    last_line = "The last line, `losses.append(mean)`, changed no number shown here."
    assert stepper.page["sentence"] == f"1 update is finished. {last_line}"
    before = stepper.page["rows"]
    press(stepper, "run", number=9)
    assert stepper.page["sentence"] == f"10 updates are finished. {last_line}"
    assert len(stepper.engine.workspace.names["losses"]) == 10
    assert stepper.page["rows"] != before
    press(stepper, "previous")
    assert stepper.page["sentence"] == "`optimizer.step()` changed the value of every parameter."


def test_a_switched_off_line_shows_the_real_error_and_its_explanation(stepper):
    press(stepper, "switch", key=key_of(stepper, "loss = "))
    press(stepper, "finish")
    assert stepper.page["failure"]["error"] == "NameError: name 'loss' is not defined"
    assert "There is no loss yet" in stepper.page["failure"]["explanation"]
    assert stepper.page["over"]
    (failed,) = marked(stepper, "failed")
    assert failed.startswith("(loss / 3).backward()")
    press(stepper, "reset")
    assert stepper.page["failure"] is None


def test_lines_move_by_key_and_a_stale_key_is_left_alone(stepper):
    step = key_of(stepper, "optimizer.step")
    press(stepper, "move", key=step, number=-1)
    assert stepper.page["lines"][8]["key"] == step
    before = stepper.page
    press(stepper, "move", key=999, number=1)
    press(stepper, "no such thing")
    assert stepper.page == before
    press(stepper, "repeat", key=step)
    assert [line["text"] for line in stepper.page["lines"][8:10]] == ["optimizer.step()"] * 2


def test_headers_offer_no_move(stepper):
    loop = stepper.page["lines"][2]
    assert loop["text"].startswith("for xk")
    assert [loop["up"], loop["down"]] == [False, False]


def test_large_tensors_are_summed_up():
    def model():
        return nn.Linear(300, 1, bias=False)

    data = torch.ones(4, 300), torch.ones(4, 1)
    stepper = Stepper(Problem("wide", model, data, nn.functional.mse_loss), Recipe(updates=1))
    numbers = stepper.page["rows"][0]["cells"][0]["numbers"]
    assert [line.split()[0] for line in numbers.splitlines()] == ["mean", "from", "to", "0.0%"]
    stepper.act("finish")
    assert "All updates" in stepper.page["sentence"]


def test_plain_text_says_the_same_and_is_deterministic(stepper):
    press(stepper, "next")
    text = repr(stepper)
    assert "*      optimizer.zero_grad()\n->     total, seen" in text
    assert stepper.page["sentence"] in text
    other = Stepper("moons", THREE)
    other.act("next")
    assert repr(other) == text
    assert stepper.static_view().words == text


async def until(condition):
    for _ in range(1500):
        await asyncio.sleep(0.002)
        if condition():
            return
    raise TimeoutError


def running(updates):
    stepper = Stepper("moons", THREE.replace(updates=updates))
    press(stepper, "run", number=updates)
    return stepper


async def another_run():
    """Let the event loop work until a run that was asked for later is made, slice by slice."""
    other, said = running(200), []
    other.observe(lambda change: said.append(change["new"]["running"]), "page")
    await until(lambda: said and not other.page["running"])
    assert said[0], "this machine makes the run in one slice"


def test_on_an_event_loop_a_run_is_made_in_slices_and_ends_as_at_once():
    async def scenario():
        stepper, said = running(800), []
        stepper.observe(lambda change: said.append(change["new"]["sentence"]), "page")
        await until(lambda: stepper.page["over"] and not stepper.page["running"])
        return stepper.page, said

    page, said = asyncio.run(scenario())
    at_once = Stepper("moons", THREE.replace(updates=800))
    at_once.act("run", 800)
    assert page == at_once.page
    assert re.fullmatch(r"Running: \d+ of 800 updates are made\.", said[0])
    assert "losses.append(mean)" in said[-1]


@pytest.mark.parametrize("action", ["cancel", "next", "restart"])
def test_a_run_is_cancelled_by_its_button_and_by_any_other(action):
    async def scenario():
        stepper = running(100_000)
        await until(lambda: stepper.page["running"])
        press(stepper, action)
        await until(lambda: not stepper.page["running"])
        stopped = stepper.page
        await another_run()
        assert stepper.page == stopped
        return stepper.engine.snapshot

    shot = asyncio.run(scenario())
    loop = StepperEngine("moons", THREE.replace(updates=100_000))
    loop.run(shot.update)
    while (loop.snapshot.update, loop.snapshot.executed) != (shot.update, shot.executed):
        loop.next()
    for one, other in zip(shot.parameters, loop.snapshot.parameters, strict=True):
        assert one.value.values.tobytes() == other.value.values.tobytes()


def test_a_closed_stepper_runs_no_further():
    async def scenario():
        stepper = running(100_000)
        await until(lambda: stepper.page["running"])
        stepper.close()
        closed_at = stepper.engine.snapshot.update
        await another_run()
        assert stepper.engine.snapshot.update == closed_at

    asyncio.run(scenario())


def test_an_unknown_action_is_refused(stepper):
    with pytest.raises(ValueError, match="action='jump'"):
        stepper.act("jump")


def test_a_loss_that_would_broadcast_stops_at_its_line():
    x = torch.ones(4, 3)
    made = Stepper(Problem("b", lambda: nn.Linear(3, 1), (x, x[:, 0]), nn.functional.mse_loss))
    made.act("finish")
    failure = made.engine.snapshot.failure
    assert failure.message.startswith("Using a target size (torch.Size([4]))")
    assert made.engine.statements[made.engine.snapshot.index].text.startswith("loss = F.mse_loss")


def test_a_problem_that_is_not_usable_leaves_only_its_own_error(monkeypatch):
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    with pytest.raises(ValueError, match=r"a batch must be \(x, y\)"):
        Stepper(Problem("dicts", lambda: nn.Linear(1, 1), [{"x": 1}], nn.functional.mse_loss))
    gc.collect()
    assert ignored == []
