"""Lesson 03, "Scaling gradients"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gradwidgets.core import problems, train
from gradwidgets.course.measuring import flat, kind_of, nearest
from gradwidgets.lessons import Lesson

lesson = Lesson("scaling_gradients")

Loss = Callable[[torch.Tensor], torch.Tensor]


def way(name: str, lr: float, scale: float = 1.0, updates: int = 50) -> torch.Tensor:
    """The way that each parameter of the lesson's model goes, its gradients times `scale`."""
    torch.manual_seed(0)
    x = torch.randn(64, 8, dtype=torch.float64)
    y = x @ torch.randn(8, 1, dtype=torch.float64)
    torch.manual_seed(1)
    model = nn.Linear(8, 1).double()
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=lr)
    start = flat(model)
    for _ in range(updates):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        for p in model.parameters():
            if p.grad is not None:
                p.grad.mul_(scale)
        optimizer.step()
    return flat(model) - start


@lesson.question(
    "Every gradient is halved. How far does a step of SGD go?",
    {
        "a quarter as far": "The gradient enters the step once, not squared.",
        "half as far": "The step is `lr * grad`, so half the gradient is half the step.",
        "just as far": "That holds for other optimizers, as you will see. Not for SGD.",
    },
)
def half_the_gradient() -> tuple[str, str]:
    """Compare one step with and without the scale."""
    share = (way("SGD", 0.05, 0.5, 1).norm() / way("SGD", 0.05, 1.0, 1).norm()).item()
    shares = {0.25: "a quarter as far", 0.5: "half as far", 1.0: "just as far"}
    return nearest(share, shares), f"The share is {share:.3f}."


@lesson.question(
    "Adam, every gradient times 0.1, 50 updates. Where does the run end?",
    {
        "where the unscaled run ends": "Adam divides each gradient by its usual size. Ten times "
        "smaller, divided by ten times smaller, is what it was.",
        "where a ten times smaller `lr` ends": "True for SGD. Adam multiplies by `lr` after it "
        "has divided by the usual size.",
        "somewhere else": "Nothing is left here of a factor that never changes.",
    },
)
def adam_scaled() -> tuple[str, str]:
    """Compare the scaled run with the unscaled one, and with a smaller learning rate."""
    plain, scaled, slower = way("Adam", 0.01), way("Adam", 0.01, 0.1), way("Adam", 0.001)
    ends = {"where the unscaled run ends": plain, "where a ten times smaller `lr` ends": slower}
    gaps = {end: ((scaled - run).norm() / plain.norm()).item() for end, run in ends.items()}
    closest = min(gaps, key=lambda end: gaps[end])
    figures = ", ".join(f"{gap:.2f} from {end}" for end, gap in gaps.items())
    choice = closest if gaps[closest] < 0.01 else "somewhere else"
    return choice, f"It ends {figures}, as a share of the way."


def first_step_after(later: float) -> float:
    """Length of Adam's first step with gradient `later`, after 200 with gradient 1."""
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.Adam([p], lr=0.001)
    before = 0.0
    for update in range(201):
        before = p.item()
        p.grad = torch.full_like(p, 1.0 if update < 200 else later)
        optimizer.step()
    return abs(p.item() - before)


@lesson.question(
    "Adam has seen gradients of 1 for 200 updates. The next one is times 0.1. How long is that "
    "step, compared with the one before?",
    {
        "exactly as long": "That was so when the scale had always been 0.1. Adam remembers the "
        "larger gradients.",
        "a little shorter": "Nine tenths of Adam's direction come from earlier gradients, and "
        "those were not scaled.",
        "about a tenth as long": "It would be, if Adam looked at the newest gradient alone.",
        "longer": "Smaller gradients do not push harder.",
    },
)
def adam_switched() -> tuple[str, str]:
    """Measure the first step after the switch."""
    share = first_step_after(0.1) / first_step_after(1.0)
    if abs(share - 1) < 1e-3:
        choice = "exactly as long"
    elif share > 1:
        choice = "longer"
    else:
        choice = "a little shorter" if share > 0.5 else "about a tenth as long"
    return choice, f"It is {share:.2f} times as long."


@lesson.question(
    "The learning rate is 0.1 and the steepness 6.25. Up to which scale does SGD settle in this "
    "valley?",
    {
        "1.6": "There `lr * c * steepness` is 1: the best scale for the steep direction, and safe.",
        "3.2": "There `lr * c * steepness` is 2: each step lands as far away as it began.",
        "6.25": "That is the steepness itself. Divide 2 by it, and by `lr`.",
        "20": "2 divided by `lr` is 20, but the steepness counts, too.",
    },
)
def largest_in_the_bowl() -> tuple[str, str]:
    """Try scales around each choice, and keep the largest that settles."""
    settling = [choice for choice in (1.6, 3.2, 6.25, 20.0) if _settles_at(0.98 * choice)]
    largest = max(settling)
    above = "and runs away just above" if not _settles_at(1.02 * largest) else "and above it, too"
    return f"{largest:g}", f"Just below scale {largest:g} it settles, {above}."


def _settles_at(scale: float) -> bool:
    recipe = problems.bowl.recipe.replace(scale=scale, updates=400)
    history = train(problems.bowl, recipe)
    return history.stopped is None and bool(history.loss[-1] < history.loss[0])


@lesson.exercise
def check_scaled_step(scaled_step: Callable[..., object]) -> str:
    """Check one update with scaled gradients against updates computed by hand."""
    for seed in range(5):
        torch.manual_seed(seed)
        x, y = torch.randn(6, 3).double(), torch.randn(6, 1).double()
        model = nn.Linear(3, 1).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        expected, velocity = flat(model), torch.zeros(4).double()
        for update, c in enumerate((0.3, 0.5, 0.2), 1):
            error = x @ expected[:3, None] + expected[3] - y
            slope = torch.cat([2 * x.T @ error / 6, 2 * error.mean(0, keepdim=True)]).flatten()
            velocity = 0.9 * velocity + c * slope
            expected = expected - 0.1 * velocity
            before, loss = flat(model), scaled_step(model, optimizer, x, y, c)
            if not isinstance(loss, float):
                return f"Not yet: it returns {kind_of(loss)}. Return a float: loss.item()"
            if torch.equal(flat(model), before):
                return "Not yet: nothing has moved. Is there a step()?"
            if abs(loss - error.square().mean().item()) > 1e-9:
                return "Not yet: the loss should be the plain mean squared error, before the step."
            if not torch.allclose(flat(model), expected, rtol=1e-9):
                return _wrong_update(update)
    return "Right. Fifteen updates on five random models are what they should be."


def _wrong_update(update: int) -> str:
    if update == 1:
        return "Not yet: the first step is not c times the plain one. Where is your line?"
    return f"Not yet: step {update}, with another c, goes wrong. What is left in .grad, or in lr?"


TRIED: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("Adam", {}),
    ("AdamW", {}),
    ("RMSprop", {}),
]


def next_step_length(
    name: str,
    options: dict[str, Any],
    seed: int,
    prepare: Callable[[torch.optim.Optimizer], object],
) -> float:
    """The length of one step after `prepare(optimizer)`; the same gradients whatever it does."""
    torch.manual_seed(seed)
    parts = [nn.Parameter(torch.randn(4).double()) for _ in range(2)]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(parts, (0.01, 0.03), strict=True)]
    optimizer = getattr(torch.optim, name)(groups, lr=0.01, **options)
    before = after = nn.utils.parameters_to_vector(parts).detach()
    for update in range(6):
        if update == 5:
            prepare(optimizer)
        for p in parts:
            p.grad = torch.randn(4).double()
        optimizer.step()
        before, after = after, nn.utils.parameters_to_vector(parts).detach()
    return float((after - before).norm())


@lesson.exercise
def check_shorten(shorten: Callable[..., object]) -> str:
    """Check that the next step of five optimizers is `c` times as long."""
    for seed, (name, options) in enumerate(TRIED):
        c = 0.1 + 0.08 * seed

        def prepare(optimizer: torch.optim.Optimizer, c: float = c) -> object:
            return shorten(optimizer, c)

        plain = next_step_length(name, options, seed, lambda _: None)
        share = next_step_length(name, options, seed, prepare) / plain
        label = ", ".join([name, *options])
        if abs(share - 1) < 1e-9:
            return f"Not yet: {label} still takes its full step."
        if abs(share - c) > 1e-9:
            return (
                f"Not yet: the step of {label} is {share:.2f} times as long; it should be {c:.2f}. "
                "Its two groups have different learning rates."
            )
    return "Right. It works for SGD, SGD with momentum, Adam, AdamW and RMSprop."


def ends_lower(loss: Loss, w: torch.Tensor, lr: float, updates: int = 400) -> bool:
    """True if gradient descent with this learning rate ends below its start."""
    w = w.clone().requires_grad_()
    first = loss(w).item()
    for _ in range(updates):
        (gradient,) = torch.autograd.grad(loss(w), w)
        with torch.no_grad():
            w -= lr * gradient
    return loss(w).item() < first


@lesson.exercise
def check_largest_scale(largest_scale: Callable[..., object]) -> str:
    """Check a formula for the largest scale in five random valleys, just below and just above."""
    for seed in range(5):
        torch.manual_seed(seed)
        sides = torch.randn(4, 4, dtype=torch.float64)
        valley = sides @ sides.T + 0.1 * torch.eye(4, dtype=torch.float64)
        w, lr = torch.randn(4, dtype=torch.float64), 0.01 * (seed + 1)

        def loss(w: torch.Tensor, valley: torch.Tensor = valley) -> torch.Tensor:
            return w @ valley @ w / 2

        answer = largest_scale(loss, w.clone(), lr)
        if isinstance(answer, bool | str) or not hasattr(answer, "__float__"):
            return f"Not yet: it returns {kind_of(answer)}. Return a number."
        scale = float(answer)
        if not ends_lower(loss, w, lr * scale * 0.98):
            return f"Not yet: in valley {seed}, just below scale {scale:.2f}, SGD does not settle."
        if ends_lower(loss, w, lr * scale * 1.02):
            return f"Not yet: in valley {seed} SGD still settles above scale {scale:.2f}."
    return "Right. Five random valleys agree, just below and just above."
