"""Lesson 00, "Start here"."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from gradwidgets.core import History, end_level, problems, train
from gradwidgets.course.measuring import kind_of
from gradwidgets.lab import GradLab
from gradwidgets.lessons import Lesson

lesson = Lesson("start_here")

X = torch.tensor([[1.0], [2.0], [3.0]])
Y = 2 * X


def moons_at(scale: float) -> History:
    """The run of the lesson's first lab with another scale."""
    return train(problems.moons, problems.moons.recipe.replace(scale=scale))


def settles(history: History) -> bool:
    """True if the loss is above its first value at fewer than a third of the updates."""
    return bool((history.loss > history.loss[0]).mean() < 1 / 3)


@lesson.question(
    "With scale 10 the loss ends lower than with scale 1. What happens with scale 100?",
    {
        "lower still": "Larger steps help only as long as they do not overshoot.",
        "about the same as at scale 10": "The model is done by then, but its steps stay large.",
        "it jumps up and down and does not settle": "Each step lands beyond the goal, and the next "
        "one throws it back.",
    },
)
def scale_100() -> tuple[str, str]:
    """Train at scale 10 and at scale 100."""
    ten, hundred = moons_at(10.0), moons_at(100.0)
    above = (hundred.loss > hundred.loss[0]).mean()
    if not settles(hundred):
        answer = "it jumps up and down and does not settle"
    elif hundred.loss[-1] < 0.9 * ten.loss[-1]:
        answer = "lower still"
    else:
        answer = "about the same as at scale 10"
    much = "more than a third" if above > 1 / 3 else "less than a third"
    return answer, (
        f"At scale 10 the loss ends at {ten.loss[-1]:.2f}; at scale 100 it is above its start at "
        f"{much} of the updates."
    )


def tiny_model(weight: float = 0.5) -> tuple[nn.Linear, torch.optim.SGD]:
    """A model of one weight, and its optimizer."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, weight)
    return model, torch.optim.SGD(model.parameters(), lr=0.05)


def loss_of(model: nn.Module) -> torch.Tensor:
    """The mean squared error on three points of y = 2x."""
    return nn.functional.mse_loss(model(X), Y)


@lesson.question(
    "What does `loss.backward()` change?",
    {
        "only `weight`": "It does not touch the weight. It only suggests.",
        "only `.grad`": "The gradient is stored beside the weight, for whoever wants to use it.",
        "both": "Suggesting and changing are two lines, so that you can step in between.",
    },
)
def backward_changes() -> tuple[str, str]:
    """Look at the weight and its gradient after one backward pass."""
    model, _ = tiny_model()
    loss_of(model).backward()
    weight, grad = model.weight.item(), model.weight.grad
    answer = "only `weight`" if grad is None else "only `.grad`" if weight == 0.5 else "both"
    return answer, f"Afterwards the weight is {weight:.1f} and `.grad` is {_number(grad)}."


@lesson.question(
    "What is in `.grad` after two passes without clearing?",
    {
        "-14, as after one pass": "That would be right if `backward()` replaced what is there. It "
        "does not.",
        "-28, twice as much": "`backward()` adds to what is there: -14 and -14.",
        "0": "Nothing clears `.grad` unless you say so.",
    },
)
def two_passes() -> tuple[str, str]:
    """Make two backward passes and read the gradient."""
    model, _ = tiny_model()
    for _ in range(2):
        loss_of(model).backward()
    answers = {"-14": "-14, as after one pass", "-28": "-28, twice as much", "0": "0"}
    found = _number(model.weight.grad, digits=0)
    return answers[found], f"`.grad` is {found}."


def moved(where: str) -> float:
    """Move of the weight by one step, its gradient halved before or after `step()`."""
    model, optimizer = tiny_model()
    loss_of(model).backward()
    if where == "before":
        _grad(model).mul_(0.5)
    optimizer.step()
    if where == "after":
        _grad(model).mul_(0.5)
    return model.weight.item() - 0.5


@lesson.question(
    "Where must the line `p.grad.mul_(0.5)` stand to halve this step?",
    {
        "before `step()`": "`step()` reads `.grad` when it is called.",
        "after `step()`": "Too late: the weight has moved by then.",
        "either": "After `step()` the weight has moved already. `step()` does not run again.",
    },
)
def place_for_a_line() -> tuple[str, str]:
    """Compare the step without the line, with it before, and with it after."""
    without, before, after = moved("nowhere"), moved("before"), moved("after")
    halves = abs(before - without / 2) < 1e-6, abs(after - without / 2) < 1e-6
    answers = {
        (True, False): "before `step()`",
        (False, True): "after `step()`",
        (True, True): "either",
    }
    return answers[halves], (
        f"The weight moves by {without:.2f} without the line, by {before:.2f} with it before "
        f"`step()`, and by {after:.2f} with it after."
    )


@lesson.question(
    "With mask 1.0 nothing learns. What does the loss curve look like?",
    {
        "a perfectly flat line": "It would be, if each update looked at the same images.",
        "it wiggles around where it began": "The model stands still, but each update measures it "
        "on 64 other images.",
        "it falls, but slowly": "No weight moves, so nothing can get better.",
    },
)
def all_masked() -> tuple[str, str]:
    """Train on digits with every gradient set to zero."""
    history = train(problems.digits, problems.digits.recipe.replace(mask=1.0))
    low, high, change = history.loss.min(), history.loss.max(), history.update_ratio.max()
    quarter = len(history.loss) // 4
    if high - low < 1e-6:
        answer = "a perfectly flat line"
    elif history.loss[-quarter:].mean() < 0.95 * history.loss[:quarter].mean():
        answer = "it falls, but slowly"
    else:
        answer = "it wiggles around where it began"
    return answer, (
        f"The loss stays between {low:.2f} and {high:.2f}; no update moves the weights by more "
        f"than {change:g} of their length."
    )


SLIDERS = {"mask": 0.5, "l1": 0.01, "l2": 0.1, "scale": 5.0, "accumulation_steps": 4}
"""The sliders of the first lab, each with a value to try it at."""


@lesson.exercise
def check_sliders(stops: object, nothing: object) -> str:
    """Check a mask that stops all learning, and the slider that changes almost nothing."""
    if isinstance(stops, bool) or not hasattr(stops, "__float__") or not 0 <= float(stops) <= 1:
        return "Not yet: replace the first ... by a number from 0 to 1, the mask that you found."
    name = nothing.strip().lower().replace(" ", "_") if isinstance(nothing, str) else ""
    if name not in SLIDERS:
        return f"Not yet: replace the second ... by the name of a slider: one of {list(SLIDERS)}."
    start = problems.moons.recipe
    moved = train(problems.moons, start.replace(mask=float(stops)))
    if moved.loss[-1] != moved.loss[0]:
        return f"Not yet: with mask {stops} the loss still changes. Pull further."
    one, other = (
        train(problems.moons, recipe).loss[-1]
        for recipe in (start, start.replace(**{name: SLIDERS[name]}))
    )
    if abs(one - other) > 0.001:
        return f"Not yet: {name} = {SLIDERS[name]} does change where the loss ends."
    return "Right. You have read your first plot."


@lesson.exercise
def check_train_step(train_step: Callable[..., object]) -> str:
    """Check one function that makes an update, against updates computed by hand."""
    for seed in range(5):
        torch.manual_seed(seed)
        x, y = torch.randn(8, 3), torch.randn(8, 1)
        yours = nn.Linear(3, 1)
        weight, bias = (p.detach().clone() for p in yours.parameters())
        optimizer = torch.optim.SGD(yours.parameters(), lr=0.1)
        for update in (1, 2):
            error = x @ weight.T + bias - y
            loss = train_step(yours, optimizer, x, y)
            if not isinstance(loss, float):
                return f"Not yet: it returns {kind_of(loss)}. Return a float: loss.item()"
            if abs(loss - error.square().mean().item()) > 1e-5:
                return f"Not yet: the loss of update {update} should be the mean squared error."
            weight -= 0.1 * 2 * (error.T @ x) / 8
            bias -= 0.1 * 2 * error.mean(0)
            if not all(map(_close, yours.parameters(), (weight, bias))):
                return _wrong_update(update)
    return "Right. Ten updates on five random models are what they should be."


def _wrong_update(update: int) -> str:
    if update == 1:
        return "Not yet: the first update is not a plain step. Are all four lines there?"
    return "Not yet: the first update is right, the second is not. What is left in .grad?"


FASTER = 0.8
"""The share of the start's last loss that the exercise on digits asks for."""


@lesson.exercise
def check_digits(lab: GradLab) -> str:
    """Check that *scale* alone was moved, and that three seeds end lower than the start does."""
    start = problems.digits.recipe
    if lab.recipe.replace(scale=1.0) != start:
        return "Not yet: more than scale has moved. Press Reset and try again."
    for seed in range(3):
        ours, theirs = (
            _end(train(problems.digits, recipe.replace(seed=seed)))
            for recipe in (lab.recipe, start)
        )
        ends = f"scale {lab.recipe.scale:g} ends at {ours:.3f}, scale 1 at {theirs:.3f}"
        if not ours <= FASTER * theirs:
            return f"Not yet: with seed {seed}, {ends}. At most {FASTER} of that is asked for."
    return f"Right: with each of three seeds it ends lower. With the last, {ends}."


def _end(history: History) -> float:
    return end_level(history.loss, history.stopped)


def _number(grad: torch.Tensor | None, digits: int = 1) -> str:
    return "None" if grad is None else f"{grad.item():.{digits}f}"


def _grad(model: nn.Linear) -> torch.Tensor:
    grad = model.weight.grad
    assert grad is not None
    return grad


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-5)
