"""`Walkthrough`: scenes set the lab's recipe, the change is played, and the newest wins."""

import asyncio
import io
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from gradwidgets import GradLab, Recipe, Scene, Walkthrough, train
from gradwidgets.core import problems, settings
from gradwidgets.lessons import animation
from gradwidgets.lessons.animation import FRAMES, between
from tests.front_end import send

FAST = Recipe(lr=0.5, updates=20)
SCENES = [
    ("Start", "As it `is`."),
    Scene("Scaled", "Ten times.", {"scale": 10.0}, "Ask them.", 2),
    ("Adam", "Another one.", {"optimizer": "Adam", "lr": 0.01}, "Wait.", 3),
]


def lab():
    return GradLab("moons", ("scale", "lr"), FAST)


@pytest.fixture
def walk():
    made = Walkthrough(lab(), SCENES, begins=5)
    yield made
    made.close()


def test_each_scene_sets_the_recipe_against_the_start(walk):
    seen = []
    for _ in SCENES:
        seen.append(walk.lab.recipe)
        expected = train("moons", seen[-1]).loss.tolist()
        assert walk.lab.history.loss.tolist() == expected
        walk.next()
    assert seen == [FAST, FAST.replace(scale=10.0), FAST.replace(optimizer="Adam", lr=0.01)]
    assert walk.lab.controls["scale"].value == 1.0
    assert (walk.number, walk.scene.title) == (3, "Adam")
    walk.number = 1
    walk.back()
    assert walk.number == 1
    assert walk.lab.recipe == FAST


def test_scenes_lead_away_from_whatever_the_lecturer_has_dragged(walk):
    walk.lab.controls["lr"].value = 0.1
    walk.next()
    assert walk.lab.recipe == FAST.replace(scale=10.0)


def test_a_first_scene_may_change_the_start():
    made = Walkthrough(lab(), [("Scaled", "Ten.", {"scale": 10.0})])
    assert made.lab.recipe == FAST.replace(scale=10.0)
    assert made.lab.start == FAST


def test_the_plan_adds_up(walk):
    assert walk.plan() == [{}, {"begins": 5, "ends": 7}, {"begins": 7, "ends": 10}]
    assert [scene.get("ends") for scene in walk.stage.scenes] == [None, 7, 10]
    assert walk.ends == 10


def test_it_shows_as_text_and_picture_where_no_widgets_live(walk):
    walk.next()
    still = walk.static_view()
    assert still.words.startswith("Scene 2 of 3: Scaled\nTen times.\n")
    assert still.words.endswith(walk.lab.summary)
    assert Image.open(io.BytesIO(still.png)).width == 1100
    assert walk.widget.children == (walk.stage, walk.lab.widget)


@pytest.mark.parametrize("index", [2, 7])
def test_a_page_that_remembers_a_scene_gets_it_back(walk, index):
    send(walk.stage, {"kind": "restore", "index": index})
    assert walk.number == 3
    assert walk.lab.recipe.optimizer == "Adam"


def test_a_page_that_remembers_does_not_overrule_whoever_has_moved(walk):
    walk.next()
    send(walk.stage, {"kind": "restore", "index": 2})
    assert walk.number == 2


@pytest.mark.parametrize("message", ["text", {}, {"kind": "restore"}, {"kind": "go", "index": 2}])
def test_a_strange_message_changes_nothing(walk, message):
    send(walk.stage, message)
    assert (walk.number, walk.lab.recipe) == (1, FAST)


def test_walkthroughs_are_told_apart_by_their_scenes(walk):
    assert Walkthrough(lab(), SCENES).stage.name == walk.stage.name
    assert Walkthrough(lab(), SCENES[:2]).stage.name != walk.stage.name
    assert Walkthrough(GradLab("line"), SCENES[:2]).stage.name != walk.stage.name


@pytest.mark.parametrize(
    ("scenes", "says"),
    [
        ([], "^scenes="),
        ("abc", "^scenes="),
        (Scene("a", "b"), "^scenes="),
        ([("only a title",)], "^scene 1: .*text"),
        ([("a", "b"), ("a", "b", {"lr": -1})], r"^scene 2: lr=-1 .* from 0"),
        ([("a", "b", {"speed": 1})], "^scene 1: 'speed' is no field"),
        ([("a", "b", "scale")], "^scene 1: recipe="),
        ([("", "b")], "^scene 1: title="),
        ([("a", 3)], "^scene 1: text="),
        ([("a", "b", {}, "", -1)], "^scene 1: minutes=-1"),
    ],
)
def test_bad_scenes_are_named(scenes, says):
    with pytest.raises(ValueError, match=says):
        Walkthrough(lab(), scenes)


@pytest.mark.parametrize("number", [0, 4, 1.5, True])
def test_an_unknown_scene_is_named(walk, number):
    with pytest.raises(ValueError, match=r"^number="):
        walk.number = number
    assert walk.number == 1


def test_sliders_move_over_their_stops_and_the_rest_changes_at_once():
    start = FAST.replace(max_norm=None, options={"momentum": 0.5})
    end = start.replace(
        scale=10.0, accumulation_steps=4, max_norm=1.0, batch_size=32, options={"momentum": 0.9}
    )
    frames = between(start, end)
    assert frames[-1] == end
    assert len(frames) == FRAMES
    stops = settings.controls()["scale"].stops
    scales = [frame.scale for frame in frames]
    assert scales == sorted(set(scales))
    assert set(scales) < set(stops)
    assert scales[0] > 1.0
    clips = [frame.max_norm for frame in frames]
    assert None not in clips
    assert clips == sorted(clips, reverse=True)
    momenta = [frame.options["momentum"] for frame in frames]
    assert momenta == sorted(momenta)
    assert 0.5 <= momenta[0] < momenta[-1] == 0.9
    assert {frame.batch_size for frame in frames} == {32}
    assert {type(frame.accumulation_steps) for frame in frames} == {int}


def test_no_frames_where_nothing_slides():
    assert between(FAST, FAST) == [FAST]
    adam = FAST.replace(optimizer="Adam", options={"weight_decay": 0.1})
    assert between(FAST, adam) == [adam]
    assert between(FAST, FAST.replace(seed=3)) == [FAST.replace(seed=3)]


def requests_of(*moves, animate=True):
    """On a kernel's event loop: the recipes that a lab is asked for, and where it ends."""

    async def kernel():
        walk = Walkthrough(lab(), SCENES, animate=animate)
        asked = []
        walk.lab.followers.append(lambda: asked.append(walk.lab.recipe))
        for move, seconds in moves:
            move(walk)
            await asyncio.sleep(seconds)
        while walk.lab.recipe != walk.lab.start.replace(**walk.scene.recipe):
            await asyncio.sleep(0.02)
        await asyncio.sleep(2 * animation.PATIENCE)  # longer than any pause: what is stale is due
        walk.close()
        return asked, walk.lab.recipe

    return asyncio.run(asyncio.wait_for(kernel(), 60))


def test_a_change_is_played_with_real_runs_in_between(monkeypatch):
    monkeypatch.setattr(animation, "LONGEST", math.inf)
    asked, end = requests_of((Walkthrough.next, 0))
    assert asked == between(FAST, FAST.replace(scale=10.0))
    assert end == asked[-1]


def test_a_slow_animation_is_cut_short(monkeypatch):
    monkeypatch.setattr(animation, "LONGEST", 0.0)
    asked, end = requests_of((Walkthrough.next, 0))
    frames = between(FAST, FAST.replace(scale=10.0))
    assert asked in ([frames[0], end], [end])
    assert end == frames[-1]


def test_without_animation_only_the_end_is_run():
    asked, _ = requests_of((Walkthrough.next, 0), animate=False)
    assert asked == [FAST.replace(scale=10.0)]


def test_a_newer_scene_takes_the_place_of_an_animation_and_nothing_stale_follows():
    asked, end = requests_of((Walkthrough.next, 0.2), (Walkthrough.next, 0))
    adam = FAST.replace(optimizer="Adam", lr=0.01)
    assert FAST.replace(scale=10.0) not in asked
    assert asked[-1] == end == adam
    first = next(n for n, recipe in enumerate(asked) if recipe.optimizer == "Adam")
    assert all(recipe.optimizer == "Adam" for recipe in asked[first:])


def test_a_slider_that_is_moved_ends_the_animation():
    async def kernel():
        walk = Walkthrough(lab(), SCENES)
        moved = asyncio.Event()
        walk.lab.followers.append(moved.set)
        walk.next()
        await moved.wait()
        walk.lab.controls["lr"].value = 0.1
        dragged = walk.lab.recipe
        await asyncio.sleep(2 * animation.PATIENCE)
        walk.close()
        return dragged, walk.lab.recipe

    dragged, end = asyncio.run(asyncio.wait_for(kernel(), 60))
    assert end == dragged
    assert end.scale < 10.0


@pytest.fixture
def drawn(monkeypatch):
    """The figures that matplotlib has drawn."""
    figures, draw = [], Figure.draw
    monkeypatch.setattr(
        Figure, "draw", lambda figure, *rest: figures.append(figure) or draw(figure, *rest)
    )
    return figures


@pytest.mark.parametrize("problem", ["line", "digits"])
def test_larger_type_is_larger_by_its_factor_and_one_is_no_change(drawn, problem):
    few = problems.get(problem).recipe.replace(updates=3)
    panels, size = ("loss", "gradient"), (1100, 400)

    def picture(**scale):
        drawn.clear()
        made = GradLab(problem, ("lr",), few, False, panels, size, look_ahead=False, **scale)
        shown = np.asarray(Image.open(io.BytesIO(made.picture)))
        made.close()
        texts = [
            (text, figure.dpi)
            for figure in drawn
            for axes in figure.axes
            for text in (axes.xaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels())
        ]
        return shown, {text.get_fontsize() * dpi / 72 for text, dpi in texts}

    plain, one, large = picture(), picture(text_scale=1.0), picture(text_scale=1.6)
    assert (plain[0] == one[0]).all()
    assert large[0].shape == plain[0].shape
    for (_, pixels), least in ((plain, 12), (large, 19)):
        assert pixels
        assert least - 0.5 < min(pixels) <= max(pixels) < least + 2
