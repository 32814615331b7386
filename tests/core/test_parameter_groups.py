"""Groups and their freezing train as in a loop written by hand, with an optimizer for each part."""

from __future__ import annotations

import math
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import History, Recipe, settings, train
from gradwidgets.core.loop import live
from gradwidgets.core.parameter_groups import FREEZE_BY
from gradwidgets.ledger.page import pages
from gradwidgets.script import script, script_lines
from gradwidgets.stepper.engine import StepperEngine
from gradwidgets.sweep import sweep
from tests.examples import double_model, double_problem, doubles
from tests.own_optimizers import Lion, Twice, lion_and_sgd


def normed() -> nn.Module:
    """Two layers with BatchNorm between them, in float64."""
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)).double()


PROBLEM = double_problem(model=normed, data=doubles)
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.05},
    "Adam": {"weight_decay": 0.02},
    "AdamW": {"weight_decay": 0.1},
}
SPANS = {"until": (4, None), "from": (None, 5), "both": (3, 7), "always": (None, 0)}
UPDATES = 10


def recipe_of(optimizer: str, by: str, span: str, **changes: Any) -> Recipe:
    until, start = SPANS[span]
    part = {"lr": 0.03, "weight_decay": 0.2, "freeze_by": by}
    part |= {"frozen_until": until, "frozen_from": start}
    fields = {"lr": 0.05, "options": OPTIMIZERS[optimizer], "updates": UPDATES, **changes}
    return Recipe(optimizer, groups={"[01].*": part}, **fields)


def by_hand(recipe: Recipe) -> tuple[list[float], nn.Module]:
    """The first layer and its norm have an optimizer of their own, with what is said of them."""
    torch.manual_seed(recipe.seed)
    model, (x, y) = normed(), doubles()
    part, rest = list(model[:2].parameters()), list(model[2:].parameters())
    kind = getattr(torch.optim, str(recipe.optimizer))
    first = kind(part, **{**recipe.options, "lr": 0.03, "weight_decay": 0.2})
    second = kind(rest, lr=recipe.lr, **recipe.options)
    given = recipe.groups["[01].*"]
    by, losses = given["freeze_by"], []
    for update in range(recipe.updates):
        frozen = update < given.get("frozen_until", 0) or update >= given.get("frozen_from", 99)
        has_part = not (frozen and by == "left out")
        stepping = [first, second] if has_part else [second]
        for p in part:
            p.requires_grad_(not (frozen and by == "requires_grad"))
        for optimizer in stepping if recipe.clear != "never" else []:
            optimizer.zero_grad(set_to_none=recipe.clear == "none")
        loss = F.mse_loss(model(x), y)
        loss.backward()
        losses.append(loss.item())
        if recipe.max_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.max_norm)
        for p in part if frozen and by == "gradient" else []:
            p.grad = torch.zeros_like(p)
        first.param_groups[0]["lr"] = 0.0 if frozen and by == "lr" else 0.03
        for optimizer in stepping:
            optimizer.step()
    return losses, model


def assert_same(history: History, recipe: Recipe) -> None:
    losses, model = by_hand(recipe)
    assert history.loss.tolist() == losses
    assert history.model is not None
    for name, values in model.state_dict().items():
        assert torch.equal(history.model.state_dict()[name], values), name


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("by", FREEZE_BY)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_freezing_is_that_of_a_loop_by_hand(optimizer: str, by: str, span: str) -> None:
    recipe = recipe_of(optimizer, by, span)
    assert_same(train(PROBLEM, recipe), recipe)


@pytest.mark.parametrize("clear", ["none", "zero", "never"])
@pytest.mark.parametrize("by", FREEZE_BY)
def test_each_freezing_clears_and_clips_as_by_hand(by: str, clear: str) -> None:
    recipe = recipe_of("SGD", by, "both", clear=clear, max_norm=0.4)
    assert_same(train(PROBLEM, recipe), recipe)


def test_the_four_freezings_are_four_different_things() -> None:
    recipes = [recipe_of("SGD", by, "both", max_norm=0.1) for by in FREEZE_BY]
    ends = [train(PROBLEM, recipe).loss[-1] for recipe in recipes]
    assert len(set(ends)) == 4


@pytest.mark.parametrize("by", FREEZE_BY)
def test_a_frozen_part_moves_only_where_its_gradient_is_zeroed(by: str) -> None:
    history = train(PROBLEM, recipe_of("SGD", by, "from"))
    column = history.names.index("0.weight")
    moved = history.change_norms[5:, column] > 0
    assert moved.all() if by == "gradient" else not moved.any()
    assert history.change_norms[:5, column].all()


def test_a_part_that_is_left_out_gathers_gradients_that_nothing_clears() -> None:
    norms = train(PROBLEM, recipe_of("SGD", "left out", "always", updates=8)).grad_norms
    assert norms[-1, 0] > 3 * norms[0, 0]
    frozen = train(PROBLEM, recipe_of("SGD", "requires_grad", "always", updates=8)).grad_norms
    assert torch.tensor(frozen[:, 0]).isnan().all()


def test_batch_norm_goes_on_counting_whatever_is_frozen() -> None:
    for by in FREEZE_BY:
        model = train(PROBLEM, recipe_of("SGD", by, "always")).model
        assert model is not None
        assert model[1].num_batches_tracked == UPDATES


CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "edited": {"accumulation_steps": 3, "scale": 2.0, "l2": 0.01, "max_norm": 0.5, "mask": 0.3},
    "never cleared": {"clear": "never", "batch_size": 11},
}


def losses_of(program: str) -> list[float]:
    names: dict[str, Any] = {"__name__": "a_program"}
    with torch.random.fork_rng():
        exec(program, names)
    losses: list[float] = names["losses"]
    return losses


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("by", FREEZE_BY)
def test_a_program_and_the_stepper_train_alike(by: str, span: str, change: str) -> None:
    recipe = recipe_of("SGD", by, span, **CHANGES[change])
    losses = train(PROBLEM, recipe).loss.tolist()
    assert losses_of(script(PROBLEM, recipe)) == losses
    engine = StepperEngine(PROBLEM, recipe)
    assert engine.run(UPDATES).failure is None
    assert engine.workspace.names["losses"] == losses
    for _ in range(3 * len(engine.statements)):  # back over what was frozen, and forth again
        engine.previous()
    engine.run(UPDATES)
    assert engine.workspace.names["losses"] == losses


def test_several_groups_change_at_their_own_places() -> None:
    groups = {
        "0.weight": {"frozen_until": 2, "frozen_from": 6, "freeze_by": "left out"},
        "0.bias": {"lr": 0.01, "frozen_until": 3, "frozen_from": 7, "freeze_by": "lr"},
        "2.*": {"frozen_until": 4, "freeze_by": "left out"},
    }
    problem = double_problem(data=doubles)
    recipe = Recipe(groups=groups, updates=9, options={"momentum": 0.9})
    torch.manual_seed(0)
    model, (x, y) = double_model(), doubles()
    parts = [[model[0].weight], [model[0].bias], list(model[2].parameters())]
    rates, losses = [0.1, 0.01, 0.1], []
    optimizers = [torch.optim.SGD(p, lr, momentum=0.9) for p, lr in zip(parts, rates, strict=True)]
    for update in range(9):
        here = [2 <= update < 6, True, update >= 4]
        optimizers[1].param_groups[0]["lr"] = 0.01 if 3 <= update < 7 else 0.0
        for optimizer, has in zip(optimizers, here, strict=True):
            if has:
                optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        losses.append(loss.item())
        for optimizer, has in zip(optimizers, here, strict=True):
            if has:
                optimizer.step()
    assert train(problem, recipe).loss.tolist() == losses
    assert losses_of(script(problem, recipe)) == losses


@pytest.mark.parametrize("kind", [Lion, "NAdam", "RMSprop"])
def test_a_program_of_a_built_in_problem_and_another_optimizer(kind: Any) -> None:
    for by in FREEZE_BY:
        part = {"lr": 0.02, "frozen_until": 3, "freeze_by": by}
        recipe = Recipe(kind, lr=0.01, groups={"*bias": part}, scale=2.0, mask=0.2, updates=6)
        recipe = recipe.replace(mask_kind="unit")
        assert losses_of(script("moons", recipe)) == train("moons", recipe).loss.tolist()


def test_a_closure_is_evaluated_within_the_phases() -> None:
    for by in FREEZE_BY:
        part = {"frozen_until": 3, "freeze_by": by}
        recipe = Recipe(Twice, options={"ahead": 0.01}, groups={"2.*": part}, updates=6)
        assert losses_of(script("moons", recipe)) == train("moons", recipe).loss.tolist()


def test_the_lines_are_a_teachers_and_belong_to_their_setting() -> None:
    part = {"lr": 0.01, "frozen_until": 50, "freeze_by": "left out"}
    lines = script_lines("line", Recipe(groups={"bias": part}, options={"momentum": 0.9}))
    texts = [line.text for line in lines if "groups" in line.settings]
    assert texts == [
        "parts = {  # the parameters of each group",
        "    'bias': [",
        "        model.get_parameter('bias'),",
        "    ],",
        "}",
        "grouped = {p for part in parts.values() for p in part}",
        "rest = [p for p in model.parameters() if p not in grouped]",
        "    [",
        "        {'params': rest},",
        "    ],",
        "    if update == 50:  # unfreeze 'bias'",
        "        optimizer.add_param_group({'params': parts['bias'], 'lr': 0.01})",
    ]
    assert not any("groups" in line.settings for line in script_lines("line", Recipe()))


A = {"lr": 0.1}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"groups": 3}, ["groups=3", 'a dict such as {"*.bias"']),
        ({"groups": {3: A}}, ["a pattern of groups=3"]),
        ({"groups": {"a": 3}}, ["groups['a']=3", "lr, weight_decay, frozen_until"]),
        ({"groups": {"a": {"rate": 1}}}, ["groups['a']['rate']=1", "only lr, weight_decay"]),
        ({"groups": {"a": {"lr": -1}}}, ["groups['a']['lr']=-1", "from 0"]),
        ({"groups": {"a": {"frozen_until": 1.5}}}, ["['frozen_until']=1.5", "a whole number"]),
        ({"groups": {"a": {"frozen_from": 2, "freeze_by": "x"}}}, ["'x'", "'left out'"]),
        ({"groups": {"a": A}, "dtype": "bfloat16"}, ["none together with dtype or rounding"]),
        ({"groups": {"a": {"freeze_by": "lr"}}}, ["frozen_until or frozen_from with it"]),
        (
            {"groups": {"a": {"frozen_until": 5, "frozen_from": 5}}},
            ["['frozen_from']=5", "after frozen_until=5"],
        ),
        (
            {"optimizer": "Rprop", "groups": {"a": {"weight_decay": 0.1}}},
            ["['weight_decay']=0.1", "Rprop takes no weight_decay"],
        ),
        ({"optimizer": "LBFGS", "groups": {"a": A}}, ["LBFGS refuses them"]),
        ({"optimizer": lion_and_sgd, "groups": {"a": A}}, ["builds groups of its own"]),
        (
            {"optimizer": "Adagrad", "groups": {"a": {"frozen_until": 3, "freeze_by": "left out"}}},
            ["another freeze_by than 'left out'", "Adagrad prepares"],
        ),
    ],
)
def test_wrong_groups_are_named_at_once(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"2.*": A}, ["a pattern of Recipe.groups='2.*'", "['weight', 'bias']"]),
        ({"*": A, "b*": A}, ["='b*'", "one group for each parameter: '*' matches 'bias', too"]),
        ({"*": {"frozen_from": 7}}, ["needs a gradient at update 7"]),
        ({"*": {"frozen_until": 2, "freeze_by": "left out"}}, ["not left out at first"]),
    ],
)
def test_groups_that_do_not_fit_the_model_are_named(groups: Any, words: list[str]) -> None:
    for use in (train, script, StepperEngine):
        if use is script and "left out" in words[0]:
            continue
        with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
            use("line", Recipe(groups=groups, updates=10))


def test_everything_frozen_after_the_run_is_no_matter() -> None:
    recipe = Recipe(groups={"*": {"frozen_from": 10}}, updates=10)
    assert train("line", recipe).loss.tolist() == train("line", Recipe(updates=10)).loss.tolist()


def test_a_recipe_with_groups_goes_through_text_and_is_equal() -> None:
    recipe = recipe_of("SGD", "left out", "both")
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert eval(repr(recipe)) == recipe
    assert len({recipe, recipe.replace(), recipe.replace(groups={})}) == 2
    given = {"a": {"lr": 0.5}}
    kept = Recipe(groups=given)
    given["a"]["lr"] = 0.7
    assert kept.groups["a"]["lr"] == 0.5


def test_settings_name_the_groups_and_reach_into_them() -> None:
    recipe = Recipe(lr=0.3, groups={"0.*": {"lr": 0.01, "frozen_until": 50}})
    words = "group 0.*: lr 0.01, frozen until update 50 by requires_grad"
    assert settings.differences(recipe, Recipe(lr=0.3)) == [words]
    assert settings.differences(Recipe(), recipe.replace(lr=0.1)) == ["no groups"]
    assert settings.in_words([recipe]).endswith(words)
    assert settings.get(recipe, "groups[0.*].lr") == 0.01
    assert settings.get(recipe, "groups[0.*].weight_decay") == 0
    assert settings.get(recipe, "groups[0.*].frozen_from") is None
    changed = settings.with_(recipe, **{"groups[0.*].lr": 0.5, "groups[0.*].frozen_until": None})
    assert changed.groups == {"0.*": {"lr": 0.5}}
    with pytest.raises(ValueError, match=r"groups\[1\.\*\]\.lr"):
        settings.with_(recipe, **{"groups[1.*].lr": 0.5})
    with pytest.raises(ValueError, match=r"groups\['0\.\*'\]\['lr'\]=-1"):
        settings.with_(recipe, **{"groups[0.*].lr": -1})


def test_a_control_of_a_group_visits_what_is_allowed_and_comes_back() -> None:
    start = Recipe(lr=0.3, groups={"0.*": {}, "*bias": {"frozen_until": 7, "freeze_by": "lr"}})
    own = {name: each for name, each in settings.controls(start).items() if "[" in name}
    assert [name.replace("*bias", "0.*") for name in own] == 2 * [
        f"groups[0.*].{key}"
        for key in ("lr", "weight_decay", "frozen_until", "frozen_from", "freeze_by")
    ]
    for name, control in own.items():
        assert settings.with_(start, **{name: settings.get(start, name)}) == start
        for stop in control.stops:
            if name == "groups[0.*].freeze_by" and stop != "requires_grad":
                continue  # nothing is frozen there
            if name == "groups[*bias].frozen_from" and stop is not None and stop <= 7:
                continue
            changed = settings.with_(start, **{name: stop})
            assert settings.get(changed, name) == stop
            before = settings.get(start, name)
            assert settings.get(settings.with_(changed, **{name: before}), name) == before
    assert settings.applies(Recipe("Rprop", groups={"0.*": {}}), "groups[0.*].lr")
    assert not settings.applies(Recipe("Rprop", groups={"0.*": {}}), "groups[0.*].weight_decay")
    assert Recipe(groups={"0.*": {"frozen_until": 0}}) == Recipe(groups={"0.*": {}})


def test_several_settings_of_a_group_are_changed_together() -> None:
    start = Recipe(groups={"0.*": {"frozen_until": 9}})
    changes = {"groups[0.*].freeze_by": "lr", "groups[0.*].frozen_until": 0}
    assert settings.with_(start, **changes).groups == {
        "0.*": {"frozen_until": 0, "freeze_by": "lr"}
    }
    later = {"groups[0.*].frozen_from": 5, "groups[0.*].frozen_until": 2}
    assert settings.with_(start, **later).groups == {"0.*": {"frozen_until": 2, "frozen_from": 5}}


def test_a_sweep_goes_one_by_one_and_says_so() -> None:
    recipe = Recipe(groups={"0.*": {"lr": 0.01}}, updates=4)
    for field, values in {"groups[0.*].lr": [0.1, 0.2], "lr": [0.3, 0.4]}.items():
        with pytest.warns(UserWarning, match="one by one, because groups has no form"):
            histories = sweep("moons", recipe, field, values)
        alone = [train("moons", settings.with_(recipe, **{field: value})) for value in values]
        assert [h.loss.tolist() for h in histories] == [h.loss.tolist() for h in alone]


SAID = {
    "requires_grad": "frozen by requires_grad: no gradient and no change",
    "left out": r"frozen by left out: a gradient of norm [\d.]+, but no change",
    "lr": r"frozen by lr: a gradient of norm [\d.]+, but no change",
    "gradient": r"frozen by gradient: a gradient of zero, but momentum or weight decay made a ch",
}


@pytest.mark.parametrize("by", FREEZE_BY)
def test_the_ledger_says_which_freezing_it_is(by: str) -> None:
    *_, before, last = list(pages(PROBLEM, recipe_of("SGD", by, "from")))[3:6]
    assert re.search(SAID[by], " ".join(last["notes"]))
    assert "frozen" not in " ".join(before["notes"])


@pytest.mark.parametrize("by", FREEZE_BY)
def test_the_sentence_of_a_run_says_which_freezing_it_was(by: str) -> None:
    said = train(PROBLEM, recipe_of("SGD", by, "both")).summary()
    words = (
        SAID[by].replace(":", " until update 3 and from update 7:").replace(" norm", " norm up to")
    )
    assert re.search(r"\[01\]\.\* was " + words, said)
    assert "frozen" not in train(PROBLEM, recipe_of("SGD", by, "from", updates=4)).summary()


COMINGS = {
    "0.weight": {"lr": 0.01, "frozen_until": 2, "frozen_from": 6, "freeze_by": "left out"},
    "1.*": {"lr": 0.02, "frozen_until": 4, "freeze_by": "lr"},
    "3.bias": {"lr": 0.03, "frozen_from": 3, "freeze_by": "left out"},
    "3.weight": {"frozen_until": 3, "freeze_by": "left out"},
}


@pytest.mark.parametrize("rest", [True, False])
def test_the_rates_of_groups_are_those_that_their_parameters_are_stepped_with(rest: bool) -> None:
    groups = COMINGS if rest else {**COMINGS, "0.bias": {"lr": 0.04}}
    recipe = Recipe(lr=0.05, groups=groups, updates=8)
    stepped: list[dict[str, float]] = []
    for run in live(PROBLEM, recipe):
        names = {id(p): name for name, p in run.model.named_parameters()}
        parts = run.optimizers[0].param_groups
        stepped.append({names[id(p)]: part["lr"] for part in parts for p in part["params"]})
    found = run.history().group_lrs
    assert list(found) == ["the rest"] * rest + list(groups)
    for pattern, lrs in found.items():
        own = [name for name in names.values() if fnmatchcase(name, pattern)] or ["0.bias"]
        for lr, now in zip(lrs.tolist(), stepped, strict=True):
            expected = {now.get(name, math.nan) for name in own}
            assert expected == {lr} or (math.isnan(lr) and all(map(math.isnan, expected)))


def test_a_table_has_a_column_for_the_rate_of_each_group() -> None:
    history = train(PROBLEM, Recipe(lr=0.05, groups=COMINGS, updates=3))
    header, *rows = history.to_csv().splitlines()
    assert header.endswith("lr of the rest,lr of 0.weight,lr of 1.*,lr of 3.bias,lr of 3.weight")
    assert [row.split(",")[-5:] for row in rows] == [
        ["0.05", "nan", "0.0", "0.03", "nan"],
        ["0.05", "nan", "0.0", "0.03", "nan"],
        ["0.05", "0.01", "0.0", "0.03", "nan"],
    ]
