"""The program that `script` writes trains like `train`, to the last bit."""

from __future__ import annotations

import ast
import json
import linecache
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat.v4
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from gradwidgets.core import Problem, Recipe, problems, train
from gradwidgets.core.recipe import DTYPES, ROUNDINGS
from gradwidgets.script import script
from gradwidgets.script.program import script_lines
from tests.examples import InTurn, double_problem, doubles
from tests.own_optimizers import Lion, Twice
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["digits", "chars"])
def test_a_program_measures_held_out_data_in_the_same_precision(name: str, dtype: str) -> None:
    recipe = Recipe(dtype=dtype, patience=1, updates=12, lr=0.5, batch_size=16)
    program, history = script(name, recipe), train(name, recipe)
    assert "measure()" in program
    assert losses_of(program) == history.loss.tolist()


def test_the_random_recipes_visit_what_they_should() -> None:
    drawn = [random_recipe(number)[1] for number in range(210)]
    for field, values in {
        "clear": {"none", "zero", "never"},
        "average": {True, False},
        "optimizer": {"SGD", "Adam", "AdamW", "RMSprop", "LBFGS", "Rprop", Lion, Twice},
        "mask_kind": {"first", "random", "unit", "0.*"},
        "dtype": {None, *DTYPES},
        "rounding": set(ROUNDINGS),
    }.items():
        assert values <= {getattr(recipe, field) for recipe in drawn}
    assert sum(recipe.optimizer == "LBFGS" for recipe in drawn) > 10
    assert sum(bool(recipe.groups) for recipe in drawn) > 20
    assert sum(recipe.accumulation_steps > 1 for recipe in drawn) > 50


EVERYTHING = Recipe(
    lr=0.05,
    scale=2.0,
    mask=0.3,
    mask_kind="random",
    l1=0.001,
    l2=0.01,
    max_norm=1.0,
    accumulation_steps=4,
    batch_size=50,
)


@pytest.mark.parametrize("recipe", [None, EVERYTHING], ids=["default", "everything"])
@pytest.mark.parametrize("name", problems.names())
def test_a_program_run_by_itself_prints_how_train_ends(name: str, recipe: Recipe | None) -> None:
    program = script(name, recipe) + "import json\nprint(json.dumps(losses))\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *said, losses = done.stdout.splitlines()
    history = train(name, recipe)
    assert json.loads(losses) == history.loss.tolist()
    assert said[0] == f"update {history.updates - 1}: loss {history.loss[-1]:.4g}"
    style = "{:.4g}" if history.metric == "loss" else "{:.1%}"
    ends = [style.format(value) for _, value in history.held_out[-1:]]
    assert said[1:] == [f"held-out {history.metric}: {end}" for end in ends]


@pytest.mark.parametrize("name", problems.names())
def test_a_program_sets_the_default_dtype_that_it_was_written_under(name: str) -> None:
    torch.set_default_dtype(torch.float64)
    recipe = Recipe(updates=3)
    program = script(name, recipe) + "import json\nprint(json.dumps(losses))\n"
    said = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert json.loads(said.splitlines()[-1]) == train(name, recipe).loss.tolist()


def test_a_program_whose_first_loss_is_not_finite_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    problem = Problem("mine", model, make_data, endless)
    assert losses_of(script(problem, Recipe(updates=5))) == []
    assert capsys.readouterr().out == "update 0: loss inf\n"


def ruff(folder: Path, *arguments: str) -> str:
    """Say what ruff has against the programs in a folder, without the project's settings."""
    command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def never_read(program: str) -> set[str]:
    """Names that a program gives to something and never uses; methods aside."""
    tree = ast.parse(program)
    nodes = list(ast.walk(tree))
    methods = [each for node in nodes if isinstance(node, ast.ClassDef) for each in node.body]
    given = {node.arg for node in nodes if isinstance(node, ast.arg)}
    read = set()
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node not in methods:
            given.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            given |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else given).add(node.id)
    return given - read


def test_nothing_in_a_program_is_dead_and_its_lines_are_short(tmp_path: Path) -> None:
    recipes = [random_recipe(number) for number in range(210)]
    users = [(Problem("mine", Net, source, loss), recipe) for source, recipe in USERS]
    for number, (problem, recipe) in enumerate([*recipes, *users]):
        program = script(problem, recipe)
        assert never_read(program) == set()
        (tmp_path / f"program{number}.py").write_text(program, encoding="utf-8")
    assert ruff(tmp_path, "check", "--select", "F") == "All checks passed!\n"


@pytest.mark.parametrize("kind", ["first", "random", "unit", "*weight"])
@pytest.mark.parametrize("clear", ["none", "zero", "never"])
def test_a_program_is_laid_out_as_ruff_would(tmp_path: Path, kind: str, clear: str) -> None:
    full = EVERYTHING.replace(mask_kind=kind, clear=clear)
    for name in problems.names():
        for number, recipe in enumerate((problems.get(name).recipe, full)):
            program = script(name, recipe).replace("'", '"')
            (tmp_path / f"{name}{number}.py").write_text(program, encoding="utf-8")
    assert ruff(tmp_path, "format", "--diff", "--line-length=100") == ""
    assert ruff(tmp_path, "check", "--select=I,E,W", "--line-length=100") == "All checks passed!\n"


def comments(program: str) -> dict[str, str]:
    """The comment of each line that has one."""
    lines = [line.split("  # ") for line in program.splitlines() if "  # " in line]
    return {line.strip(): comment for line, comment in lines}


def test_the_comments_say_what_the_order_of_the_edits_does() -> None:
    said = comments(script("moons", Recipe(scale=2.0, mask=0.5, l2=0.01)))
    assert said["p.grad.add_(p.detach(), alpha=0.01)"] == "not scaled; masked elements get it too"
    alone = comments(script("moons", Recipe(l2=0.01)))
    assert "p.grad.add_(p.detach(), alpha=0.01)" not in alone


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("clear", ["none", "zero", "never"])
def test_a_comment_says_that_gradients_are_never_cleared(clear: str, steps: int) -> None:
    program = script("moons", Recipe(clear=clear, accumulation_steps=steps))
    assert (".grad is never cleared" in program) == (clear == "never")
    assert ("zero_grad" in program) == (clear != "never")


@pytest.mark.parametrize("average", [True, False])
def test_the_comments_say_how_chunks_are_weighed(average: bool) -> None:
    said = comments(script("moons", Recipe(accumulation_steps=3, average=average)))
    if average:
        assert said["(loss / 3).backward()"] == "a chunk counts 1/3, whatever its size"
    assert said["mean = total / seen"] == "every sample counts alike"


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
def test_a_program_imports_torch_and_the_home_of_its_data_only(number: int) -> None:
    roots = set()
    for node in ast.walk(ast.parse(script(*random_recipe(number)))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(str(node.module).split(".")[0])
    own = (
        set() if isinstance(random_recipe(number)[1].optimizer, str) else {"collections", "typing"}
    )
    assert roots <= {"copy", "math", "torch", "gradwidgets"} | own


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


def endless(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).abs().sum() + torch.inf


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


USERS = [(source, recipe) for source in (make_data, make_loader) for recipe in USER_RECIPES[:-2]]


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


def test_a_program_seeds_the_generators_of_a_loader() -> None:
    x, y = make_data()
    loader = DataLoader(
        TensorDataset(x, y), batch_size=6, shuffle=True, generator=torch.Generator()
    )
    problem = Problem("mine", model, loader, loss)
    recipe = Recipe(updates=7, seed=5)
    program = script(problem, recipe)
    assert program.count("loader.generator.manual_seed(5)") == 1
    assert losses_of(program, loader=loader) == train(problem, recipe).loss.tolist()


@pytest.mark.parametrize("optimizer", ["SGD", "LBFGS"])
def test_a_summed_loss_is_added_up_over_the_chunks(optimizer: str) -> None:
    x, y = make_data()
    summed = nn.MSELoss(reduction="sum")
    problem = Problem("mine", model, make_data, summed)
    recipe = Recipe(optimizer=optimizer, lr=0.01, updates=6, accumulation_steps=3)
    losses = losses_of(script(problem, recipe), loss_fn=summed)
    assert losses == train(problem, recipe).loss.tolist()
    torch.manual_seed(0)
    assert losses[0] == pytest.approx(float(summed(model()(x), y)), rel=1e-5)


class Wide(Net):
    """Uses a base class, a number and a library of this file."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(len(np.zeros(WIDTH)), 1)


WIDTH = 6
TABLE = torch.eye(3)


def make_turned() -> tuple[Tensor, Tensor]:
    x, y = make_data()
    return halved(x) @ TABLE, y


halved = lambda x: x / 2  # noqa: E731, a name for what has no text of its own


def test_what_a_function_uses_is_imported_or_written_out() -> None:
    problem = Problem("mine", Wide, data, loss)
    program = script(problem, Recipe(updates=5))
    assert asked_for(program) == []
    for line in ("from torch.utils.data import DataLoader, TensorDataset", "WIDTH = 6"):
        assert line in program.splitlines()
    assert losses_of(program) == train(problem, Recipe(updates=5)).loss.tolist()
    assert never_read(program) == set()


CELL = """
import torch
from torch import nn
from torch.nn import functional as F
from gradwidgets import Problem, Recipe, script, train

HIDDEN = 4

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, x):
        return self.last(self.first(x).relu())

def build():
    return Net()

x = torch.ones(4, 3)
problem = Problem("mine", build, (x, x[:, :1]), F.mse_loss)
names = {"x": x, "y": x[:, :1]}
program = script(problem, Recipe(updates=3))
exec(program, names)
assert names["losses"] == train(problem, Recipe(updates=3)).loss.tolist()
print([line for line in program.splitlines() if "Bring" in line or line.startswith("class")])
"""


def test_what_is_written_in_a_notebook_is_written_out() -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(book, kernel_name="python3").execute()
    said = "".join(output["text"] for output in book.cells[0].outputs if output["name"] == "stdout")
    assert said.splitlines()[1:] == ["['# Bring with you: x, y', 'class Net(nn.Module):']"]


def test_a_tensor_and_a_lambda_that_a_function_uses_are_asked_for() -> None:
    problem = Problem("mine", model, make_turned, loss)
    program = script(problem, Recipe(updates=5))
    assert asked_for(program) == ["TABLE", "halved"]
    history = train(problem, Recipe(updates=5))
    assert losses_of(program, TABLE=TABLE, halved=halved) == history.loss.tolist()


def test_a_variable_of_an_enclosing_function_is_asked_for_whatever_the_module_calls_so() -> None:
    def build(WIDTH: int) -> Any:  # noqa: N803, the name of a number of this module
        def make_model() -> nn.Module:
            return nn.Sequential(nn.Linear(3, WIDTH), nn.Linear(WIDTH, 1))

        return make_model

    problem = Problem("mine", build(4), make_data, loss)
    program = script(problem, Recipe(updates=5))
    assert asked_for(program) == ["WIDTH"]
    assert losses_of(program, WIDTH=4) == train(problem, Recipe(updates=5)).loss.tolist()


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


class Laid(nn.Module):
    """A layer whose weights lie in memory in an order of their own."""

    def __init__(self, orders: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(laid(order) for order in orders)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([(weight.sin() * x.sum()).sum() for weight in self.weights])


def laid(order: tuple[int, ...]) -> nn.Parameter:
    """Random numbers of shape (2, 3, ...), with the dimensions in memory in this order."""
    sizes = [2 + place for place in range(len(order))]
    back = [order.index(place) for place in range(len(order))]
    return nn.Parameter(torch.randn([sizes[place] for place in order]).permute(back))


@settings(max_examples=40)
@given(
    orders=st.lists(st.integers(0, 4).flatmap(lambda n: st.permutations(range(n))), min_size=1),
    mask=st.floats(0.0, 1.0),
    kind=st.sampled_from(["first", "random", "unit", "weights.0"]),
    optimizer=st.sampled_from(["SGD", "Adam"]),
)
def test_a_mask_means_the_same_in_a_program_however_the_weights_lie_in_memory(
    orders: list[list[int]], mask: float, kind: str, optimizer: str
) -> None:
    x = torch.linspace(0.1, 1, 4)
    problem = Problem(
        "laid", lambda: Laid([tuple(o) for o in orders]), (x, x), lambda o, _: o.square().sum()
    )
    recipe = Recipe(mask=mask, mask_kind=kind, updates=3, lr=0.01, optimizer=optimizer)
    history = train(problem, recipe)
    names = {"x": x, "y": x, "make_model": problem.model, "loss_fn": problem.loss}
    exec(script(problem, recipe), names)
    assert names["losses"] == history.loss.tolist()
    trained = names["model"].state_dict()
    for name, values in history.parameters.items():
        assert trained[name].tolist() == values[-1].tolist()


def make_channels_last() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    return net.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["first", "random", "unit", "0.*"])
def test_a_mask_in_a_program_of_a_channels_last_model(kind: str) -> None:
    x = torch.randn(16, 3, 8, 8).to(memory_format=torch.channels_last)
    y = torch.arange(16) % 2
    problem = Problem("last", make_channels_last, (x, y), F.cross_entropy)
    recipe = Recipe(updates=3, mask=0.3, mask_kind=kind)
    losses = losses_of(script(problem, recipe), x=x, y=y)
    assert losses == train(problem, recipe).loss.tolist()


class Halves(nn.Module):
    """A loss of dict targets: the mean of two."""

    def forward(self, output: Tensor, target: dict[str, Tensor]) -> Tensor:
        return F.mse_loss(output, target["a"]) + F.l1_loss(output, target["b"])


TARGETS: dict[str, tuple[Any, Any]] = {
    "tensor": (lambda y: y, F.mse_loss),
    "dict": (lambda y: {"a": y, "b": y + 1}, Halves()),
    "tuple": (lambda y: (y, 2 * y), lambda output, target: F.mse_loss(output, target[1])),
    "none": (lambda _: None, lambda output, _: output.square().mean()),
    "sum": (lambda y: y, nn.MSELoss(reduction="sum")),
}
LOADERS: dict[str, Any] = {
    "none": lambda data, _: DataLoader(data, 3, shuffle=True),
    "loader": lambda data, draw: DataLoader(data, 3, shuffle=True, generator=draw),
    "sampler": lambda data, draw: DataLoader(data, 3, sampler=RandomSampler(data, generator=draw)),
    "batch sampler": lambda data, draw: DataLoader(
        data, batch_sampler=BatchSampler(RandomSampler(data, generator=draw), 3, drop_last=False)
    ),
}


@settings(max_examples=40)
@given(
    own=st.sampled_from(sorted(LOADERS)),
    target=st.sampled_from(sorted(TARGETS)),
    recipe=st.builds(
        Recipe,
        lr=st.just(0.01),
        updates=st.just(9),
        seed=st.integers(0, 3),
        accumulation_steps=st.integers(1, 4),
        average=st.booleans(),
    ),
)
def test_a_loader_of_any_kind_trains_the_same_in_a_program(
    own: str, target: str, recipe: Recipe
) -> None:
    change, loss = TARGETS[target]
    x = torch.linspace(-1, 1, 10).unsqueeze(1)
    data = TensorDataset(x, x**3)
    loader = LOADERS[own](data, torch.Generator().manual_seed(11))
    plain = loader.collate_fn

    def collate(pairs: list[Any]) -> tuple[Tensor, Any]:
        x, y = plain(pairs)
        return x, change(y)

    loader.collate_fn = collate

    def make_model() -> nn.Module:
        return nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))

    problem = Problem("mine", make_model, loader, loss)
    expected = train(problem, recipe).loss.tolist()
    next(iter(loader))  # a user's own use changes the generator
    brought = {"loader": loader, "loss_fn": loss}
    assert losses_of(script(problem, recipe), **brought) == expected


def test_the_lines_of_every_generator_belong_to_the_seed() -> None:
    lines = script_lines("moons", Recipe(mask=0.5, mask_kind="random", batch_size=8, seed=3))
    seeded = [line for line in lines if "manual_seed(3)" in line.text]
    assert len(seeded) == 3
    assert all("seed" in line.settings for line in seeded)


def turned_model() -> nn.Module:
    return nn.Linear(len(make_data()[0][0]), 1)


def test_a_function_that_two_others_use_is_written_once() -> None:
    problem = Problem("mine", turned_model, make_data, loss)
    program = script(problem, Recipe(updates=5))
    assert program.count("def make_data") == 1
    assert losses_of(program) == train(problem, Recipe(updates=5)).loss.tolist()


@pytest.mark.parametrize("lines", [[], ["\n"], ["import sys\n"], ["def other():\n", "    pass\n"]])
def test_a_function_of_no_module_is_asked_for(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python 3.13 keeps the program of `python -c` by the name that text of `exec` has, too
    monkeypatch.setitem(linecache.cache, "<string>", (1, None, lines, "<string>"))
    names: dict[str, Any] = {"__name__": "nowhere", "nn": nn}
    exec("def typed_in():\n    return nn.Linear(3, 1)", names)
    problem = Problem("mine", names["typed_in"], make_data, loss)
    assert asked_for(script(problem, Recipe(updates=5))) == ["make_model"]


class Words(nn.Module):
    """Sparse gradients of two tables beside dense ones."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(9, 3, sparse=True)
        self.first = nn.Embedding(9, 3, sparse=True)
        self.last = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.last(self.words(x) + self.first(x[:, 0])).flatten()
        return output


class Waves(nn.Module):
    """A complex parameter beside a real one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(9, dtype=torch.complex64))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.weight[x].prod(1).abs() + self.bias
        return output


UNUSUAL = {
    "nothing": {},
    "scaled": {"scale": 0.3},
    "masked": {"mask": 0.4, "mask_kind": "random"},
    "units": {"mask": 0.4, "mask_kind": "unit"},
    "penalised": {"l1": 0.01, "l2": 0.1},
    "clipped": {"max_norm": 0.1},
    "all": {"scale": 1.7, "mask": 0.3, "l1": 0.01, "l2": 0.1, "max_norm": 1.0},
    "never cleared": {"mask": 0.3, "max_norm": 1.0, "clear": "never", "accumulation_steps": 2},
    "zero": {"l2": 0.1, "clear": "zero", "batch_size": 5},
}


def unusual(model: type[nn.Module]) -> Problem:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randint(9, (20, 3), generator=draw), torch.randn(20, generator=draw)
    return Problem("unusual", model, (x, y), F.mse_loss)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("LBFGS", {"max_iter": 3}),
        ("Adagrad", {}),
    ],
)
@pytest.mark.parametrize("fields", UNUSUAL.values(), ids=UNUSUAL)
@pytest.mark.parametrize("model", [Words, Waves])
def test_sparse_and_complex_gradients_give_the_same_losses_in_a_program(
    model: type[nn.Module], fields: dict[str, Any], optimizer: str, options: dict[str, Any]
) -> None:
    problem = unusual(model)
    recipe = Recipe(optimizer=optimizer, options=options, lr=0.05, updates=6, **fields)
    x, y = problem.batches()
    made_dense = model is Words and {"mask", "max_norm", "l2"} & fields.keys()
    if optimizer != "SGD" and made_dense:
        with pytest.raises(
            ValueError, match="is not allowed; give 'SGD' for this model: a program"
        ):
            script(problem, recipe)
    else:
        assert losses_of(script(problem, recipe), x=x, y=y) == train(problem, recipe).loss.tolist()


@pytest.mark.parametrize("fields", [{"mask": 0.5}, {"l1": 0.1}, {"l2": 0.1}, {"max_norm": 1.0}])
def test_no_program_edits_sparse_gradients_for_sparse_adam(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'SparseAdam' is not allowed; give 'SGD'"):
        script(unusual(Words), Recipe(optimizer="SparseAdam", **fields))
