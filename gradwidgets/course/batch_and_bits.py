"""Lesson 16, "How large a batch, how many bits?"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gradwidgets.core import Recipe, problems
from gradwidgets.course.measuring import kind_of, nearest, seeded
from gradwidgets.lessons import Lesson
from gradwidgets.meter import LrRules, lr_rules

lesson = Lesson("batch_and_bits")


def sample_gradients(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of each sample's own loss, one a row."""
    rows = []
    for i in range(len(y)):
        model.zero_grad()
        cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        rows.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    return torch.stack(rows)


def scale_of(rows: Tensor) -> float:
    """The noise scale of all samples' gradients."""
    mean = rows.mean(0)
    return float((rows - mean).square().sum(1).mean() / mean.square().sum())


@lesson.question(
    "After 20 updates the loss is lower. What is the noise scale then, compared with the start?",
    {
        "less than a tenth": "The gradients of single samples shrink, too. But their mean shrinks "
        "faster.",
        "about the same": "The samples' gradients now point in different ways, so that their mean "
        "is short.",
        "more than ten times as large": "At the start the samples' gradients have much in "
        "common. Later most of it cancels, and the mean is short beside the noise.",
    },
)
def after_20_updates() -> tuple[str, str]:
    """Measure the noise scale on moons at the start and after 20 updates."""
    x, y = problems.moons.batches()
    x = x.double()
    with seeded(0):
        model = problems.moons.model().double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    before = scale_of(sample_gradients(model, x, y))
    for _ in range(20):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    after = scale_of(sample_gradients(model, x, y))
    answer = "about the same"
    if after > 10 * before:
        answer = "more than ten times as large"
    if after < before / 10:
        answer = "less than a tenth"
    return answer, f"It is {before:.1f} at the start and {after:.0f} after 20 updates."


def rules(optimizer: str, lr: float, batch: int, factor: int, updates: int) -> LrRules:
    """Compare the rules for lr on digits, with two seeds."""
    recipe = Recipe(optimizer=optimizer, lr=lr, batch_size=batch, updates=updates, dtype="float64")
    return lr_rules("digits", recipe, factor=factor, seeds=2)


def _ends(found: LrRules) -> str:
    losses = ", ".join(f"{trial.lr:g} at {trial.loss:.2f}" for trial in found.rules)
    small = f"The batch of {found.small.batch} ends at {found.small.loss:.2f}"
    return f"{small}; the large one with lr {losses}."


@lesson.question(
    "SGD on digits, lr 0.05, batches of 16. Batches of 64 make a quarter of the updates in as many "
    "epochs. With which lr do they end where the batches of 16 end?",
    {
        "0.05, the same": "A quarter of the steps, each as long as before, goes a quarter as far.",
        "0.1, times the square root of 4": "The noise of a step would then be as large as "
        "before. But a quarter of the steps, each twice as long, go half as far.",
        "0.2, times 4": "One long step stands for four short ones, as long as the gradient hardly "
        "changes on the way.",
    },
)
def batch_times_4() -> tuple[str, str]:
    """Train digits with both batches and the three learning rates."""
    found = rules("SGD", 0.05, 16, 4, 450)
    choices = ("0.05, the same", "0.1, times the square root of 4", "0.2, times 4")
    gaps = [abs(trial.loss - found.small.loss) for trial in found.rules]
    return choices[gaps.index(min(gaps))], _ends(found)


@lesson.question(
    "Adam, lr 0.01. The batch grows from 4 to 64. Which of three lrs ends with the lowest loss?",
    {
        "0.01, the same": "Too short steps, for there are 16 times fewer of them.",
        "0.04, times the square root of 16": "Adam divides each gradient by its usual size. Where "
        "that is mostly noise, it shrinks with the root of the batch, and steps go straighter.",
        "0.16, times 16": "This model's weights start between -0.18 and 0.18, and Adam's first "
        "step is lr long. 0.16 leaves little of the start.",
    },
)
def batch_times_16() -> tuple[str, str]:
    """Train digits with Adam, with both batches and the three learning rates."""
    found = rules("Adam", 0.01, 4, 16, 1000)
    choices = ("0.01, the same", "0.04, times the square root of 16", "0.16, times 16")
    losses = [trial.loss for trial in found.rules]
    return choices[losses.index(min(losses))], _ends(found)


@lesson.question(
    "A weight of 1.0 in bfloat16. SGD with lr 0.001 and a gradient that is always 1, 1000 updates. "
    "Where does it end?",
    {
        "near 0": "So it does in float32. In bfloat16 no step arrives.",
        "near 0.5": "Steps are not halved. Each one is rounded away, the first and the last.",
        "at 1.0": "The neighbours of 1.0 in bfloat16 are 0.996 and 1.008. 0.999 is nearer to 1.0, "
        "so it is stored as 1.0, each time.",
    },
)
def thousand_updates() -> tuple[str, str]:
    """Make the updates in bfloat16."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    optimizer = torch.optim.SGD([weight], lr=0.001)
    for _ in range(1000):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    end = weight.item()
    return nearest(end, {0.0: "near 0", 0.5: "near 0.5", 1.0: "at 1.0"}), f"It ends at {end:.3f}."


def gradient_through(dtype: torch.dtype, factor: float = 1.0) -> float:
    """The gradient behind eight products with 0.1, of a loss times a factor, divided by it."""
    weight = torch.ones(1, requires_grad=True)
    out = weight.to(dtype)
    for _ in range(8):
        out = 0.1 * out
    (factor * out.float().sum()).backward()
    assert weight.grad is not None
    return weight.grad.item() / factor


@lesson.question(
    "Eight layers in float16, each multiplies by 0.1. The weight before them is in float32. Its "
    "gradient should be 0.00000001. What is in its `.grad`?",
    {
        "0.00000001": "In float32 or bfloat16 it is. Below 0.00000006 float16 has no number but 0.",
        "0": "On its way back the gradient becomes smaller than half of the smallest number that "
        "float16 has.",
        "nan": "Only what is too large becomes infinite, and then perhaps nan.",
    },
)
def small_gradient() -> tuple[str, str]:
    """Send a gradient back through eight products in float16."""
    found = gradient_through(torch.float16)
    answer = "nan" if math.isnan(found) else "0" if found == 0 else "0.00000001"
    return answer, f"It is {found:g}; in bfloat16 it is {gradient_through(torch.bfloat16):.1e}."


@lesson.exercise
def check_noise_scale(noise_scale: Callable[[Tensor], Any]) -> str:
    """Check a noise scale against sums by hand."""
    for seed, (samples, elements, shift) in enumerate(
        [(2, 1, 1.0), (5, 3, 1.0), (40, 7, 0.1), (3, 20, 5.0), (64, 2, 0.5)]
    ):
        with seeded(seed):
            rows = torch.randn(samples, elements, dtype=torch.float64) + shift
        given = rows.clone()
        answer = noise_scale(given)
        try:
            found = float(answer)
        except (TypeError, ValueError, RuntimeError):
            return f"Not yet: it returns {kind_of(answer)}. Return a number."
        if not torch.equal(given, rows):
            return "Not yet: the gradients that you were given have changed."
        wanted = _noise_scale_by_hand(rows.tolist())
        if not abs(found - wanted) < 1e-6 * wanted:
            return (
                f"Not yet: for {samples} gradients of {elements} elements it is {found:.4g}. It "
                f"should be {wanted:.4g}."
            )
    return "Right. Five sets of gradients, from 2 samples to 64."


def _noise_scale_by_hand(rows: list[list[float]]) -> float:
    """The mean squared distance from the mean over its squared length, number by number."""
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    distances = [
        sum(abs(value - middle) ** 2 for value, middle in zip(row, mean, strict=True))
        for row in rows
    ]
    return float(sum(distances) / len(rows) / sum(middle * middle for middle in mean))


VALUES = (1.001, -0.3, 3.01e-5, 123.4, 1.9999, -1e-20, 0.0, 2.0, -0.75)
"""Numbers to round; bfloat16 has the last three."""
DRAWS = 4000
ERRORS = 5.0
"""Standard errors that a mean may be off."""


@lesson.exercise
def check_stochastic(stochastic: Callable[[Tensor], object]) -> str:
    """Check a rounding at random: its neighbours, its mean, and that each element has its own."""
    values = torch.tensor(VALUES, dtype=torch.float32)
    given = values.repeat(DRAWS, 1)
    with seeded(0):
        found = stochastic(given)
    if not isinstance(found, Tensor):
        return f"Not yet: it returns {kind_of(found)}. Return a tensor."
    if found.dtype != torch.bfloat16 or found.shape != given.shape:
        return (
            f"Not yet: it returns {found.dtype} of shape {tuple(found.shape)}. It should be "
            f"bfloat16 of shape {tuple(given.shape)}."
        )
    if not torch.equal(given, values.repeat(DRAWS, 1)):
        return "Not yet: the values that you were given have changed."
    for value, column in zip(values.tolist(), found.double().T, strict=True):
        if said := _rounding_problem(value, column):
            return f"Not yet: {said}"
    away = (found[:, :5].double().abs() > values[:5].abs()).double()  # from 0, of each element
    if float(away.sum(1).var()) > 1.5 * float(away.var(0).sum()):
        return "Not yet: elements go up together. Each needs a random number of its own."
    return "Right. Only neighbours, and right on average: positive, negative and tiny numbers."


def _rounding_problem(value: float, column: Tensor) -> str:
    low, high = _neighbours(value)
    others = column[(column != low) & (column != high)]
    if len(others):
        return (
            f"{value:.6g} becomes {others[0].item():.6g}. Its neighbours in bfloat16 are "
            f"{low:.6g} and {high:.6g}."
        )
    if low == high:
        return ""
    mean, part = column.mean().item(), (value - low) / (high - low)
    error = (high - low) * math.sqrt(part * (1 - part) / DRAWS)
    if abs(mean - value) > ERRORS * error:
        return f"{value:.6g} becomes {mean:.6g} on average of {DRAWS}."
    return ""


def _neighbours(value: float) -> tuple[float, float]:
    """The numbers of bfloat16 around a number of float32: its upper 16 bits, and the next ones."""
    bits = int(np.float32(value).view(np.uint32))
    cut = bits & 0xFFFF0000
    ends = [cut, cut if cut == bits else cut + 0x10000]
    one, other = (float(np.uint32(each).view(np.float32)) for each in ends)
    return min(one, other), max(one, other)
