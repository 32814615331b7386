"""The program that `script` writes trains like `train`, to the last bit."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets.core import Problem, Recipe, problems, train
from gradwidgets.script import script
from gradwidgets.script.program import script_lines
from tests.examples import InTurn, double_problem, doubles
from tests.random_recipes import random_recipe


@pytest.fixture(autouse=True)
def _same_generator_afterwards() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


def losses_of(program: str, **brought: Any) -> list[float]:
    """The losses of a program run from its text alone."""
    names: dict[str, Any] = {"__name__": "a_program", **brought}
    exec(program, names)
    losses: list[float] = names["losses"]
    return losses


@pytest.mark.parametrize("number", range(210))
def test_a_random_recipe_gives_the_same_losses_in_its_program(number: int) -> None:
    name, recipe = random_recipe(number)
    assert losses_of(script(name, recipe)) == train(name, recipe).loss.tolist()


def test_the_random_recipes_visit_what_they_should() -> None:
    drawn = [random_recipe(number)[1] for number in range(210)]
    for field, values in {
        "clear": {"none", "zero", "never"},
        "average": {True, False},
        "optimizer": {"SGD", "Adam", "AdamW", "RMSprop", "LBFGS", "Rprop"},
        "mask_kind": {"first", "random", "unit", "0.*"},
    }.items():
        assert values <= {getattr(recipe, field) for recipe in drawn}
    assert sum(recipe.optimizer == "LBFGS" for recipe in drawn) > 10
    assert sum(recipe.accumulation_steps > 1 for recipe in drawn) > 50


@pytest.mark.parametrize("name", problems.names())
def test_the_default_program_gives_the_same_losses(name: str) -> None:
    recipe = problems.get(name).recipe.replace(updates=12)
    assert losses_of(script(name, recipe)) == train(name, recipe).loss.tolist()


@pytest.mark.parametrize("optimizer", ["SGD", "LBFGS"])
def test_a_program_that_diverges_ends_where_train_ends(optimizer: str) -> None:
    recipe = Recipe(optimizer=optimizer, scale=100.0, lr=10.0, clear="never")
    history = train("line", recipe)
    assert history.stopped is not None
    assert history.stopped[1] == "diverged"
    assert losses_of(script("line", recipe)) == history.loss.tolist()


def test_a_program_follows_the_default_dtype_like_train() -> None:
    recipe = Recipe(updates=5)
    torch.set_default_dtype(torch.float64)
    try:
        assert losses_of(script("moons", recipe)) == train("moons", recipe).loss.tolist()
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("number", range(0, 210, 9))
def test_a_program_imports_torch_and_the_library_of_its_data_only(number: int) -> None:
    roots = set()
    for node in ast.walk(ast.parse(script(*random_recipe(number)))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(str(node.module).split(".")[0])
    assert roots <= {"torch", "sklearn"}


def test_every_line_of_a_setting_is_marked() -> None:
    recipe = Recipe(scale=2.0, mask=0.5, l1=0.1, l2=0.2, max_norm=3.0, accumulation_steps=4)
    lines = script_lines("moons", recipe)
    for setting, part in {
        "scale": "mul_(2.0)",
        "mask": "0.5",
        "l1": "sign()",
        "l2": "alpha=0.2",
        "max_norm": "clip_grad_norm_",
        "accumulation_steps": "chunk(4)",
        "lr": "lr=0.1",
        "seed": "manual_seed(0)",
        "updates": "range(200)",
        "clear": "zero_grad()",
    }.items():
        marked = [line.text for line in lines if setting in line.settings]
        assert any(part in text for text in marked), setting
        assert all(text.strip() for text in marked)


# Problems of a user's own. Their functions have the names a user would choose.


def make_data() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(20, 3, generator=draw)
    return x, x.prod(dim=1, keepdim=True)


def make_loader() -> torch.utils.data.DataLoader:
    x = torch.randn(20, 3)
    pairs = list(zip(x, x.sum(dim=1, keepdim=True), strict=True))
    return torch.utils.data.DataLoader(pairs, batch_size=6, shuffle=True)


class Net(nn.Module):
    """Dropout, a parameter without gradient, one without use and one without dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 6)
        self.first.bias.requires_grad_(False)
        self.unused = nn.Linear(2, 2)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(6, 1)
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.gain * self.last(self.drop(torch.tanh(self.first(x))))
        return output


def model() -> nn.Module:
    return nn.Linear(3, 1)


def loss(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).abs().mean()


def data() -> DataLoader:
    return DataLoader(TensorDataset(*make_data()), batch_size=6)


USER_RECIPES = [
    Recipe(updates=12),
    Recipe(updates=12, scale=2.0, mask=0.5, l1=0.1, l2=0.1, max_norm=0.5),
    Recipe(updates=12, mask=0.5, mask_kind="random", accumulation_steps=3),
    Recipe(updates=12, mask=0.5, mask_kind="unit", accumulation_steps=3, average=False),
    Recipe(updates=12, mask=0.5, mask_kind="*bias", optimizer="Adam"),
    Recipe(updates=4, optimizer="LBFGS", options={"max_iter": 4}, l2=0.1),
]


@pytest.mark.parametrize("recipe", USER_RECIPES, ids=repr)
@pytest.mark.parametrize("source", [make_data, make_loader], ids=lambda f: f.__name__)
@pytest.mark.parametrize("build", [Net, model], ids=lambda f: f.__name__)
@pytest.mark.parametrize("cost", [F.mse_loss, loss], ids=lambda f: f.__name__)
def test_a_users_functions_are_written_out(
    build: Any, source: Any, cost: Any, recipe: Recipe
) -> None:
    if recipe.mask_kind == "*bias" and build is Net:
        recipe = recipe.replace(mask_kind="first.*")
    problem = Problem("mine", build, source, cost)
    program = script(problem, recipe)
    assert asked_for(program) == []
    assert losses_of(program) == train(problem, recipe).loss.tolist()


@pytest.mark.parametrize("clear", ["none", "zero", "never"])
def test_a_layer_that_is_not_always_used_shows_what_clearing_does(clear: str) -> None:
    problem, recipe = double_problem(model=InTurn), Recipe(optimizer="Adam", updates=6, clear=clear)
    x, y = doubles()
    losses = losses_of(script(problem, recipe), x=x, y=y)
    assert losses == train(problem, recipe).loss.tolist()


def asked_for(program: str) -> list[str]:
    """What a program asks its reader to bring."""
    lines = [line for line in program.splitlines() if line.startswith("# Bring with you: ")]
    return [name for line in lines for name in line.split(": ")[1].split(", ")]


def test_what_cannot_be_written_is_asked_for() -> None:
    x, y = doubles()
    problem = Problem("mine", nn.Linear(3, 2).double(), (x, y), lambda o, t: F.mse_loss(o, t))
    turn = (lambda parameters: parameters[0].grad.neg_(),)
    recipe = Recipe(updates=5, batch_size=8, edits=turn)
    program = script(problem, recipe)
    assert asked_for(program) == ["x", "y", "make_model", "loss_fn", "edits"]
    brought = {"x": x, "y": y, "make_model": problem.build, "loss_fn": problem.loss}
    history = train(problem, recipe)
    assert losses_of(program, edits=recipe.edits, **brought) == history.loss.tolist()


def test_a_loader_that_is_an_object_is_asked_for() -> None:
    x, y = make_data()
    loader = DataLoader(TensorDataset(x, y), batch_size=6)
    problem = Problem("mine", model, loader, loss)
    recipe = Recipe(updates=7, accumulation_steps=2)
    program = script(problem, recipe)
    assert asked_for(program) == ["loader"]
    assert losses_of(program, loader=loader) == train(problem, recipe).loss.tolist()


def test_names_that_a_function_needs_are_asked_for() -> None:
    problem = Problem("mine", model, data, loss)
    program = script(problem, Recipe(updates=5))
    assert asked_for(program) == ["DataLoader", "TensorDataset", "make_data"]
    needed = {name: globals()[name] for name in asked_for(program)}
    assert losses_of(program, **needed) == train(problem, Recipe(updates=5)).loss.tolist()


def test_a_description_of_several_lines_stays_a_comment() -> None:
    problem = Problem("two\nlines", model, make_data, loss, description="One.\n\nTwo.")
    program = script(problem, Recipe(updates=2))
    assert program.splitlines()[0] == "# two lines: One. Two."
    assert len(losses_of(program)) == 2


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask_kind='bogus\*'.*0\.weight"):
        script("moons", Recipe(mask=0.5, mask_kind="bogus*"))


def test_writing_a_program_trains_nothing_and_draws_nothing() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    script(Problem("mine", model, make_data, loss), Recipe(mask=0.5, mask_kind="bias"))
    assert torch.equal(torch.get_rng_state(), before)
