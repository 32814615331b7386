"""A sweep gives the bits of `train`, value by value; the oracle is `train` itself."""

import math
import os
import random
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets import Problem, Recipe, TrainingError, problems, sweep, train
from gradwidgets.core import settings
from gradwidgets.sweep import Sweep, eligibility, exact
from gradwidgets.sweep import run as sweep_run
from gradwidgets.sweep.layers import layers_of
from tests.sweep import grid
from tests.sweep.same_bits import difference

OPTIMIZERS = {
    "SGD": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9, "weight_decay": 0.01}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "Adam": ("Adam", {}),
    "AdamW": ("AdamW", {"betas": (0.8, 0.99)}),
    "RMSprop": ("RMSprop", {"alpha": 0.9}),
    "Adagrad": ("Adagrad", {"lr_decay": 0.01}),
}
VALUES = {
    "lr": (0.0, 0.001, 0.02, 0.5),
    "scale": (0.0, 0.1, 1.0, 20.0),
    "mask": (0.0, 0.3, 1.0),
    "mask_kind": ("first", "random", "unit", "*weight"),
    "l1": (0.0, 1e-4, 0.1),
    "l2": (0.0, 0.001, 0.1),
    "max_norm": (0.01, 0.5, None),
    "stop_below": (None, 0.3, 0.6),
    "seed": (0, 1, 5),
    "momentum": (0.0, 0.5, 0.9),
    "weight_decay": (0.0, 0.01, 0.3),
}
UPDATES = {"digits_cnn": 4, "tokens": 6}


@pytest.fixture(autouse=True)
def _together(monkeypatch):
    """As if two values were many, and quick runs were slow."""
    monkeypatch.setattr(eligibility, "FEW", 2)
    monkeypatch.setattr(eligibility, "QUICK", 0.0)


def recipe(problem, label, **changes):
    name, options = OPTIMIZERS[label]
    start = problems.get(problem).recipe.replace(optimizer=name, lr=0.02, mask=0.4)
    updates = UPDATES.get(problem, 30)
    return start.replace(options=options, updates=updates, mask_kind="random", **changes)


def assert_same_bits(history, expected):
    assert difference(history, expected) == ""


def together(problem, start, field, values):
    """A sweep that must not fall back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        warnings.filterwarnings("ignore", "The epoch parameter")  # torch 2.6's SequentialLR uses it
        return sweep(problem, start, field, values)


def check(problem, start, field, values):
    for value, history in zip(values, together(problem, start, field, values), strict=True):
        assert_same_bits(history, train(problem, settings.with_(start, **{field: value})))


@pytest.mark.parametrize("label", OPTIMIZERS)
@pytest.mark.parametrize("problem", grid.TOGETHER)
def test_every_setting_of_every_problem_and_optimizer(problem, label):
    start = recipe(problem, label)
    for field, values in VALUES.items():
        if not settings.applies(start, field):
            continue
        if label == "nesterov":  # PyTorch refuses it without momentum
            values = [value for value in values if (field, value) != ("momentum", 0.0)]
        check(problem, start, field, values)


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulation_steps": 3},
        {"accumulation_steps": 7, "average": False},
        {"clear": "never", "updates": 20},
        {"clear": "never", "accumulation_steps": 2},
        {"clear": "zero"},
        {"scale": 0.5, "mask": 0.3, "l1": 1e-4, "l2": 0.01, "max_norm": 0.2},
        {"batch_size": 1},
    ],
)
@pytest.mark.parametrize("field", ["scale", "seed", "lr"])
def test_every_other_setting_counts(changes, field):
    check("moons", recipe("moons", "SGD").replace(**changes), field, VALUES[field])


SCHEDULES = {
    "linear": {"schedule": "linear", "warmup_steps": 5},
    "cosine": {"schedule": "cosine", "schedule_options": {"eta_min": 1e-3}},
    "one-cycle": {"schedule": "one-cycle"},
    "step": {"schedule": "step", "accumulation_steps": 3},
    "too often": {"schedule": "cosine", "accumulation_steps": 3, "schedule_per": "micro-batch"},
    "a function": {"schedule": "LambdaLR", "schedule_options": {"lr_lambda": lambda n: 0.9**n}},
}


PAIRS = [
    (name, label)
    for at, label in enumerate(OPTIMIZERS)
    for name in (list(SCHEDULES)[at % 6], list(SCHEDULES)[(at + 3) % 6])
]
"""Each optimizer with two schedules, each schedule with two optimizers or more."""


@pytest.mark.parametrize(("name", "label"), PAIRS)
def test_scheduled_runs_are_trained_together(name, label):
    start = recipe("moons", label, **SCHEDULES[name])
    check("moons", start, "lr", VALUES["lr"])
    check("moons", start, "warmup_steps", (0, 1, 7, 50))
    check("spirals", start, "scale", (0.1, 3.0))


def test_schedules_are_swept_themselves():
    start = recipe("moons", "AdamW", accumulation_steps=2)
    check("moons", start, "schedule", ("constant", "linear", "cosine", "one-cycle", "step"))
    some = [{"eta_min": 0.01}, {"T_max": 5}, {}]
    check("moons", start.replace(schedule="cosine"), "schedule_options", some)
    check("moons", start.replace(schedule="step"), "schedule_per", ("update", "micro-batch"))
    held_out = recipe("digits", "SGD", schedule="cosine", batch_size=64)
    check("digits", held_out, "warmup_steps", (0, 5, 10))


def test_a_wrong_learning_rate_of_a_replica_is_found_out(monkeypatch):
    """The run that is also trained alone guards the rates, too."""
    monkeypatch.setattr(sweep_run.Rates, "step", lambda *_: None)
    with pytest.warns(UserWarning, match="does not give its own bits"):
        sweep("moons", Recipe(updates=6, schedule="cosine"), "lr", (0.5, 1.0))


@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_any_number_of_replicas(count):
    values = [0.05 * (1 + number) for number in range(count)]
    check("spirals", recipe("spirals", "Adam", max_norm=0.3), "scale", values)


def test_in_double_precision():
    torch.set_default_dtype(torch.float64)
    try:
        for problem in grid.TOGETHER:
            check(problem, recipe(problem, "AdamW"), "lr", VALUES["lr"])
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("problem", grid.TOGETHER)
def test_a_sample_of_all_stops(problem):
    """`make sweeps` trains all of them."""
    count = grid.check(problem, updates=4, every=20)
    assert count.runs > 50
    assert count.differing == []
    assert count.one_by_one == []


GRID = f"""
import torch
torch.set_num_threads(1)
import numpy as np
from gradwidgets import Recipe, problems, sweep, train
from gradwidgets.sweep import eligibility
eligibility.FEW, eligibility.QUICK = 2, 0.0
for name in {grid.TOGETHER}:
    start = problems.get(name).recipe.replace(updates=6, max_norm=0.5)
    for ours in sweep(name, start, "scale", (0.1, 1.0, 20.0)):
        assert np.array_equal(ours.param_norms, train(name, ours.recipe).param_norms), name
print(torch.backends.cpu.get_cpu_capability())
"""


@pytest.mark.parametrize(("capability", "name"), [("default", "DEFAULT"), ("avx2", "AVX2")])
def test_on_other_processors(capability, name):
    env = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    run = [sys.executable, "-W", "error::UserWarning:__main__", "-c", GRID]
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if done.stdout.strip() != name:
        pytest.skip(f"this processor has {done.stdout.strip()} only")


def test_a_diverging_replica_touches_no_other():
    start = recipe("bowl", "SGD").replace(mask=0.0, updates=300)
    with_divergence = together("bowl", start, "scale", (1.0, 50.0, 0.5))
    assert with_divergence[1].stopped[1] == "diverged"
    for history in with_divergence:
        assert_same_bits(history, train("bowl", history.recipe))
        assert (history.updates == 300) == (history.stopped is None)


def test_slices_and_chunks_give_the_same_as_one_go(monkeypatch):
    start = recipe("moons", "Adam")
    recipes = [settings.with_(start, scale=value) for value in (0.5, 1.0, 2.0, 3.0, 4.0)]
    monkeypatch.setattr(eligibility, "CHUNK_ELEMENTS", 2 * 200 * 16)  # two replicas each
    sliced = Sweep(problems.moons, recipes)
    begun = []
    while not sliced.done:
        sliced.advance(updates=7)
        begun.append(len(sliced.histories()))
    assert sorted(set(begun)) == [2, 4, 5]
    for ours in sliced.histories():
        assert_same_bits(ours, train("moons", ours.recipe))


class Tied(nn.Module):
    """One matrix, used twice, in a model that is no chain."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 2)

    def forward(self, x):
        return self.one(torch.tanh(self.one(x)))


def of_model(factory, loss=F.cross_entropy):
    return Problem("mine", factory, problems.moons.batches(), loss)


def shared():
    first, last = nn.Linear(2, 2), nn.Linear(2, 2)
    last.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), last)


def one_activation_twice():
    """Its second use changes nothing until the weights have moved for a while."""
    torch.manual_seed(0)
    act = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 8), act, nn.Linear(8, 2), act)
    nn.init.constant_(model[2].bias, 1.0)
    return model


OWN = {
    "one activation twice": one_activation_twice,
    "sigmoid": lambda: nn.Sequential(nn.Linear(2, 9), nn.Sigmoid(), nn.Linear(9, 2)),
    "gelu": lambda: nn.Sequential(nn.Linear(2, 7), nn.GELU(), nn.Linear(7, 2)),
    "elu, no bias": lambda: nn.Sequential(nn.Linear(2, 5, bias=False), nn.ELU(), nn.Linear(5, 2)),
    "silu, softplus": lambda: nn.Sequential(
        nn.Linear(2, 5), nn.SiLU(), nn.Linear(5, 5), nn.Softplus(), nn.Linear(5, 2)
    ),
    "nested": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(2, 3), nn.LeakyReLU()), nn.Linear(3, 2)
    ),
    "shared weights": shared,
    "convolutions": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 1, 2)),
        nn.Conv2d(1, 3, 1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, padding=2, stride=2),
        nn.MaxPool2d(3, stride=1, padding=1),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 2),
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_models_of_known_layers_are_trained_together(name):
    start = Recipe(lr=0.1, updates=12, batch_size=37)
    for field in ("scale", "seed"):
        check(of_model(OWN[name]), start, field, VALUES[field])


def test_a_module_that_stands_twice_in_a_chain_is_run_twice():
    assert [name for name, _ in layers_of(one_activation_twice())] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_narrow_layers_and_batches_of_one_sample(dtype):
    """Shapes for which PyTorch takes other routes; a fuzz found other numbers there."""
    torch.set_default_dtype(dtype)
    try:
        draw = torch.Generator().manual_seed(1)
        x, y = torch.randn(40, 17, generator=draw), torch.randint(3, (16,), generator=draw)
        code = lambda: nn.Sequential(nn.Linear(17, 1), nn.Linear(1, 17))  # noqa: E731
        start = Recipe(batch_size=13, updates=45)
        check(Problem("code", code, (x, x), F.mse_loss), start, "lr", (0.01, 0.03, 0.05, 0.07))
        silu = lambda: nn.Sequential(nn.Linear(5, 2), nn.SiLU(), nn.Linear(2, 3))  # noqa: E731
        start = Recipe(batch_size=7, accumulation_steps=2, updates=40)
        scales = [0.5 + 0.25 * number for number in range(8)]
        check(Problem("silu", silu, (x[:16, :5], y), F.cross_entropy), start, "scale", scales)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), F.cross_entropy])
def test_losses_as_modules_and_as_functions(loss):
    check(of_model(problems.moons.model, loss), Recipe(updates=10), "lr", (0.1, 0.2))


@pytest.mark.parametrize("kind", ["instance", "factory"])
def test_modules_in_eval_mode_stay_in_it(kind):
    def factory():
        norms = [nn.BatchNorm2d(3), nn.BatchNorm2d(3)]
        model = nn.Sequential(
            norms[0], nn.Conv2d(3, 3, 2), norms[1], nn.Flatten(), nn.Linear(27, 3)
        )
        norms[0].eval()
        for norm in norms:
            nn.init.uniform_(norm.running_mean)
            nn.init.uniform_(norm.weight)
        return model

    x, y = torch.randn(12, 3, 4, 4), torch.arange(12) % 3
    source = factory() if kind == "instance" else factory
    problem = Problem("modes", source, (x, y), F.cross_entropy, held_out=(x, y))
    start = Recipe(lr=0.1, updates=8, accumulation_steps=2)
    for history in together(problem, start, "lr", (0.01, 0.1, 0.5)):
        alone = train(problem, history.recipe)
        assert_same_bits(history, alone)
        modes = [[m.training for m in each.model.modules()] for each in (history, alone)]
        assert modes[0] == modes[1] == [True, False, True, True, True, True]


def loader(**options):
    return DataLoader(TensorDataset(*problems.moons.batches()), batch_size=50, **options)


def of_loader():
    return Problem("mine", problems.moons.model, loader(shuffle=True), F.cross_entropy)


def test_a_loader_of_your_own_is_swept():
    check(of_loader(), Recipe(lr=0.1, updates=30), "lr", (0.05, 0.1))


def frozen():
    model = problems.moons.build()
    next(model.parameters()).requires_grad_(False)
    return model


def hooked():
    model = problems.moons.build()
    model[0].register_forward_hook(lambda *_: None)
    return model


def with_parameter_hook(register):
    def model():
        built = problems.moons.build()
        for p in built.parameters():
            getattr(p, register)(lambda _: None)
        return built

    return model


class OwnMean(nn.MSELoss):
    """Not what its base class is."""

    def forward(self, output, target):
        return super().forward(output.clamp(-4, 4), target)


def by_frequency():
    x = torch.arange(24).reshape(8, 3) % 5
    table = nn.Embedding(5, 2, scale_grad_by_freq=True)
    model = nn.Sequential(table, nn.Flatten(), nn.Linear(6, 2))
    return Problem("mine", model, (x, torch.arange(8) % 2), F.cross_entropy)


def that_cannot_be_copied():
    model = problems.moons.build()
    model.lock = threading.Lock()
    return model


def with_one_held_out_sample():
    """Without a batch dimension, which a model alone can do."""
    x, y = problems.moons.batches()
    held_out = [(x[0], y[0])]
    return Problem("mine", problems.moons.model, (x, y), F.cross_entropy, held_out=held_out)


def with_random_metric(draw):
    x, y = problems.moons.batches()
    metric = lambda output, _: output.sum() + float(draw())  # noqa: E731
    return Problem(
        "mine", problems.moons.model, (x, y), F.cross_entropy, held_out=(x, y), metric=metric
    )


class OwnLinear(nn.Linear):
    """Not what its base class is."""

    def forward(self, x):
        return 2 * super().forward(x)


def half():
    return problems.moons.build().to(torch.bfloat16)


def half_problem():
    x, y = problems.moons.batches()
    return Problem("mine", half, (x.to(torch.bfloat16), y), F.cross_entropy)


def dropout():
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 2))


def wide():
    return nn.Sequential(nn.Linear(2, 40_000), nn.Tanh(), nn.Linear(40_000, 2))


def packed_problem():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.cell(x)[1][0])

    x = nn.utils.rnn.pack_sequence([torch.ones(3, 3), torch.ones(2, 3)])
    return Problem("mine", Packed, [(x, torch.tensor([0, 1]))], F.cross_entropy)


CYCLE = {"schedule": "OneCycleLR", "schedule_options": {"max_lr": 0.1, "total_steps": 9}}
EXPLODING = {
    "schedule": "LambdaLR",
    "schedule_options": {"lr_lambda": lambda n: 1e33 if n == 5 else 1.0},
}


@pytest.mark.parametrize(
    ("problem", "field", "values", "changes", "why"),
    [
        (problems.moons, "accumulation_steps", (1, 3), {}, "accumulation_steps changes the loop"),
        (problems.moons, "scale", (1.0, 2.0), {"optimizer": "LBFGS"}, "LBFGS"),
        (problems.moons, "scale", (1.0, 2.0), {"optimizer": "NAdam"}, "NAdam"),
        (problems.moons, "nesterov", (False, True), {"options": {"momentum": 0.9}}, "nesterov"),
        (problems.moons, "lr", (0.1, 0.2), {"options": {"maximize": True}}, "maximize"),
        (problems.moons, "scale", (1.0, 2.0), {"edits": (len,)}, "edits"),
        (of_model(frozen), "scale", (1.0, 2.0), {}, "frozen"),
        (of_model(Tied), "scale", (1.0, 2.0), {}, "a Tied, which is not known"),
        (of_model(hooked), "scale", (1.0, 2.0), {}, "hooks"),
        (of_model(lambda: OwnLinear(2, 2)), "scale", (1.0, 2.0), {}, "OwnLinear"),
        (of_model(dropout), "seed", (0, 1), {}, "Dropout"),
        (of_model(wide), "scale", (1.0, 2.0), {}, "large"),
        (
            of_model(problems.moons.model, lambda z, y: F.cross_entropy(z, y)),
            "lr",
            (0.1, 0.2),
            {},
            "loss",
        ),
        (of_model(with_parameter_hook("register_hook")), "lr", (0.1, 0.2), {}, "have hooks"),
        (
            of_model(with_parameter_hook("register_post_accumulate_grad_hook")),
            "lr",
            (0.1, 0.2),
            {},
            "have hooks",
        ),
        (
            Problem("mine", problems.line.model, problems.line.batches(), OwnMean()),
            "lr",
            (0.1, 0.2),
            {},
            "the loss",
        ),
        (by_frequency(), "lr", (0.1, 0.2), {}, "Embedding"),
        (
            problems.moons,
            "seed",
            (1, 2),
            {"batch_size": 45, "accumulation_steps": 3},
            "micro-batches",
        ),
        (problems.moons, "lr", (0.1, 1e37), {}, "too large"),
        (with_random_metric(lambda: torch.rand(())), "lr", (0.1, 0.2), {}, "the metric draws"),
        (with_random_metric(random.random), "lr", (0.1, 0.2), {}, "the metric draws"),
        (with_random_metric(np.random.rand), "lr", (0.1, 0.2), {}, "the metric draws"),
        (with_one_held_out_sample(), "lr", (0.1, 0.2), {}, "held-out"),
        (of_model(that_cannot_be_copied), "lr", (0.1, 0.2), {}, "lock"),
        (half_problem(), "scale", (1.0, 2.0), {}, "bfloat16"),
        (packed_problem(), "scale", (1.0, 2.0), {}, "a Packed"),
        (of_loader(), "seed", (0, 1), {}, "loader"),
        (problems.chars, "lr", (0.1, 0.2), {"batch_size": 16}, "a CharModel"),
        (
            problems.digits,
            "lr",
            (0.1, 0.2),
            {"schedule": "ReduceLROnPlateau"},
            "the metric of each",
        ),
        (problems.moons, "scale", (1.0, 2.0), CYCLE, "OneCycleLR changes the momentum"),
        (
            problems.moons,
            "scale",
            (1.0, 2.0),
            {"schedule": "one-cycle", "schedule_options": {"cycle_momentum": True}},
            "one-cycle changes the momentum",
        ),
        (problems.moons, "scale", (1.0, 2.0), EXPLODING, "gives a learning rate of"),
    ],
)
def test_what_is_not_known_is_trained_one_by_one_and_says_why(problem, field, values, changes, why):
    start = Recipe(lr=0.05, updates=6, **changes)
    with pytest.warns(UserWarning, match=f"one by one, because .*{why}"):
        histories = sweep(problem, start, field, values)
    for value, history in zip(values, histories, strict=True):
        assert_same_bits(history, train(problem, settings.with_(start, **{field: value})))


def test_a_layer_that_is_only_nearly_right_is_found_out(monkeypatch):
    """The replica that is also trained alone guards what is only believed to be known."""
    nearly = {nn.Tanh: lambda module, _, x: module(x) * (1 + 1e-7)}
    monkeypatch.setattr(sweep_run, "LAYERS", sweep_run.LAYERS | nearly)
    with pytest.warns(UserWarning, match="does not give its own bits"):
        histories = sweep("moons", Recipe(updates=6), "scale", (0.5, 1.0))
    for history in histories:
        assert_same_bits(history, train("moons", history.recipe))


def test_an_operation_whose_batch_has_other_bits_is_made_replica_by_replica():
    x = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    alone = lambda row: row.sum()  # noqa: E731
    right = torch.stack([row.sum() for row in x])
    nearly = lambda rows: rows.sum(1) * (1 + 1e-6)  # noqa: E731
    for _ in range(2):
        assert torch.equal(exact.exactly("nearly", nearly, alone, x), right)
        exact.make_trials(math.inf)


def test_of_several_ways_the_first_that_has_the_bits_is_taken():
    x = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    alone = lambda row: row * 2  # noqa: E731
    wrong, right = (lambda rows: rows * 3), (lambda rows: rows + rows)
    taken = []
    ways = (wrong, lambda rows: taken.append(rows) or right(rows), lambda _: 1 / 0)
    for _ in range(2):
        assert torch.equal(exact.exactly("ways", ways, alone, x), x * 2)
        exact.make_trials(math.inf)
    assert taken[-1] is x


def test_nothing_of_the_caller_is_disturbed():
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    model = problems.moons.build()
    weights = [p.detach().clone() for p in model.parameters()]
    torch.set_rng_state(before)
    with torch.no_grad():
        together(of_model(model), Recipe(updates=5), "lr", (0.1, 0.2, 0.3))
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert all(map(torch.equal, weights, model.parameters()))
    assert all(p.grad is None for p in model.parameters())


def test_what_is_not_allowed_is_named():
    with pytest.raises(ValueError, match="nonsense"):
        sweep("moons", None, "nonsense", (1.0,))
    with pytest.raises(ValueError, match=r"mask=2\.0"):
        sweep("moons", None, "mask", (0.0, 2.0))
    with pytest.raises(ValueError, match="at least one value"):
        sweep("moons", None, "mask", ())


@pytest.mark.filterwarnings("ignore:sweep")
def test_a_model_that_fails_says_so_as_in_a_run_of_its_own():
    failing = of_model(lambda: nn.Sequential(nn.Linear(3, 2)))
    with pytest.raises(TrainingError, match="the model raised at update 0"):
        sweep(failing, Recipe(), "scale", (1.0, 2.0))


@pytest.mark.filterwarnings("ignore:sweep")
def test_data_that_is_not_finite_is_blamed():
    x, y = problems.moons.batches()
    x = x.clone()
    x[3, 1] = torch.nan
    broken = Problem("mine", problems.moons.model, (x, y), F.cross_entropy)
    with pytest.raises(TrainingError, match=r"x holds 1 NaN"):
        sweep(broken, Recipe(), "scale", (1.0, 2.0))


@pytest.mark.filterwarnings("ignore:sweep")
def test_a_batch_that_fails_in_the_middle_is_left_to_the_run_alone():
    x, y = problems.moons.batches()
    batches = [(x, y)] * 8 + [(x[:, :1], y)]
    problem = Problem("mine", problems.moons.model, batches, F.cross_entropy)
    with pytest.raises(TrainingError, match="at update 8"):
        sweep(problem, Recipe(), "scale", (1.0, 2.0))


def test_hooks_for_all_modules_are_left_to_runs_alone():
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with pytest.warns(UserWarning, match="hooks for all modules"):
            sweep("moons", Recipe(updates=3), "lr", (0.1, 0.2))
    finally:
        handle.remove()


@pytest.mark.filterwarnings("ignore:sweep")
def test_an_index_out_of_range_reads_no_other_replica():
    x = torch.tensor([[0], [1], [2], [3], [4]])
    model = lambda: nn.Sequential(nn.Embedding(4, 2), nn.Flatten(), nn.Linear(2, 2))  # noqa: E731
    problem = Problem("mine", model, (x, torch.zeros(5, dtype=torch.long)), F.cross_entropy)
    for batch_size in (None, 1):
        with pytest.raises(TrainingError, match="IndexError"):
            sweep(problem, Recipe(batch_size=batch_size, updates=9), "lr", (0.1, 0.2))


def trained_together(monkeypatch, few, quick, values, updates=8):
    """Sweep with these limits; tells which runs were trained together."""
    monkeypatch.setattr(eligibility, "FEW", few)
    monkeypatch.setattr(eligibility, "QUICK", quick)
    recipes = [Recipe(lr=0.01 * value, updates=updates) for value in values]
    swept = Sweep(problems.moons, recipes)
    swept.advance()
    assert swept.obstacle is None
    for history, start in zip(swept.histories(), recipes, strict=True):
        assert_same_bits(history, train("moons", start))
    return [len(run.recipes) if hasattr(run, "recipes") else 1 for run in swept._runs]


def test_few_values_and_quick_runs_are_trained_one_by_one(monkeypatch):
    assert trained_together(monkeypatch, 4, 0.0, range(4)) == [4]
    assert trained_together(monkeypatch, 4, 0.0, range(3)) == [1, 1, 1]
    assert trained_together(monkeypatch, 4, 1e9, range(5)) == [1] * 5


def test_few_values_of_what_is_not_known_say_so(monkeypatch):
    monkeypatch.setattr(eligibility, "FEW", 10)
    with pytest.warns(UserWarning, match="one by one, because .*bfloat16"):
        sweep(half_problem(), Recipe(updates=3), "lr", (0.1, 0.2))


def test_chunks_are_as_equal_as_can_be(monkeypatch):
    monkeypatch.setattr(eligibility, "CHUNK_ELEMENTS", 4 * 200 * 16)  # four replicas each
    assert trained_together(monkeypatch, 2, 0.0, range(6)) == [3, 3]
    assert trained_together(monkeypatch, 4, 0.0, range(5)) == [4, 1]
    monkeypatch.setattr(eligibility, "CHUNK_ELEMENTS", 3 * 200 * 16)
    assert trained_together(monkeypatch, 4, 0.0, range(6)) == [1] * 6


def test_trials_are_made_in_short_steps_once_for_a_shape():
    exact.drop_trials()
    x = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    calls = []
    alone = lambda row: calls.append(1) or row * 2  # noqa: E731
    twice = lambda rows: rows * 2  # noqa: E731
    exact.exactly("in steps", twice, alone, x)
    assert exact.is_waiting()
    calls.clear()
    steps = 0
    while exact.is_waiting():
        before = len(calls)
        exact.make_trials(0.0)
        assert len(calls) - before <= 1
        steps += 1
    assert steps > exact.TRIED[0]
    calls.clear()
    exact.exactly("in steps", twice, alone, x)
    assert not exact.is_waiting()
    assert not calls
