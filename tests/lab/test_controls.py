import dataclasses
from pathlib import Path

import pytest

from gradwidgets import GradLab, Recipe, train
from gradwidgets.components.slider import Slider
from gradwidgets.core import settings
from gradwidgets.lab.controls import Controls
from tests.own_optimizers import Twice


def test_every_control_can_make_a_widget_that_visits_only_allowed_values():
    for name, control in settings.controls().items():
        controls = Controls([name], Recipe())
        for stop in control.stops:
            controls.widgets[name].value = stop
            controls.recipe()


def test_every_field_but_the_open_ended_has_a_control_that_holds_its_default():
    for spec in dataclasses.fields(Recipe):
        if spec.name in ("options", "schedule_options", "groups", "edits"):
            continue
        assert spec.default in spec.metadata["control"].stops


def test_widgets_make_the_recipe_and_keep_what_has_no_widget():
    start = Recipe(lr=0.5, seed=3, options={"momentum": 0.5, "nesterov": True})
    controls = Controls(["scale", "momentum"], start)
    assert controls.recipe() == start
    controls.widgets["scale"].value = 2.0
    controls.widgets["momentum"].value = 0.9
    expected = {"momentum": 0.9, "nesterov": True}
    assert controls.recipe() == start.replace(scale=2.0, options=expected)


def test_an_option_comes_back_with_the_optimizer_that_takes_it():
    controls = Controls(["optimizer", "momentum"], Recipe())
    controls.widgets["momentum"].value = 0.9
    controls.widgets["optimizer"].value = "Adam"
    controls.enable()
    assert controls.recipe().options == {}
    assert controls.widgets["momentum"].disabled
    controls.widgets["optimizer"].value = "SGD"
    controls.enable()
    assert controls.recipe().options == {"momentum": 0.9}
    assert not controls.widgets["momentum"].disabled
    controls.widgets["momentum"].value = 0.0
    assert controls.recipe() == Recipe()


def test_a_recipe_that_is_set_is_the_recipe_that_the_widgets_make():
    for recipe in (
        Recipe(scale=3.0, lr=0.01, l2=0.5),
        Recipe(options={"momentum": 0.0}),
        Recipe(optimizer="Adam", options={"betas": (0.8, 0.9)}),
    ):
        controls = Controls(["scale", "lr", "momentum"], Recipe(options={"momentum": 0.9}))
        controls.set(recipe)
        assert controls.recipe() == recipe


def test_a_move_is_heard_by_the_name_of_its_setting():
    heard = []
    controls = Controls(["scale", "lr"], Recipe(), heard.append)
    controls.widgets["lr"].value = 0.2
    assert heard == ["lr"]


def test_code_that_sets_a_recipe_asks_for_it_once():
    lab = GradLab("moons", show=("scale", "lr", "optimizer"), recipe=Recipe(updates=5))
    asked = []
    lab.followers.append(lambda: asked.append(lab.recipe))
    lab.recipe = Recipe(optimizer="Adam", scale=3.0, lr=0.01, updates=5)
    assert asked == [lab.recipe]
    lab.close()


def test_an_unknown_control_is_refused_by_name():
    with pytest.raises(ValueError, match=r"show='scal' has no control; give some of \['optimizer"):
        Controls(["scal"], Recipe())


def test_groups_fold_and_hold_their_controls():
    layout = Controls(["scale", "mask", "l2", "lr"], Recipe()).layout()
    assert [fold.get_title(0) for fold in layout.children] == ["Gradient", "Penalty", "Optimizer"]
    first = layout.children[0].children[0]
    assert [widget.label for widget in first.children] == ["scale", "mask"]
    assert all(isinstance(widget, Slider) for widget in first.children)


def test_code_may_choose_what_a_list_does_not_offer():
    lab = GradLab("moons", show=("optimizer", "mask_kind"), recipe=Recipe(updates=5))
    lab.recipe = Recipe(optimizer="NAdam", mask_kind="2.*", mask=0.5, updates=5)
    assert lab.controls["optimizer"].value == "NAdam"
    assert lab.controls["mask_kind"].stops[-1] == "2.*"
    assert lab.history.loss.tolist() == train("moons", lab.recipe).loss.tolist()
    lab.controls["optimizer"].value = "SGD"
    assert lab.recipe == Recipe(mask_kind="2.*", mask=0.5, updates=5)
    lab.close()


def test_an_optimizer_of_ones_own_is_chosen_by_its_name(tmp_path: Path) -> None:
    start = Recipe(Twice, lr=0.1, options={"ahead": 0.05}, updates=3)
    lab = GradLab("moons", recipe=start, show=("optimizer", "lr", "momentum"))
    offered = lab.controls["optimizer"]
    assert (offered.texts[-1], offered.stops[-1]) == ("Twice", Twice)
    assert lab.controls["momentum"].disabled
    lab.controls["optimizer"].value = "SGD"
    assert lab.recipe == Recipe("SGD", updates=3)
    assert not lab.controls["momentum"].disabled
    lab.controls["optimizer"].value = Twice
    assert lab.recipe == start
    assert lab.history.loss.tolist() == train("moons", start).loss.tolist()
    assert "recipe=Recipe(optimizer=Twice, options={'ahead': 0.05}, updates=3)" in lab.share()
    page = lab.save_page(tmp_path / "page.html", "lr", values=(0.1, 0.2)).read_text(
        encoding="utf-8"
    )
    assert "optimizer Twice" in page
    assert "class Twice(Optimizer):" in page
    lab.recipe = Recipe(updates=3)  # which has no `ahead`: its own choice is then refused in words
    lab.controls["optimizer"].value = Twice
    assert "one that can be called as Twice(params, lr=0.1)" in lab.summary
    lab.close()


def test_a_lab_with_groups_says_so_and_keeps_them(tmp_path: Path) -> None:
    groups = {"0.*": {"lr": 0.01, "frozen_until": 2, "freeze_by": "lr"}}
    lab = GradLab("moons", recipe=Recipe(groups=groups, updates=4))
    lab.controls["lr"].value = 0.5
    assert lab.recipe == Recipe(lr=0.5, groups=groups, updates=4)
    assert f"groups={groups!r}" in lab.share()
    page = lab.save_page(tmp_path / "page.html", "lr", values=(0.1, 0.5)).read_text(
        encoding="utf-8"
    )
    assert "group 0.*: lr 0.01, frozen until update 2 by lr" in page
    lab.controls["optimizer"].value = "LBFGS"
    assert "LBFGS refuses them" in lab.summary
    lab.close()


def test_a_group_of_the_recipe_has_controls_of_its_own(tmp_path: Path) -> None:
    lr, until, decay = (f"groups[*bias].{key}" for key in ("lr", "frozen_until", "weight_decay"))
    start = Recipe(lr=0.5, groups={"*bias": {}}, updates=8)
    lab = GradLab("moons", show=("optimizer", "lr", lr, until, decay), recipe=start)
    assert lab.recipe == start
    assert lab.controls[lr].label == "*bias: learning rate"
    lab.controls["lr"].value = 1.0
    assert lab.recipe.groups == {"*bias": {"lr": 0.5}}  # where its own slider stands
    lab.controls[until].value = 3
    assert lab.recipe.groups == {"*bias": {"lr": 0.5, "frozen_until": 3}}
    assert lab.history.loss.tolist() == train("moons", lab.recipe).loss.tolist()
    assert "*bias was frozen by requires_grad until update 3: no gradient" in lab.summary
    lab.toggle("code")
    marked = " ".join(text for text, mark in lab._listing.lines if mark)
    assert "requires_grad_" in marked
    again = eval(lab.share(), {"GradLab": GradLab, "Recipe": Recipe})
    assert again.recipe == lab.recipe
    assert again.history.summary() == lab.history.summary()
    page = lab.save_page(tmp_path / "page.html", until, values=(0, 3)).read_text(encoding="utf-8")
    assert "*bias: frozen until" in page
    assert "not at all" in page
    lab.reset()
    assert lab.recipe == start
    lab.close()


def test_a_group_that_the_recipe_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"show='groups\[0\.\*\]\.lr' has no control; give some of"
    ):
        GradLab("moons", show=("groups[0.*].lr",))
