"""Lesson 04, "Masking and freezing"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gradwidgets.core import Recipe, problems, train
from gradwidgets.course.measuring import seeded
from gradwidgets.lessons import Lesson

lesson = Lesson("masking_gradients")


def after_backward(inputs: int, outputs: int) -> nn.Linear:
    """A linear model with random data, right after `backward()`."""
    with seeded(0):
        model = nn.Linear(inputs, outputs).double()
        x, y = torch.randn(5, inputs).double(), torch.randn(5, outputs).double()
    nn.functional.mse_loss(model(x), y).backward()
    return model


@lesson.question(
    "`nn.Linear(10, 1)`: how many of its 11 gradient elements does that line set to zero?",
    {
        "5: half of the weights": "`len` does not count elements. What is the length of a table "
        "with one row?",
        "all 11": "Half of something is not all of it. But look at what `len` counts.",
        "none": "`len` counts rows, and there is one. Half of it, rounded down, is 0.",
    },
)
def half_by_len() -> tuple[str, str]:
    """Set "half" of each gradient to zero and count the zeros."""
    weights, biases = (_zeros_after_halving(p) for p in after_backward(10, 1).parameters())
    answers = {0: "none", 5: "5: half of the weights", 11: "all 11"}
    return answers[weights + biases], f"It hides {weights} of 10 weights and {biases} of 1 bias."


def _zeros_after_halving(p: nn.Parameter) -> int:
    grad = _grad(p)
    grad[: len(grad) // 2] = 0
    return int((grad == 0).sum())


def line_data() -> tuple[Tensor, Tensor]:
    """Eight inputs and a noisy target, 64 samples."""
    with seeded(0):
        x = torch.randn(64, 8, dtype=torch.float64)
        y = x @ torch.randn(8, 1, dtype=torch.float64)
        return x, y + 0.1 * torch.randn(64, 1, dtype=torch.float64)


def drift(
    name: str,
    lr: float,
    start: int = 20,
    hold: str = "zeros",
    set_to_none: bool = True,
    **options: Any,
) -> list[float]:
    """Distance of the first four weights from where they were at `start`, for 40 updates.

    Args:
        name: of a class of `torch.optim`.
        lr: its learning rate.
        start: the update from which on they are held.
        hold: "zeros" in their gradient, or "requires_grad" off for all weights.
        set_to_none: of `zero_grad`.
        options: of the optimizer.
    """
    x, y = line_data()
    with seeded(1):
        model = nn.Linear(8, 1).double()
    weight, before = model.weight, torch.empty(0)
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=lr, **options)
    distances = []
    for update in range(start + 40):
        if update == start:
            before = weight.detach().clone()
            weight.requires_grad_(hold != "requires_grad")
        optimizer.zero_grad(set_to_none)
        ((model(x) - y) ** 2).mean().backward()
        if update >= start and hold == "zeros":
            _grad(weight)[:, :4] = 0
        optimizer.step()
        if update >= start:
            distances.append((weight - before)[:, :4].abs().max().item())
    return distances


@lesson.question(
    "SGD with momentum 0.9: what do the hidden weights do once their gradient is zero?",
    {
        "they stand still": "The gradient is zero. The step is not: it also holds the last "
        "direction.",
        "they make one more step": "A tenth of the direction goes at each step. Nine tenths stay.",
        "they drift, and slowly come to rest": "Each step is 0.9 times the last one: a ball that "
        "rolls out.",
        "they move on and on": "That would be momentum 1. With 0.9 the direction fades.",
    },
)
def under_momentum() -> tuple[str, str]:
    """Mask from update 20 on, and follow the hidden weights for 40 updates."""
    distances = drift("SGD", lr=0.01, momentum=0.9)
    late = distances[-1] - distances[-10]
    if distances[-1] == 0:
        answer = "they stand still"
    elif late > 0.1 * distances[-1]:
        answer = "they move on and on"
    elif distances[-1] < 1.1 * distances[0]:
        answer = "they make one more step"
    else:
        answer = "they drift, and slowly come to rest"
    figures = ", ".join(f"{distances[n - 1]:.2f} after {n}" for n in (1, 10, 40))
    return answer, f"They have moved by {figures}."


@lesson.question(
    "The mask is there from the first update on. What can still move the hidden weights?",
    {
        "momentum": "The buffer starts empty, and only zeros are added to it.",
        "weight decay": "It needs no gradient: it looks at the weight itself.",
        "both": "Momentum lives on past gradients, and there are none.",
        "neither": "Weight decay needs no gradient at all.",
    },
)
def from_the_start() -> tuple[str, str]:
    """Mask from the first update on, once with momentum and once with weight decay."""
    rolls = drift("SGD", 0.01, start=0, momentum=0.9)[-1]
    decays = drift("SGD", 0.05, start=0, weight_decay=0.1)[-1]
    answer = ["neither", "weight decay", "momentum", "both"][2 * (rolls > 0) + (decays > 0)]
    return answer, f"With momentum they move by {rolls:.2f}, with weight decay by {decays:.2f}."


@lesson.question(
    "SGD with momentum, `zero_grad(set_to_none=False)`, and `requires_grad_(False)` "
    "at update 20. Does the weight still move?",
    {
        "no: it is frozen": "`backward()` leaves it alone. But the optimizer looks at `.grad`, and "
        "finds a tensor of zeros there.",
        "yes: but much less": "The buffer is as full as it was under the mask.",
        "yes: about as far as under the mask": "A gradient of zeros is not `None`. To the "
        "optimizer this is the mask again, and the buffer rolls out.",
    },
)
def frozen_with_zeros() -> tuple[str, str]:
    """Freeze by `requires_grad` where clearing leaves zeros, and compare with the mask."""
    moved = drift("SGD", 0.01, hold="requires_grad", set_to_none=False, momentum=0.9)[-1]
    masked = drift("SGD", 0.01, momentum=0.9)[-1]
    if moved == 0:
        answer = "no: it is frozen"
    elif moved < 0.5 * masked:
        answer = "yes: but much less"
    else:
        answer = "yes: about as far as under the mask"
    return answer, f"It moves by {moved:.2f}; under the mask it was {masked:.2f}."


DIGITS = Recipe(lr=0.5, batch_size=64, updates=200)
"""The recipe of the lesson's lab."""


@lesson.question(
    "80 % of the gradient is hidden for good. Under which mask are more digits read right?",
    {
        "unit": "Eight of the ten outputs keep the random weights that they began with.",
        "random": "Every unit keeps some weights that can learn, and they do the work.",
        "about the same": "The number of hidden elements is the same. But it matters which.",
    },
)
def unit_or_random() -> tuple[str, str]:
    """Train on digits under both masks."""
    unit, random = (
        float(train(problems.digits, DIGITS.replace(mask=0.8, mask_kind=kind)).accuracy[-1, 1])
        for kind in ("unit", "random")
    )
    if abs(unit - random) < 0.05:
        answer = "about the same"
    else:
        answer = "unit" if unit > random else "random"
    return answer, f"unit: {unit:.0%}, random: {random:.0%} of the held-out digits."


@lesson.exercise
def check_hide(hide: Callable[[nn.Parameter, float], object]) -> str:
    """Check a function that sets the first elements of a gradient to zero."""
    generator = torch.Generator().manual_seed(0)
    for shape in [(1, 10), (4, 10), (6,), (3, 2, 4), (1,)]:
        for fraction in (0.5, 0.3, 0.0, 1.0):
            p = nn.Parameter(_random(shape, generator))
            p.grad = _random(shape, generator)
            if fault := _fault_in_hiding(hide, p, fraction):
                return f"Not yet: {fault}"
    p = nn.Parameter(torch.ones(3))
    try:
        hide(p, 0.5)
    except (AttributeError, TypeError):
        return "Not yet: it fails for a parameter whose .grad is None."
    if p.grad is not None:
        return "Not yet: where .grad was None it should stay None."
    return "Right. Five shapes, four fractions, and a parameter without a gradient."


def _fault_in_hiding(
    hide: Callable[[nn.Parameter, float], object], p: nn.Parameter, fraction: float
) -> str:
    """The fault found with the gradient after `hide(p, fraction)`; empty if nothing is."""
    given = _grad(p)
    value, numbers, version = p.detach().clone(), given.flatten().tolist(), given._version
    count = round(fraction * p.numel())
    try:
        hide(p, fraction)
    except RuntimeError as error:
        return f"PyTorch says: {str(error).splitlines()[0]}"
    if not torch.equal(p.detach(), value):
        return "the parameter itself has changed. Only .grad should."
    if not isinstance(p.grad, Tensor) or p.grad.shape != p.shape:
        return "afterwards .grad should be a tensor of the same shape."
    hidden = int((p.grad == 0).sum())
    if hidden != count:
        return (
            f"shape {tuple(p.shape)}, fraction {fraction}: {hidden} of {p.numel()} elements are "
            f"zero; it should be {count}."
        )
    if p.grad.flatten().tolist() != [0.0] * count + numbers[count:]:
        return (
            f"shape {tuple(p.shape)}, fraction {fraction}: {count} elements are zero, as they "
            "should, but they are not the first ones, or others have changed."
        )
    if count and p.grad is given and given._version == version:
        return "the zeros were written behind PyTorch's back. Write into p.grad, without .data."
    return ""


KEEPERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    ("Adam", {"weight_decay": 0.1}),
    ("AdamW", {}),
    ("RMSprop", {"momentum": 0.9}),
]
"""The optimizers that the exercise on keeping a part is tried with."""


@lesson.exercise
def check_step_keeping(step_keeping: Callable[..., object]) -> str:
    """Check a step that leaves a part of one parameter as it was."""
    for seed, (name, options) in enumerate(KEEPERS):
        if fault := _fault_in_keeping(step_keeping, name, options, seed):
            return f"Not yet: {fault}"
    return "Right. Four optimizers with full buffers, and not one bit has changed."


def _fault_in_keeping(
    step_keeping: Callable[..., object], name: str, options: dict[str, Any], seed: int
) -> str:
    """The fault found after some steps of one optimizer; empty if nothing is."""
    generator = torch.Generator().manual_seed(seed)
    p, other = (nn.Parameter(_random((3, 4), generator)) for _ in range(2))
    twin = nn.Parameter(p.detach().clone())
    yours = getattr(torch.optim, name)([p, other], lr=0.1, **options)
    alone = getattr(torch.optim, name)([twin], lr=0.1, **options)
    keep = torch.arange(12).view(3, 4) % 3 == seed % 3
    stepped = [0]
    yours.register_step_post_hook(lambda *_: stepped.append(p._version))

    for update in range(7):
        p.grad = _random((3, 4), generator)
        other.grad, twin.grad = p.grad.clone(), p.grad.clone()
        start, rest = p.detach().clone(), other.detach().clone()
        alone.step()
        if update in PLAIN:
            yours.step()
            continue
        try:
            step_keeping(yours, p, keep.clone())
        except RuntimeError as error:
            return f"PyTorch says: {str(error).splitlines()[0]}"
        now, wanted = p.detach(), twin.detach()
        faults = [
            (other.equal(rest), "the optimizer makes no step: another parameter stands still."),
            (not now[keep].equal(start[keep]), f"with {name} {options} a kept element has moved."),
            (
                not now[~keep].equal(wanted[~keep]),
                f"with {name} {options} the other elements do not move as the optimizer wants.",
            ),
            (not p.requires_grad, "afterwards p requires no gradient any more."),
            (
                p._version == stepped[-1],
                "it writes behind autograd's back. Use torch.no_grad() in place of .data.",
            ),
        ]
        if found := [fault for there, fault in faults if there]:
            return found[0]
    if torch.equal(p.detach()[keep], start[keep]):
        return "after it a plain step() keeps these elements, too. Leave no hook behind."
    return ""


PLAIN = (0, 1, 2, 6)
"""The updates that the optimizer makes alone: the first fill its buffers, the last one must move
what was kept before."""


def _random(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _grad(p: Tensor) -> Tensor:
    assert p.grad is not None
    return p.grad
