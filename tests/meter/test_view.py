"""The meter's view, on the set-ups whose figures are known."""

import asyncio
import re
import threading

import pytest
import torch
from torch import nn

from gradwidgets import GradLab, Meter, Problem, Recipe, problems
from gradwidgets.meter import lr_rules, noise_scale
from gradwidgets.meter.measure import measure
from gradwidgets.meter.setups import padded_lengths, samples, tokens


def page(view):
    _, table = view.widget.children
    return table.page


def rows(view):
    return {row["name"]: [cell["text"] for cell in row["cells"]] for row in page(view)["rows"]}


def bars(view):
    return {row["name"]: row["cells"][0]["bar"] for row in page(view)["rows"]}


def sentence(view):
    return page(view)["sentence"]


async def until(true):
    """Let the event loop run until it is true."""

    async def wait():
        while not true():
            await asyncio.sleep(0)

    await asyncio.wait_for(wait(), 60)


@pytest.mark.single_precision("torch draws other numbers in double precision")
def test_ragged_samples_spoil_mean_and_not_weighting_by_samples():
    view = Meter(ragged=True)
    assert view.sizes == (10, 10, 10, 2)
    assert rows(view)["mean"][:2] == ["0.23", "✗ another gradient"]
    assert rows(view)["samples"][1] == "✓ equal but for rounding"
    assert bars(view)["samples"] < 0.15 < 0.8 < bars(view)["mean"] < bars(view)["sum"]


@pytest.mark.single_precision("torch draws other numbers in double precision")
def test_every_control_answers():
    view = Meter()
    assert view.measurement.correct == ("mean", "samples", "tokens")
    view.controls["batch_norm"].value = True
    assert rows(view)["samples"][0] == "0.37"
    assert "No rule" in sentence(view)
    view.controls["batch_norm"].value = False
    view.controls["dropout"].value = 0.5
    expected = measure(samples(dropout=0.5), [8] * 4)
    assert rows(view)["mean"][0] == f"{expected.differences['mean']:.2g}"
    view.controls["data"].value = "tokens"
    expected = measure(tokens(padded_lengths(1.0)), [2] * 4)
    assert rows(view)["samples"][0] == f"{expected.differences['samples']:.2g}"
    assert view.measurement.correct == ("tokens",)
    view.controls["padding"].value = 0.0
    assert view.measurement.correct == ("mean", "samples", "tokens")
    view.controls["accumulation_steps"].value = 8
    assert page(view)["caption"].endswith(", ".join("1" * 8))


def test_a_moved_control_is_measured_once():
    counted = []

    def count(target):
        counted.append(len(target))
        return len(target)

    view = Meter(count=count)
    counted.clear()
    view.controls["accumulation_steps"].value = 2
    assert counted == [16, 16]


def test_tokens_are_told_where_they_weigh_other_than_samples():
    assert page(Meter("tokens"))["notes"] == [
        "Tokens that count in each micro-batch: 22, 16, 10, 4."
    ]
    assert page(Meter("tokens", padding=0.0))["notes"] == []


def disabled(view):
    """The controls that the browser is told to disable."""
    return {name for name, control in view.controls.items() if control.get_state()["disabled"]}


def test_what_does_not_apply_cannot_be_moved():
    view = Meter("tokens")
    off = disabled(view)
    assert off == {"batch_norm", "dropout", "after", "factor"}
    view.controls["data"].value = "samples"
    off = disabled(view)
    assert off == {"padding", "after", "factor"}


def test_single_precision_rounds_at_its_own_level():
    assert 1e-8 < Meter(dtype="float32").measurement.differences["mean"] < 1e-6


@pytest.fixture
def own():
    """A classifier with BatchNorm and dropout on 30 samples."""
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(30, 4, generator=draw), torch.arange(30) % 3

    def model():
        layers = [nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)]
        return nn.Sequential(*layers)

    return Problem("own", model, (x, y), nn.functional.cross_entropy)


def test_an_own_problem_is_measured_with_sizes_of_ones_own(own):
    view = Meter(own)
    assert view.sizes == (8, 8, 8, 6)
    assert "No rule" in sentence(view)
    view.controls["mode"].value = "eval"
    assert view.measurement.correct == ("samples", "tokens")
    view.controls["sizes"].value = "10 10, 4,1"
    assert view.sizes == (10, 10, 4, 1)
    expected = measure(own, [10, 10, 4, 1], "eval").differences["mean"]
    assert rows(view)["mean"][0] == f"{expected:.2g}"
    view.controls["ragged"].value = True
    assert view.sizes == (9, 9, 9, 3)
    assert page(view)["caption"].startswith("own: ")
    view.controls["dtype"].value = "float64"
    assert view.measurement.differences["samples"] < 1e-15
    assert Meter(own, sizes=[20, 2], mode="BatchNorm in eval").sizes == (20, 2)


@pytest.mark.parametrize("typed", ["", "ten", "10, 0", "-3, 5", "30, 1", "2.5"])
def test_what_is_typed_and_no_sizes_is_refused_in_words_and_can_be_put_right(own, typed):
    view = Meter(own, mode="eval")
    view.controls["sizes"].value = typed
    assert "sizes=" in sentence(view)
    assert "is not allowed; give" in sentence(view)
    assert page(view)["rows"] == []  # the figures of the sizes before are gone
    view.controls["sizes"].value = "15, 15"
    assert sentence(view).startswith("Right, to rounding")
    assert page(view)["rows"]


def test_what_a_model_raises_is_said(own):
    view = Meter(own)
    view.controls["sizes"].value = "29, 1"
    assert "more than 1 value per channel" in sentence(view)  # BatchNorm of one sample
    assert page(view)["rows"] == page(view)["notes"] == []
    view.controls["mode"].value = "BatchNorm in eval"
    assert sentence(view).startswith("Right, to rounding: `samples`, `tokens`; ")


def test_the_names_of_built_in_problems_are_taken():
    assert Meter("moons").sizes == (50, 50, 50, 50)
    assert Meter(problems.tokens).measurement.correct == ("tokens",)
    assert Meter("digits", 8).sizes == (8,) * 8  # the batch of its recipe


def test_a_lab_is_followed_as_its_sliders_move():
    lab = GradLab("moons", show=("accumulation_steps", "average", "scale", "batch_size"))
    view = Meter(lab)
    assert list(view.controls) == ["show", "after", "factor", "mode", "dtype"]
    assert "nothing is accumulated" in sentence(view)
    lab.controls["accumulation_steps"].value = 4
    assert view.sizes == (50, 50, 50, 50)
    assert sentence(view) == "The lab's `mean` gives the full batch's gradient, but for rounding."
    assert "mean ◀ the lab" in rows(view)
    lab.controls["average"].value = False
    assert sentence(view).startswith("The lab's `sum` is off by 3 of")
    lab.recipe = Recipe(accumulation_steps=4, batch_size=22, seed=5)
    assert view.sizes == (6, 6, 6, 4)
    expected = measure("moons", lab.recipe).differences["mean"]
    assert rows(view)["mean ◀ the lab"][0] == f"{expected:.2g}"
    assert sentence(view).startswith(f"The lab's `mean` is off by {expected:.2g}")
    view.close()
    assert lab.followers == []
    lab.close()


def test_on_an_event_loop_only_the_newest_recipe_of_a_lab_is_measured():
    newest = "moons: Accumulated over micro-batches of 40, 40, 40, 40, 40"

    async def scenario():
        lab = GradLab("moons", show=("accumulation_steps",), recipe=Recipe(updates=300))
        view, seen = Meter(lab), []
        _, table = view.widget.children
        table.observe(lambda change: seen.append(change["new"]["caption"]), "page")
        for steps in (2, 3, 4, 5):
            lab.controls["accumulation_steps"].value = steps
        await until(lambda: newest in seen)
        lab.close()
        return seen

    assert asyncio.run(scenario()) == [newest]


def test_plain_text_is_deterministic():
    view = Meter()
    assert repr(view) == repr(Meter())
    assert view.static_view().words == repr(view)
    view.close()


@pytest.mark.parametrize("settings", [{}, {"dtype": "float32"}, {"accumulation_steps": 1}])
def test_plain_text_says_rounding_in_words_as_its_digits_vary_from_machine_to_machine(settings):
    view = Meter(**settings)
    for line in repr(view).splitlines()[2:6]:
        rule, difference, *_ = re.split("  +", line)
        wanted = "rounding only" if rule in view.measurement.correct else rows(view)[rule][0]
        assert difference == wanted
    assert "e-" not in repr(view)
    shown = view.measurement.differences["mean"]
    assert rows(view)["mean"][0] == f"{shown:.2g}"  # the live table keeps the number
    view.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": "words"},
        {"dtype": "int8"},
        {"accumulation_steps": 9},
        {"mode": "test"},
        {"sizes": [40]},
        {"show": "loss"},
    ],
)
def test_what_is_not_allowed_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Meter(**wrong)


def test_controls_that_are_moved_on_two_threads_at_once_end_in_the_sizes_of_both():
    async def scenario():
        view = Meter(accumulation_steps=1)
        moves = [("data", "tokens"), ("accumulation_steps", 2)]
        hands = [threading.Thread(target=move, args=(view, *to)) for to in moves]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()
        assert view.sizes == (4, 4)
        await until(lambda: page(view)["caption"].endswith("micro-batches of 4, 4"))
        view.close()

    def move(view, name, value):
        view.controls[name].value = value

    asyncio.run(scenario())


def test_sizes_that_are_typed_while_another_control_moves_are_kept():
    async def scenario():
        view = Meter()
        view.controls["accumulation_steps"].value = 2
        view.controls["sizes"].value = "3, 5"
        assert view.sizes == (3, 5)
        await until(lambda: page(view)["caption"].endswith("micro-batches of 3, 5"))
        view.controls["accumulation_steps"].value = 8
        assert view.sizes == (4,) * 8
        assert view.controls["sizes"].value == "3, 5"  # nothing is written before it is measured
        await until(lambda: page(view)["caption"].endswith(", ".join("4" * 8)))
        assert view.controls["sizes"].value == ", ".join("4" * 8)
        view.close()

    asyncio.run(scenario())


def test_the_noise_scale_is_shown_for_the_sizes_and_updates_of_the_controls():
    view = Meter("moons", show="how large a batch")
    assert page(view) == noise_scale("moons", [50] * 4).page()
    view.controls["after"].value = 20
    view.controls["sizes"].value = "16, 8"
    assert page(view) == noise_scale("moons", [16, 8], after=20).page()
    assert sentence(view) in repr(view)
    assert view.controls["factor"].disabled
    assert not view.controls["after"].disabled
    view.controls["show"].value = "accumulated gradient"
    assert view.controls["after"].disabled
    assert page(view)["caption"].startswith("moons: Accumulated over")


def test_a_set_ups_batch_norm_is_refused_in_words_and_can_be_put_right():
    view = Meter(batch_norm=True)
    view.controls["show"].value = "how large a batch"
    assert "give 'BatchNorm in eval'" in sentence(view)
    view.controls["mode"].value = "BatchNorm in eval"
    assert "noise scale" in sentence(view)


def test_the_noise_scale_beside_a_lab_is_that_of_its_recipe():
    lab = GradLab("moons", recipe=Recipe(accumulation_steps=4, updates=30))
    view = Meter(lab, show="how large a batch")
    view.controls["after"].value = 500  # no more than the lab makes
    assert page(view) == noise_scale("moons", lab.recipe, after=30).page()
    view.close()
    lab.close()


def test_rules_for_lr_are_compared_on_demand():
    small = problems.moons.recipe.replace(updates=14)
    problem = Problem("few", problems.moons.model, problems.moons.data, problems.moons.loss)
    problem = Problem("few", problem.model, problem.data, problem.loss, recipe=small)
    view = Meter(problem)
    view.controls["factor"].value = 2
    view.controls["show"].value = "lr for a larger batch"
    assert page(view)["caption"] == "few: lr when the batch grows from 32 to 64"
    recipe = small.replace(batch_size=32)
    sgd = lr_rules(problem, recipe, factor=2, lrs=[0.1 * 2.0**power for power in range(-4, 6)])
    assert rows(view)["SGD, batch 64: linear"] == [
        cell["text"] for cell in sgd.page()["rows"][3]["cells"]
    ]
    assert "Adam: of the three rules" in sentence(view)
    off = disabled(view)
    assert off == {"after", "accumulation_steps", "ragged", "sizes", "mode", "dtype"}


def test_on_an_event_loop_the_rules_are_trained_in_slices_and_given_up_for_another_table():
    async def scenario():
        view = Meter("moons", show="lr for a larger batch")
        assert "SGD: training 50 runs with batches of 16" in sentence(view)
        await until(lambda: "training 65 runs with batches of 64" in sentence(view))
        view.controls["show"].value = "how large a batch"
        await until(lambda: page(view)["caption"].startswith("moons: Gradient noise scale"))
        view.close()

    asyncio.run(scenario())


def test_data_of_which_no_batches_can_be_drawn_is_said(own):
    x, y = own.batches()
    view = Meter(Problem("parts", own.model, [(x, y)], own.loss))
    view.controls["show"].value = "lr for a larger batch"
    assert "give (x, y) tensors, of which batches can be drawn" in sentence(view)
