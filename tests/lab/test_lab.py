import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gradwidgets import GradLab, Problem, Recipe, TrainingError, train
from gradwidgets.core import problems
from tests.front_end import lines_of, screen_of, widgets

FAST = Recipe(lr=0.5, updates=20)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture
def lab():
    made = GradLab("moons", recipe=FAST)
    yield made
    made.close()


def test_a_lab_shows_what_train_gives(lab):
    lab.controls["scale"].value = 2.0
    expected = train("moons", FAST.replace(scale=2.0))
    assert lab.history.loss.tolist() == expected.loss.tolist()
    assert lab.recipe == FAST.replace(scale=2.0)
    assert expected.summary() in lab.summary
    assert f"The start ended at {np.median(lab.baseline.loss[-6:]):.4g}." in lab.summary


def test_the_picture_changes_with_the_control_and_comes_back_with_reset(lab):
    before = pixels(lab.picture)
    lab.controls["lr"].value = 0.1
    changed = pixels(lab.picture)
    assert changed.shape == (320, 1100, 3)
    assert (changed != before).any()
    lab.reset()
    assert lab.recipe == FAST
    assert (pixels(lab.picture) == before).all()


def test_the_start_follows_the_seed_and_the_number_of_updates_and_nothing_else():
    lab = GradLab("moons", show=("seed", "updates", "batch_size", "scale"), recipe=FAST)
    lab.controls["batch_size"].value = 32
    lab.controls["scale"].value = 3.0
    assert lab.baseline.loss.tolist() == train("moons", FAST).loss.tolist()
    lab.controls["seed"].value = 5
    lab.controls["updates"].value = 50
    expected = train("moons", FAST.replace(seed=5, updates=50))
    assert lab.baseline.loss.tolist() == expected.loss.tolist()


def test_setting_the_recipe_moves_the_controls(lab):
    lab.recipe = Recipe(optimizer="Adam", lr=0.033, mask=0.5, updates=20)
    assert lab.controls["optimizer"].value == "Adam"
    assert lab.controls["lr"].value == 0.033
    assert lab.controls["mask"].value == 0.5
    assert lab.history.loss.tolist() == train("moons", lab.recipe).loss.tolist()


def test_a_recipe_already_trained_is_not_trained_again(lab):
    first = lab.history
    lab.controls["scale"].value = 2.0
    lab.controls["scale"].value = 1.0
    assert lab.history is first


@pytest.mark.single_precision("a loss leaves the numbers of single precision much earlier")
def test_divergence_is_said_and_the_next_value_works():
    lab = GradLab("bowl", recipe=Recipe(updates=30))
    lab.controls["scale"].value = 100.0
    assert lab.summary.startswith("Diverged at update 10:")
    assert lab.history.stopped[1] == "diverged"
    lab.controls["scale"].value = 1.0
    assert "iverged" not in lab.summary


class Breaks(nn.Module):
    """Raises at its sixth forward pass when its only parameter has been pushed above 0."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([-1.0]))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 5 and self.weight.item() > 0:
            raise RuntimeError("the wheel <b>came</b> off")
        return x * self.weight


def breaking_problem():
    x = torch.ones(4, 1)
    return Problem("breaks", Breaks, (x, 2 * x), nn.functional.mse_loss, recipe=Recipe(lr=0.01))


def test_an_error_in_the_model_is_shown_and_the_lab_lives_on():
    lab = GradLab(breaking_problem(), show=("lr",), recipe=Recipe(lr=0.001, updates=20))
    good = lab.history
    lab.controls["lr"].value = 0.5
    with pytest.raises(TrainingError, match=r"the model raised at update 5 .* wheel") as caught:
        lab.run()
    assert caught.value.history.updates == 5
    assert "the model raised at update 5" in lab.summary
    assert "RuntimeError" in screen_of(lab).trace
    lab.controls["lr"].value = 0.001
    assert lab.history is good
    assert screen_of(lab).trace == ""


def test_settings_that_do_not_go_together_are_said_and_nothing_is_lost():
    start = Recipe(updates=20, options={"momentum": 0.9, "nesterov": True})
    lab = GradLab("moons", show=("momentum",), recipe=start)
    lab.controls["momentum"].value = 0.0
    assert "Nesterov" in lab.summary
    assert lab.recipe == start
    lab.controls["momentum"].value = 0.9
    assert "Nesterov" not in lab.summary
    lab.controls["momentum"].value = 0.5
    assert lab.recipe.options["momentum"] == 0.5


def test_pins_stay_on_the_picture(lab):
    lab.controls["scale"].value = 4.0
    lab.pin("four times")
    lab.reset()
    pinned = pixels(lab.picture)
    assert "Four times: " in screen_of(lab).alt
    lab.unpin()
    assert (pixels(lab.picture) != pinned).any()
    assert "Four times" not in screen_of(lab).alt


def test_pins_are_named_by_what_differs_from_the_start_and_never_alike():
    lab = GradLab("moons", show=("scale", "lr", "optimizer", "updates"), recipe=FAST)
    lab.pin()
    lab.controls["scale"].value = 6.3
    lab.pin()
    lab.pin()
    lab.recipe = FAST.replace(optimizer="Adam", lr=0.05)
    lab.pin()
    lab.pin("my own name")
    lab.reset()
    alt = screen_of(lab).alt
    for name in ("Pinned start", "Scale 6.3", "Scale 6.3 (2)", "Adam, lr 0.05", "My own name"):
        assert alt.count(f" {name}: ") == 1
    lab.close()


def test_a_saved_picture_names_the_problem_and_the_settings_of_each_run(lab, tmp_path):
    """Above the panels stand the words that differ between two labs, and nothing else does."""

    def heading(lab):
        lab.save(tmp_path / "a.png")
        return pixels((tmp_path / "a.png").read_bytes())[: -pixels(lab.picture).shape[0]]

    plain = heading(lab)
    lab.controls["scale"].value = 2.0
    changed = heading(lab)
    assert len(changed) > len(plain)  # the start has other settings now, in a line of their own
    other = GradLab("spirals", recipe=FAST)
    assert (heading(other)[:, :400] != plain[:, :400]).any()
    other.close()


def test_on_a_narrow_screen_the_same_panels_stand_one_above_the_other(lab):
    wide = pixels(lab.picture)
    screen_of(lab).narrow = True
    stacked = pixels(lab.picture)
    width = stacked.shape[1]
    assert stacked.shape == (3 * 320, 366, 3)
    assert (stacked[:320] == wide[:, :width]).all()
    lab.controls["scale"].value = 2.0
    assert pixels(lab.picture).shape == stacked.shape
    lab.reset()
    assert (pixels(lab.static_view().png) == wide).all()  # who looks at it later may have room
    screen_of(lab).narrow = False
    assert (pixels(lab.picture) == wide).all()


def test_share_gives_the_same_lab(lab):
    lab.controls["mask"].value = 0.5
    again = eval(lab.share(), {"GradLab": GradLab, "Recipe": Recipe})
    assert again.recipe == lab.recipe
    assert tuple(again.controls) == tuple(lab.controls)
    assert again.history.loss.tolist() == lab.history.loss.tolist()


def test_code_marks_the_lines_of_the_control_that_was_moved_last(lab):
    lab.controls["scale"].value = 2.0
    lab.toggle("code")
    marked = [text for text, mark in lines_of(lab) if mark]
    assert marked == ["    for p in model.parameters():  # scale", "        p.grad.mul_(2.0)"]
    lab.toggle("code")
    assert lines_of(lab) == []


def test_code_says_why_there_is_no_program():
    x, y = torch.tensor([[0, 1], [2, 3]]), torch.ones(2, 1)
    factory = lambda: nn.Sequential(nn.EmbeddingBag(4, 2, sparse=True), nn.Linear(2, 1))  # noqa: E731
    problem = Problem("sparse", factory, (x, y), nn.functional.mse_loss)
    lab = GradLab(problem, ("mask",), Recipe(optimizer="Adagrad", mask=0.5, updates=2))
    with pytest.raises(ValueError, match="a program edits sparse gradients") as raised:
        lab.script()
    lab.toggle("code")
    assert lines_of(lab) == [[f"# {raised.value}", False]]
    lab.controls["mask"].value = 0.0
    lab.wait()
    assert "optimizer.step()" in str(lines_of(lab))
    lab.close()


def test_the_script_of_a_lab_gives_its_losses(lab):
    lab.controls["accumulation_steps"].value = 3
    scope = {}
    exec(lab.script(), scope)
    assert scope["losses"] == lab.history.loss.tolist()


def test_save_writes_picture_and_numbers(lab, tmp_path):
    lab.save(tmp_path / "a.png")
    saved, shown = pixels((tmp_path / "a.png").read_bytes()), pixels(lab.picture)
    assert (saved[-len(shown) :] == shown).all()
    lab.save(tmp_path / "a.csv")
    rows = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("update,loss,grad_norm")
    assert float(rows[1].split(",")[1]) == lab.history.loss[0]
    with pytest.raises(ValueError, match=r"'.gif' is not allowed; give '.png' or '.csv'"):
        lab.save(tmp_path / "a.gif")


def test_where_no_widgets_live_the_picture_and_the_sentence_are_shown(lab):
    view = lab.static_view()
    assert view.words == repr(lab) == lab.summary
    assert view.png == lab.picture


@pytest.mark.parametrize("name", problems.names())
def test_every_problem_has_a_lab(name):
    lab = GradLab(name, recipe=problems.get(name).recipe.replace(updates=3))
    assert pixels(lab.picture).std() > 0
    assert lab.history.updates == 3


PANELS = {
    "schedule": ("digits", {"schedule": "cosine"}, ("loss", "gradient", "lr", "held_out")),
    "warm-up": ("chars", {"warmup_steps": 2}, ("loss", "gradient", "lr")),
    "precision": ("moons", {"dtype": "bfloat16"}, ("loss", "gradient", "lost", "boundary")),
    "both": ("moons", {"schedule": "step", "dtype": "float16"}, ("loss", "gradient", "lr", "lost")),
    "neither": ("digits", {"lr": 0.3}, ("loss", "gradient", "held_out")),
}


@pytest.mark.parametrize("name", PANELS)
def test_a_lab_has_the_panels_of_its_settings(name):
    problem, changes, panels = PANELS[name]
    recipe = problems.get(problem).recipe.replace(updates=4, **changes)
    lab = GradLab(problem, recipe=recipe)
    assert lab._picture._panels == panels
    lab.close()


def test_panels_that_cannot_show_the_problem_are_refused():
    with pytest.raises(ValueError, match="panel 'surface' needs a problem with two parameters"):
        GradLab("moons", panels=("surface",))
    with pytest.raises(ValueError, match=r"panel 'los' is unknown; give some of \['loss'"):
        GradLab("moons", panels=("los",))


def test_closing_a_lab_removes_its_widgets():
    before = set(widgets)
    lab = GradLab("moons", recipe=FAST)
    assert set(widgets) > before
    lab.close()
    assert set(widgets) == before


def test_the_start_is_told_by_the_level_that_its_own_sentence_gives():
    data = torch.utils.data.DataLoader(
        [(torch.ones(1), torch.full((1,), target)) for target in (3.0, 3.0, 3.0, 0.0)]
    )
    problem = Problem("lucky", lambda: nn.Linear(1, 1), data, nn.functional.mse_loss)
    lab = GradLab(problem, recipe=Recipe(lr=1e-4, updates=40))
    end = re.search(r"and (\S+) at the end", lab.summary).group(1)
    assert lab.history.loss[-1] < 0.2 * float(end)  # the last batch was a lucky one
    lab.recipe = lab.recipe.replace(lr=2e-4)
    assert f"The start ended at {end}." in lab.summary
    lab.close()
