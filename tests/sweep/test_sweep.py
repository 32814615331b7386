"""A sweep gives the numbers of `train`, value by value; the oracle is `train` itself."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from gradwidgets import Problem, Recipe, TrainingError, problems, sweep, train
from gradwidgets.core import settings
from gradwidgets.sweep.forward import Layered, Mapped
from gradwidgets.sweep.sweep import Sweep

OPTIMIZERS = {
    "SGD": {},
    "momentum": {"momentum": 0.9, "weight_decay": 0.01},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "Adam": {},
    "AdamW": {},
    "Adamax": {},
    "RAdam": {},
    "Adadelta": {},
}
VALUES = {
    "lr": (0.0, 0.001, 0.02, 0.05),
    "scale": (0.0, 0.1, 1.0, 2.0),
    "mask": (0.0, 0.3, 1.0),
    "mask_kind": ("first", "random", "unit", "*weight"),
    "l1": (0.0, 1e-4, 1e-3),
    "l2": (0.0, 0.001, 0.1),
    "max_norm": (0.01, 0.5, None),
    "stop_below": (None, 0.3, 0.6),
    "seed": (0, 1, 5),
}
ARRAYS = ("loss", "grad_norms", "edited_norms", "param_norms", "change_norms", "accuracy")


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def recipe(problem, label, **changes):
    name = label if label[0].isupper() else "SGD"
    start = problems.get(problem).recipe
    start = start.replace(optimizer=name, options=OPTIMIZERS[label], updates=40, mask_kind="random")
    return start.replace(lr=0.02, **changes)


def assert_same(history, expected, tolerance):
    assert history.recipe == expected.recipe
    assert history.names == expected.names
    assert history.stopped == expected.stopped
    for name in ARRAYS:
        ours, theirs = getattr(history, name), getattr(expected, name)
        size = np.abs(theirs).max(initial=0.0)
        np.testing.assert_allclose(
            ours, theirs, rtol=tolerance, atol=tolerance * size, err_msg=name
        )
    np.testing.assert_allclose(history.loss, expected.loss, rtol=tolerance)
    for name, values in history.parameters.items():
        np.testing.assert_allclose(
            values, expected.parameters[name], rtol=tolerance, atol=tolerance, err_msg=name
        )
    for ours, theirs in zip(history.model.parameters(), expected.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def together(problem, start, field, values):
    """A sweep that must not fall back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return sweep(problem, start, field, values)


def check(problem, start, field, values, tolerance):
    for value, history in zip(values, together(problem, start, field, values), strict=True):
        assert_same(history, train(problem, start.replace(**{field: value})), tolerance)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize("label", OPTIMIZERS)
@pytest.mark.parametrize("problem", ["line", "moons", "spirals"])
def test_every_update_is_that_of_a_run_of_its_own(problem, label, field):
    check(problem, recipe(problem, label), field, VALUES[field], 1e-10)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize("label", ["SGD", "momentum", "Adam", "AdamW"])
def test_real_data_in_mini_batches_with_accuracy(label, field):
    check("digits", recipe("digits", label), field, VALUES[field], 1e-10)


@pytest.mark.parametrize("field", VALUES)
@pytest.mark.parametrize("label", ["SGD", "momentum", "Adam", "AdamW"])
@pytest.mark.parametrize("problem", ["bowl", "moons", "digits"])
def test_in_float32_to_four_digits(problem, label, field):
    check(problem, recipe(problem, label), field, VALUES[field], 1e-4)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(
    "changes",
    [
        {"accumulation_steps": 3},
        {"accumulation_steps": 7, "average": False, "batch_size": 45},
        {"clear": "never", "updates": 20},
        {"clear": "zero"},
        {"scale": 0.5, "mask": 0.3, "l1": 1e-4, "l2": 0.01, "max_norm": 0.2},
        {"batch_size": 32},
    ],
)
@pytest.mark.parametrize("field", ["scale", "seed"])
def test_every_other_setting_counts(changes, field):
    check("moons", recipe("moons", "SGD", **changes), field, VALUES[field], 1e-10)


def test_a_diverging_replica_touches_no_other():
    start = recipe("bowl", "SGD", updates=300)
    with_divergence = together("bowl", start, "scale", (1.0, 50.0, 0.5))
    without = together("bowl", start, "scale", (1.0, 0.7, 0.5))
    assert with_divergence[1].stopped == train("bowl", start.replace(scale=50.0)).stopped
    assert with_divergence[1].stopped[1] == "diverged"
    for index in (0, 2):
        assert np.array_equal(with_divergence[index].loss, without[index].loss)
        assert with_divergence[index].updates == 300


def test_slices_give_the_same_as_one_go():
    start = recipe("moons", "Adam")
    recipes = [settings.with_(start, scale=value) for value in (0.5, 1.0, 2.0)]
    sliced = Sweep(problems.moons, recipes)
    while not sliced.done:
        sliced.advance(updates=7)
    for ours, theirs in zip(
        sliced.histories(), together("moons", start, "scale", (0.5, 1.0, 2.0)), strict=True
    ):
        assert np.array_equal(ours.loss, theirs.loss)
        assert np.array_equal(ours.param_norms, theirs.param_norms)


def dropout():
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 2))


def frozen():
    model = problems.moons.build()
    next(model.parameters()).requires_grad_(False)
    return model


class Aside(nn.Module):
    """One of its parameters is not used."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x):
        return self.used(x)


class Branching(nn.Module):
    """What it does depends on its weights."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x) if self.layer.weight.sum() > 0 else -self.layer(x)


class Tied(nn.Module):
    """One matrix, used twice."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 2)
        self.other = nn.Linear(2, 2)
        self.other.weight = self.one.weight

    def forward(self, x):
        return self.other(torch.tanh(self.one(x)))


def of_model(factory):
    return Problem("mine", factory, problems.moons.batches(), F.cross_entropy)


@pytest.mark.parametrize("factory", [dropout, Tied])
def test_models_of_your_own_are_swept(factory):
    start = Recipe(lr=0.1, updates=30)
    check(of_model(factory), start, "scale", (0.5, 1.0, 2.0), 1e-4)


def shuffled():
    data = TensorDataset(*problems.moons.batches())
    return DataLoader(data, batch_size=50, shuffle=True)


def of_loader():
    return Problem("mine", problems.moons.model, shuffled(), F.cross_entropy)


def test_a_loader_of_your_own_is_swept():
    check(of_loader(), Recipe(lr=0.1, updates=30), "lr", (0.05, 0.1), 1e-4)


@pytest.mark.parametrize(
    ("problem", "field", "values", "changes", "why"),
    [
        (problems.moons, "accumulation_steps", (1, 3), {}, "accumulation_steps changes the loop"),
        (problems.moons, "momentum", (0.0, 0.9), {}, "options changes the loop"),
        (problems.moons, "scale", (1.0, 2.0), {"optimizer": "LBFGS"}, "LBFGS"),
        (problems.moons, "scale", (1.0, 2.0), {"optimizer": "RMSprop"}, "RMSprop"),
        (problems.moons, "scale", (1.0, 2.0), {"edits": (len,)}, "edits"),
        (problems.digits_cnn, "scale", (1.0, 2.0), {}, "buffers"),
        (problems.tokens, "scale", (1.0, 2.0), {}, "cannot be replicated"),
        (of_model(frozen), "scale", (1.0, 2.0), {}, "frozen"),
        (of_model(Aside), "scale", (1.0, 2.0), {}, "no part in the loss"),
        (of_model(Branching), "scale", (1.0, 2.0), {}, "cannot be replicated"),
        (of_model(dropout), "seed", (0, 1), {}, "random numbers"),
        (of_loader(), "seed", (0, 1), {}, "loader"),
    ],
)
def test_what_cannot_be_swept_is_trained_one_by_one_and_says_why(
    problem, field, values, changes, why
):
    start = Recipe(lr=0.05, updates=6, **changes)
    with pytest.warns(UserWarning, match=f"one by one, because .*{why}"):
        histories = sweep(problem, start, field, values)
    for value, history in zip(values, histories, strict=True):
        expected = train(problem, settings.with_(start, **{field: value}))
        assert np.array_equal(history.loss, expected.loss)
        assert history.recipe == expected.recipe


def test_nothing_of_the_caller_is_disturbed():
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    model = problems.moons.build()
    weights = [p.detach().clone() for p in model.parameters()]
    torch.set_rng_state(before)
    with torch.no_grad():
        together(of_model(model), Recipe(updates=5), "seed", (0, 1, 2))
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert all(map(torch.equal, weights, model.parameters()))
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("activation", "loss"),
    [(nn.Tanh, "class"), (nn.ReLU, "class"), (nn.Sigmoid, "number"), (nn.Identity, "number")],
)
def test_the_written_out_forward_equals_torch_func(activation, loss, own):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), activation(), nn.Linear(5, 4, bias=False)).double()
    pieces = {n: torch.randn(6, *p.shape).double() for n, p in model.named_parameters()}
    pieces = {name: piece.requires_grad_() for name, piece in pieces.items()}
    x = torch.randn(*([6] if own else []), 7, 3).double()
    classes = torch.randint(4, x.shape[:-1])
    y = classes if loss == "class" else torch.randn(*x.shape[:-1], 4).double()
    function = F.cross_entropy if loss == "class" else F.mse_loss
    found = []
    for kind in (Layered, Mapped):
        losses = kind(model, function).losses(pieces, x, y, own)
        found.append([losses, *torch.autograd.grad(losses.sum(), list(pieces.values()))])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_what_is_not_allowed_is_named():
    with pytest.raises(ValueError, match="nonsense"):
        sweep("moons", None, "nonsense", (1.0,))
    with pytest.raises(ValueError, match=r"mask=2\.0"):
        sweep("moons", None, "mask", (0.0, 2.0))
    with pytest.raises(ValueError, match="at least one value"):
        sweep("moons", None, "mask", ())


def test_a_model_that_fails_says_so_as_in_a_run_of_its_own():
    def failing():
        return nn.Sequential(nn.Linear(3, 2))

    with pytest.raises(TrainingError, match="the model raised at update 0"):
        sweep(of_model(failing), Recipe(), "scale", (1.0, 2.0))


def test_data_that_is_not_finite_is_blamed():
    x, y = problems.moons.batches()
    x = x.clone()
    x[3, 1] = torch.nan
    broken = Problem("mine", problems.moons.model, (x, y), F.cross_entropy)
    with pytest.raises(TrainingError, match=r"x holds 1 NaN"):
        sweep(broken, Recipe(), "scale", (1.0, 2.0))
