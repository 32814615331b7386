"""The site shows of a stepper, a ledger and a meter their own states, and no others."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re

import pytest
import torch
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets import Ledger, Meter, Recipe, Stepper, problems
from gradwidgets.meter import setups
from tests.front_end import send
from tests.website.conftest import WHOLE
from website.inside import RECIPE
from website.traces.controls import standings
from website.traces.page import html, trace_of
from website.traces.record import interned, state_of
from website.traces.stepper import LINES, RUN, slips

CLIPPED = Recipe(lr=0.5, max_norm=0.5, updates=50)
STEPPERS = {
    "line": lambda: Stepper("line"),
    "moons": lambda: Stepper("moons", CLIPPED),
    "ends": lambda: Stepper("line", Recipe(updates=5)),
    "parts": lambda: Stepper("moons", Recipe(accumulation_steps=2, optimizer="Adam")),
}
ORDERS = {
    "as written": "clear forward backward clip step",
    "no zero_grad()": "forward backward clip step",
    "step() before backward()": "clear forward step backward clip",
    "zero_grad() between backward() and step()": "forward backward clip clear step",
    "step() twice": "clear forward backward clip step step",
    "clipping before backward()": "clear forward clip backward step",
    "clipping after step()": "clear forward backward step clip",
}


def read(text):
    """The views and places that a page holds, put together again."""
    packed = json.loads(re.search(r'id="data">("[^"]*")<', text)[1])
    pool = json.loads(gzip.decompress(base64.b64decode(packed)))

    def whole(value):
        if isinstance(value, list):
            return [whole(pool[number]) for number in value]
        if isinstance(value, dict):
            return {name: whole(pool[number]) for name, number in value.items()}
        return value

    return whole(pool[-1])


def plain(state):
    """As it is after a way through JSON."""
    return json.loads(json.dumps(state))


@pytest.fixture(scope="module")
def stepper_pages():
    """The file of each stepper, made when it is asked for."""
    made = {}

    def page(name):
        if name not in made:
            stepper = STEPPERS[name]()
            made[name] = html(trace_of(stepper))
            stepper.close()
        return made[name]

    return page


@pytest.fixture(scope="module")
def meter_page():
    return html(trace_of(Meter(ragged=True)))


def walk(places, stepper, steps, draw):
    """Go from place to place at random; the stepper itself does the same."""
    here, (_, shown) = 0, places[0][0]
    for _ in range(steps):
        assert shown["page"] == plain(stepper.page)
        moves = places[here][1]
        text = draw.choice([move for move in moves for _ in range(6 if "next" in move else 1)])
        message = json.loads(text)
        changes = message["action"] in ("switch", "move", "repeat", "reset")
        late = changes and stepper.engine.snapshot.update
        send(stepper, message)
        if late:
            send(stepper, {"action": "restart"})
        here += moves[text]
        shown = places[here][0][1]
    return here


@pytest.mark.parametrize("name", STEPPERS)
def test_a_walk_leads_where_the_stepper_s_own_goes(stepper_pages, name):
    _, places = read(stepper_pages(name))
    for seed in range(20 if WHOLE else 4):
        stepper = STEPPERS[name]()
        walk(places, stepper, 60, random.Random(seed))
        stepper.close()


@pytest.mark.parametrize("name", STEPPERS)
def test_what_a_stepper_does_nothing_with_leads_nowhere(stepper_pages, name):
    """And what its buttons offer in the first updates leads somewhere."""
    _, places = read(stepper_pages(name))
    for (_, shown), moves in places:
        page = shown["page"]
        actions = {json.loads(move)["action"] for move in moves}
        assert not (page["over"] and actions & {"next", "finish", "run"})
        assert page["first"] == ("previous" not in actions and "restart" not in actions)
        if not page["over"] and int(page["where"].split()[1].strip(",")) < LINES - 1:
            assert {"next", "finish", "run"} <= actions


def losses_and_norms(order, updates):
    """Two moons by a loop written out by hand, with the steps of an update in this order."""
    problem = problems.get("moons")
    x, y = problem.batches()
    torch.manual_seed(0)
    model = problem.model()
    optimizer = torch.optim.SGD(model.parameters(), lr=CLIPPED.lr)
    found = []
    for _ in range(updates):
        for step in order.split():
            if step == "clear":
                optimizer.zero_grad()
            elif step == "forward":
                loss = F.cross_entropy(model(x), y)
            elif step == "backward":
                loss.backward()
            elif step == "clip":
                torch.nn.utils.clip_grad_norm_(model.parameters(), CLIPPED.max_norm)
            else:
                optimizer.step()
        norms = [
            [
                "None" if each is None else float(each.detach().double().norm())
                for each in (p, p.grad)
            ]
            for p in model.parameters()
        ]
        found.append((loss.item(), norms))
    return found


def assert_shows(page, loss, norms):
    shown = {each["name"]: each["text"] for each in page["variables"]}
    assert float(shown["loss"]) == pytest.approx(loss, rel=1e-3)
    for row, (value, grad) in zip(page["rows"], norms, strict=True):
        for cell, number in zip(row["cells"], (value, grad), strict=True):
            text = cell["summary"].removeprefix("norm ")
            assert (text == number) or float(text) == pytest.approx(number, rel=1e-3)


@pytest.mark.parametrize("slip", ORDERS)
def test_every_slip_is_that_of_a_loop_written_out_by_hand(stepper_pages, slip):
    views, places = read(stepper_pages("moons"))
    assert views == [["Choice", "index"], ["Stepper", ""]]
    (lists, _), _ = places[0]
    start = next(
        at for at, place in enumerate(places) if place[0][0]["index"] == lists["texts"].index(slip)
    )
    by_hand = losses_and_norms(ORDERS[slip], RUN)
    here = start
    for update in range(LINES):
        here += places[here][1]['{"action":"finish"}']
        assert_shows(places[here][0][1]["page"], *by_hand[update])
    run = start + places[start][1][json.dumps({"action": "run", "number": RUN}).replace(" ", "")]
    assert_shows(places[run][0][1]["page"], *by_hand[RUN - 1])


def test_the_list_has_the_slips_that_a_loop_can_have():
    written = Stepper("moons", CLIPPED).engine.statements
    assert list(slips(written)) == list(ORDERS)
    unclipped = Stepper("line").engine.statements
    assert [name for name in ORDERS if "clip" not in name] == list(slips(unclipped))


def test_what_the_lessons_ask_for_can_be_done(stepper_pages):
    """Lesson 01: `loss.backward()` down below `optimizer.step()`, ten updates; 02 and 08 alike."""
    for name, line, by, below in (
        ("line", "loss.backward()", 1, "optimizer.step()"),
        ("line", "optimizer.zero_grad()", 1, "losses.append(mean)"),
        ("moons", "optimizer.zero_grad()", 1, "optimizer.step()"),
    ):
        _, places = read(stepper_pages(name))
        here = 0
        while True:
            page = places[here][0][1]["page"]
            texts = [each["text"] for each in page["lines"]]
            if texts.index(line) > texts.index(below):
                break
            key = page["lines"][texts.index(line)]["key"]
            move = {"action": "move", "key": key, "number": by}
            here += places[here][1][json.dumps(move, separators=(",", ":"))]
        assert f'{{"action":"run","number":{RUN}}}' in places[here][1]


def test_a_ledger_shows_every_update():
    ledger = Ledger("moons", RECIPE)
    views, places = read(html(trace_of(ledger)))
    assert views == [["Slider", "index"], ["BarTable", ""]]
    assert len(places) == RECIPE.updates
    other = Ledger("moons", RECIPE)
    for update in random.Random(0).sample(range(RECIPE.updates), 6):
        other.update = update
        (slider, table), moves = places[update]
        assert moves == {}
        assert slider["index"] == update
        assert slider["texts"] == [str(number) for number in range(RECIPE.updates)]
        assert table == plain(state_of(other.widget.children[1]))
        assert table["page"]["caption"] == f"2-norms of every gradient in update {update}"
    assert ledger.update == 0


def test_a_ledger_s_changes_are_those_of_a_loop_written_out_by_hand():
    recipe = Recipe(lr=0.5, max_norm=0.5, updates=6)
    _, places = read(html(trace_of(Ledger("moons", recipe))))
    problem = problems.get("moons")
    x, y = problem.batches()
    torch.manual_seed(0)
    model = problem.model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for (_, table), _ in places:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        length = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        before = torch.nn.utils.parameters_to_vector(model.parameters()).clone()
        optimizer.step()
        after = torch.nn.utils.parameters_to_vector(model.parameters())
        change = (after - before).detach()
        names = [column["name"] for column in table["page"]["columns"]]
        cells = dict(zip(names, table["page"]["rows"][0]["cells"], strict=True))
        assert float(cells["accumulated"]["text"]) == pytest.approx(float(length), rel=1e-2)
        assert float(cells["change"]["text"]) == pytest.approx(float(change.norm()), rel=1e-2)


def test_a_meter_s_places_are_those_of_its_controls(meter_page):
    _, places = read(meter_page)
    assert len(places) == len({json.dumps(states[:-1]) for states, _ in places})
    meter = Meter(ragged=True)
    first = {name: control.value for name, control in meter.controls.items() if name != "sizes"}
    listed = list(standings(meter, first))
    assert len(listed) == len(places)
    assert listed[0] == first
    measured = [at for at, each in enumerate(listed) if each["show"] == "accumulated gradient"]
    names = list(meter.controls)
    for at in random.Random(1).sample(measured, 12):
        standing = listed[at].items()
        other = Meter(
            **{name: value for name, value in standing if name not in ("after", "factor")}
        )
        for name, control in other.controls.items():
            if name in listed[at]:
                control.value = listed[at][name]
            expected = {
                **plain(state_of(control)),
                **({"disabled": True} if name == "sizes" else {}),
            }
            assert places[at][0][names.index(name)] == expected
        assert places[at][0][-1] == plain(state_of(other.widget.children[1]))
        other.close()


def test_each_control_of_a_meter_visits_all_its_stops_alone(meter_page):
    views, places = read(meter_page)
    first = [state.get(chosen) for (_, chosen), state in zip(views, places[0][0], strict=True)]
    for part, (view, chosen) in enumerate(views):
        state = places[0][0][part]
        if not chosen or state["disabled"]:
            continue
        wanted = range(len(state["texts"])) if chosen == "index" else (False, True)
        alone = {
            states[part][chosen]
            for states, _ in places
            if all(
                states[other].get(key) == first[other]
                for other, (_, key) in enumerate(views)
                if key and other != part
            )
        }
        assert alone == set(wanted), view


def test_a_meter_s_differences_are_those_of_a_loop_written_out_by_hand(meter_page):
    """`mean` with parts of 10, 10, 10 and 2, in float64."""
    _, places = read(meter_page)
    (*_, table), _ = places[0]
    problem = setups.samples()
    x, y = problem.batches()
    torch.manual_seed(0)
    model = problem.model()
    parameters = list(model.parameters())

    def gradient(parts):
        for p in parameters:
            p.grad = None
        for own_x, own_y in parts:
            (F.mse_loss(model(own_x), own_y) / len(parts)).backward()
        return torch.cat([p.grad.flatten() for p in parameters])

    full = gradient([(x, y)])
    sizes = [10, 10, 10, 2]
    mean = gradient(list(zip(x.split(sizes), y.split(sizes), strict=True)))
    apart = float((mean - full).norm() / full.norm())
    row = next(row for row in table["page"]["rows"] if row["name"] == "mean")
    assert row["cells"][0]["text"] == f"{apart:.2g}"


def test_files_are_small_and_let_nothing_in(stepper_pages, meter_page):
    ledger = html(trace_of(Ledger("moons", RECIPE)))
    for text in (stepper_pages("line"), stepper_pages("moons"), ledger, meter_page):
        assert len(text) < 200_000
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert set(re.findall(r"https?://[^\s\"']*", text)) <= {"http://www.w3.org/2000/svg"}
        assert " style=" not in text


def test_the_same_widget_gives_the_same_file():
    recipe = Recipe(updates=2)
    assert html(trace_of(Ledger("line", recipe))) == html(trace_of(Ledger("line", recipe)))


def test_a_value_stands_once_in_what_is_packed():
    assert interned({"a": [1.5, True], "b": [1.5, True], "c": 1}) == [
        1.5,
        True,
        [0, 1],
        1,
        {"a": 2, "b": 2, "c": 3},
    ]
