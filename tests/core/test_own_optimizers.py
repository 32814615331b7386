"""An optimizer of one's own trains as in a loop written by hand, wherever a recipe goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradwidgets.core import Recipe, TrainingError, settings, train
from gradwidgets.ledger.record import record_updates
from gradwidgets.script import script
from gradwidgets.sweep import sweep
from tests.by_hand import loop, whole
from tests.examples import assert_same_run, double_model, double_problem, doubles
from tests.own_optimizers import (
    HAS_MUON,
    Lion,
    Replacing,
    Twice,
    head_only,
    last_left_out,
    lion_and_sgd,
    muon_and_adamw,
    split,
)

PROBLEM = double_problem(data=doubles)
EDITED = {"accumulation_steps": 3, "max_norm": 0.5, "l2": 0.01}
needs_muon = pytest.mark.skipif(not HAS_MUON, reason="this torch has no Muon")
OWN: dict[str, Recipe] = {
    "class": Recipe(Lion, lr=0.02, options={"betas": (0.8, 0.9), "weight_decay": 0.1}),
    "replaces data": Recipe(Replacing, lr=0.3),
    "list": Recipe(lion_and_sgd, lr=0.02, options={"momentum": 0.9}),
    "freezes": Recipe(head_only, lr=0.02),
    "leaves out": Recipe(last_left_out, lr=0.1),
}
if HAS_MUON:
    OWN["Muon"] = Recipe(muon_and_adamw, lr=0.02, options={"weight_decay": 0.01})


class HandLion:
    """Lion from its formulas alone, with no `Optimizer` beneath."""

    def __init__(self, parameters: Any) -> None:
        self.parameters = list(parameters)
        self.averages = [torch.zeros_like(p) for p in self.parameters]

    def zero_grad(self, **_: object) -> None:
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for i, p in enumerate(self.parameters):
            before = self.averages[i]
            p.mul_(1 - 0.02 * 0.1)
            p.sub_(0.02 * torch.sign(torch.lerp(before, p.grad, 1 - 0.8)))
            self.averages[i] = torch.lerp(before, p.grad, 1 - 0.9)


class InTurn:
    """Optimizers one after the other, as a person writes it."""

    def __init__(self, *optimizers: Optimizer) -> None:
        self.optimizers = optimizers

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()


class Matrices(nn.Module):
    """Gives `split` its parameters back."""

    def __init__(self, parameters: Any) -> None:
        super().__init__()
        for i, p in enumerate(parameters):
            self.register_parameter(f"p{i}", p)


def by_hand(make: Callable[..., Any], recipe: Recipe, **edits: Any) -> Any:
    groups = whole(*doubles(), parts=recipe.accumulation_steps)
    return loop(
        double_model,
        groups,
        nn.functional.mse_loss,
        make,
        updates=recipe.updates,
        accumulation_steps=recipe.accumulation_steps,
        **edits,
    )


@pytest.mark.parametrize("edits", [{}, EDITED], ids=["plain", "edited"])
def test_lion_is_lion_written_by_hand(edits: dict[str, Any]) -> None:
    recipe = OWN["class"].replace(updates=12, **edits)
    norms = {name: value for name, value in edits.items() if name != "accumulation_steps"}
    assert_same_run(train(PROBLEM, recipe), by_hand(HandLion, recipe, **norms))


def test_a_step_that_replaces_the_data_is_recorded() -> None:
    recipe = OWN["replaces data"].replace(updates=8)
    history = train(PROBLEM, recipe)
    rate = iter(range(1, 9))

    class Falling(HandLion):
        @torch.no_grad()
        def step(self) -> None:
            length = 0.3 / next(rate)
            for p in self.parameters:
                p.copy_(p - length * p.grad)

    trace = by_hand(Falling, recipe)
    assert_same_run(history, trace)
    raw = [[float(g.norm()) for g in gradients] for gradients in trace.raw]
    assert history.grad_norms == pytest.approx(np.array(raw), rel=1e-12)


@pytest.mark.parametrize("clear", ["none", "zero", "never"])
def test_several_optimizers_clear_and_step_in_turn(clear: str) -> None:
    def make(parameters: Any) -> InTurn:
        matrices, rest = split(Matrices(parameters))
        return InTurn(Lion(matrices, lr=0.02), torch.optim.SGD(rest, lr=3.0 * 0.02, momentum=0.9))

    recipe = OWN["list"].replace(updates=12, clear=clear)
    assert_same_run(train(PROBLEM, recipe), by_hand(make, recipe, clear=clear))


@needs_muon
def test_muon_for_matrices_and_adamw_for_the_rest() -> None:
    def make(parameters: Any) -> InTurn:
        matrices, rest = split(Matrices(parameters))
        muon = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.01)
        return InTurn(muon, torch.optim.AdamW(rest, lr=3.0 * 0.02))

    recipe = OWN["Muon"].replace(updates=12)
    assert_same_run(train(PROBLEM, recipe), by_hand(make, recipe))


def test_a_closure_is_given_to_a_step_that_needs_one() -> None:
    recipe = Recipe(Twice, lr=0.2, options={"ahead": 0.1}, updates=10)
    torch.manual_seed(0)
    model, (x, y) = double_model(), doubles()
    losses = []
    for _ in range(10):

        def gradients() -> tuple[float, list[Tensor]]:
            loss = nn.functional.mse_loss(model(x), y)
            return loss.item(), list(torch.autograd.grad(loss, list(model.parameters())))

        loss, there = gradients()
        losses.append(loss)
        before = [p.detach().clone() for p in model.parameters()]
        with torch.no_grad():
            for p, g in zip(model.parameters(), there, strict=True):
                p.sub_(g, alpha=0.1)
        _, ahead = gradients()
        with torch.no_grad():
            for p, start, g in zip(model.parameters(), before, ahead, strict=True):
                p.copy_(start - 0.2 * g)
    assert train(PROBLEM, recipe).loss.tolist() == losses


def test_a_parameter_that_no_optimizer_has_keeps_its_gradients() -> None:
    history = train(PROBLEM, OWN["leaves out"].replace(updates=6))
    model, (x, y) = double_model, doubles()
    torch.manual_seed(0)
    net = model()
    last = list(net.parameters())[-1]
    optimizer = torch.optim.SGD(list(net.parameters())[:-1], lr=0.1)
    norms = []
    for _ in range(6):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), y).backward()
        norms.append(float(last.grad.norm()))
        optimizer.step()
    assert history.grad_norms[:, -1] == pytest.approx(norms, rel=1e-12)
    assert norms[-1] > 3 * norms[0]  # they add up


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("edits", [{}, EDITED, {"clear": "never", "batch_size": 7}])
def test_a_program_trains_alike(name: str, edits: dict[str, Any]) -> None:
    recipe = OWN[name].replace(updates=6, **edits)
    names: dict[str, Any] = {"__name__": "a_program"}
    with torch.random.fork_rng():
        exec(script(PROBLEM, recipe), names)
    assert names["losses"] == train(PROBLEM, recipe).loss.tolist()


def test_a_program_of_a_closure_and_of_a_built_in_problem() -> None:
    for recipe in (Recipe(Twice, lr=0.1, options={"ahead": 0.05}), Recipe(head_only, scale=2.0)):
        recipe = recipe.replace(updates=5)
        names: dict[str, Any] = {"__name__": "a_program"}
        with torch.random.fork_rng():
            exec(script("moons", recipe), names)
        assert names["losses"] == train("moons", recipe).loss.tolist()


def test_a_program_holds_the_source_with_what_it_uses_and_no_more() -> None:
    text = script("moons", OWN["list"])
    assert "class Lion(Optimizer):" in text
    assert "from torch.optim import Optimizer" in text
    assert "FASTER = 3.0" in text
    assert "class Twice" not in text
    assert "\noptimizers = lion_and_sgd(model, 0.02, momentum=0.9)\n" in text
    assert "    for optimizer in optimizers:\n        optimizer.zero_grad()\n" in text
    assert "    for optimizer in optimizers:\n        optimizer.step()\n" in text
    call = "optimizer = Lion(model.parameters(), lr=0.02, betas=(0.8, 0.9), weight_decay=0.1)"
    assert f"\n{call}\n" in script("moons", OWN["class"])


def test_a_program_asks_for_what_has_no_source() -> None:
    recipe = Recipe(lambda model, lr: torch.optim.SGD(model.parameters(), lr), updates=3)
    text = script("line", recipe)
    assert "# Bring with you: make_optimizer\n" in text
    names: dict[str, Any] = {"make_optimizer": recipe.optimizer}
    with torch.random.fork_rng():
        exec(text, names)
    assert names["losses"] == train("line", recipe).loss.tolist()


def test_a_program_imports_what_is_installed(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "site-packages" / "a_library_of_optimizers"
    library.mkdir(parents=True)
    own = "import torch\n\n\nclass Plain(torch.optim.SGD):\n    pass\n"
    (library / "inner.py").write_text(own, encoding="utf-8")
    (library / "__init__.py").write_text(
        "from a_library_of_optimizers.inner import Plain\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(library.parent))
    from a_library_of_optimizers import Plain  # type: ignore[import-not-found]

    recipe = Recipe(Plain, updates=3)
    text = script("line", recipe)
    assert "from a_library_of_optimizers import Plain\n" in text
    assert "class Plain" not in text
    names: dict[str, Any] = {}
    with torch.random.fork_rng():
        exec(text, names)
    assert names["losses"] == train("line", recipe).loss.tolist()


class Hidden:
    """No optimizer."""


def takes_one(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters())


ELSEWHERE = nn.Linear(1, 1)
INSTANCE = torch.optim.Adam(ELSEWHERE.parameters())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"optimizer": INSTANCE}, ["optimizer=Adam", "the class instead (Adam)", "(model, lr)"]),
        ({"optimizer": Hidden}, ["Hidden", "a subclass of torch.optim.Optimizer"]),
        ({"optimizer": Optimizer}, ["a subclass of torch.optim.Optimizer"]),
        ({"optimizer": takes_one}, ["takes_one", "a function that takes (model, lr)"]),
        ({"optimizer": partial(Lion, lr=1)}, ["'SGD'", "or a function (model, lr)"]),
        ({"optimizer": Lion, "options": {"beta": 1}}, ["options['beta']=1", "Lion only: betas"]),
        ({"optimizer": Replacing, "options": {"a": 1}}, ["options['a']=1", "Replacing has none"]),
        ({"optimizer": Twice}, ["one that can be called as Twice(params, lr=0.1)", "'ahead'"]),
        ({"optimizer": head_only, "options": {"a": 1}}, ["options['a']=1", "head_only has none"]),
        ({"optimizer": lion_and_sgd, "options": {"betas": 1}}, ["lion_and_sgd only: momentum"]),
    ],
)
def test_a_wrong_optimizer_is_named_at_once(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
        Recipe(**fields)


SGD = torch.optim.SGD


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda _: None, ["=None", "a torch.optim.Optimizer to return, or a list of them"]),
        (lambda _: [], ["=[]", "a list of them"]),
        (lambda model: [SGD(model.parameters(), 0.1), 3], ["a torch.optim.Optimizer to return"]),
        (lambda _: INSTANCE, ["2 of 2 parameters", "parameters of the model that it is given"]),
        (lambda model: [SGD(model.parameters(), 0.1)] * 2, ["['0.weight'", "one for each param"]),
        (lambda _: 1 / 0, ["one for this model (division by zero)"]),
        (
            lambda model: [
                torch.optim.LBFGS(model[0].parameters()),
                SGD(model[2].parameters(), 0.1),
            ],
            ["needs no closure"],
        ),
    ],
)
def test_a_wrong_result_of_a_function_is_named(returned: Any, words: list[str]) -> None:
    recipe = Recipe(lambda model, _: returned(model))
    for use in (train, script):
        with pytest.raises(ValueError, match=".*".join(map(re.escape, words))):
            use(PROBLEM, recipe)


def test_a_step_that_never_calls_its_closure_is_told() -> None:
    class Idle(SGD):
        def step(self, closure: Any) -> None:  # type: ignore[override]
            pass

    with pytest.raises(TrainingError, match=r"update 0 with Idle raised.*never called the closure"):
        train(PROBLEM, Recipe(Idle))


def test_a_class_of_torch_is_its_name() -> None:
    assert Recipe(torch.optim.Adam) == Recipe("Adam")
    assert Recipe(torch.optim.Adam).to_json() == Recipe("Adam").to_json()


def test_recipes_are_equal_and_hash_alike_and_print_as_written() -> None:
    one, other = Recipe(Lion, options={"betas": [0.8, 0.9]}), Recipe(Lion)
    assert one != other
    assert one == Recipe(Lion, options={"betas": (0.8, 0.9)})
    assert len({one, other, one.replace()}) == 2
    assert repr(one) == "Recipe(optimizer=Lion, options={'betas': (0.8, 0.9)})"
    assert eval(repr(one)) == one
    with pytest.raises(ValueError, match=r"optimizer=.*Lion.*JSON cannot hold callables"):
        one.to_json()


def test_trying_a_class_out_draws_no_random_number() -> None:
    class Drawing(SGD):
        def __init__(self, params: Any, lr: float) -> None:
            torch.rand(1)
            super().__init__(params, lr)

    before = torch.get_rng_state()
    Recipe(Drawing)
    assert torch.equal(before, torch.get_rng_state())


def test_settings_know_its_options() -> None:
    recipe = Recipe(Lion, lr=0.5, options={"betas": (0.8, 0.9)})
    assert settings.get(recipe, "weight_decay") == 0.0
    assert settings.get(recipe, "momentum") == 0.0  # where its slider rests
    assert settings.applies(recipe, "weight_decay")
    assert not settings.applies(recipe, "momentum")
    changed = settings.with_(recipe, weight_decay=0.1)
    assert changed.options == {"betas": (0.8, 0.9), "weight_decay": 0.1}
    assert settings.with_(changed, weight_decay=0.0) == recipe
    assert settings.with_(changed, optimizer="AdamW").options["weight_decay"] == 0.1
    assert settings.with_(Recipe(options={"momentum": 0.5}), optimizer=Lion) == Recipe(Lion)
    assert settings.differences(changed, Recipe()) == [
        "Lion",
        "lr 0.5",
        "betas (0.8, 0.9)",
        "weight decay 0.1",
    ]
    assert settings.differences(Recipe(Twice, options={"ahead": 1.0}), Recipe()) == [
        "Twice",
        "ahead 1.0",
    ]
    assert settings.in_words([recipe]).startswith("optimizer Lion, learning rate 0.5")


def test_a_sweep_goes_one_by_one_and_says_so() -> None:
    recipe = Recipe(Lion, updates=3)
    with pytest.warns(UserWarning, match="one by one, because replicas of Lion are not known"):
        histories = sweep("moons", recipe, "lr", [0.01, 0.1])
    alone = [train("moons", recipe.replace(lr=lr)).loss.tolist() for lr in (0.01, 0.1)]
    assert [history.loss.tolist() for history in histories] == alone


def test_the_ledger_shows_the_state_and_the_rate_of_each() -> None:
    *_, last = record_updates(PROBLEM, OWN["list"].replace(updates=3))
    weight, bias = last["0.weight"], last["0.bias"]
    assert (weight.lr, bias.lr) == (0.02, 3.0 * 0.02)
    assert weight.state_after.keys() == {"average"}
    assert bias.state_after.keys() == {"momentum_buffer"}
    assert bias.step == pytest.approx(bias.state_after["momentum_buffer"], rel=1e-9)
    every = [p.norms["step"] for p in last.parameters]
    assert last.joint.norms["step"] == pytest.approx(sum(n**2 for n in every) ** 0.5)
