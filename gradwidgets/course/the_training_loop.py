"""Lesson 08, "The training loop"."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from gradwidgets.core import problems
from gradwidgets.course.measuring import kind_of, seeded
from gradwidgets.lessons import Lesson

lesson = Lesson("the_training_loop")

Batch = tuple[Tensor, Tensor]
Order = tuple[str, ...]
USUAL: Order = ("zero_grad", "forward", "backward", "step")
ORDERS = [o for o in permutations(USUAL) if o.index("forward") < o.index("backward")]
RAISES: Order = ("forward", "step", "zero_grad", "backward")
"""The one order whose `backward` finds changed parameters."""


def new_model(outputs: int = 10, seed: int = 0) -> nn.Sequential:
    """The lesson's network, the same each time."""
    with seeded(seed):
        return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs))


def batches() -> list[Batch]:
    """The digits in batches of 64."""
    images, labels = problems.digits.batches()
    return list(zip(images.split(64), labels.split(64), strict=True))


def flat(model: nn.Module) -> Tensor:
    """All parameters of a model as one row of numbers."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def after(order: Order, updates: int = 46) -> Tensor:
    """The parameters after a loop with its lines in this order."""
    model, data = new_model(), batches()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = torch.tensor(0.0)
    for update in range(updates):
        x, y = data[update % len(data)]
        for line in order:
            if line == "forward":
                loss = cross_entropy(model(x), y)
            elif line == "backward":
                loss.backward()
            else:
                getattr(optimizer, line)()
    return flat(model)


@lesson.question(
    "`zero_grad()` stands between `backward()` and `step()`. What happens?",
    {
        "PyTorch raises an error": "`step()` skips parameters without a gradient. It does not "
        "complain.",
        "no error, and the model does not move": "When `step()` comes, every `.grad` is None.",
        "no error, and it learns as usual": "`step()` reads `.grad`, and there is nothing in it.",
    },
)
def between() -> tuple[str, str]:
    """Run the loop with the gradients cleared before the step."""
    try:
        moved = (after(("forward", "backward", "zero_grad", "step")) - flat(new_model())).norm()
    except RuntimeError as error:
        return "PyTorch raises an error", str(error)
    moves = "it learns as usual" if moved > 0 else "the model does not move"
    return f"no error, and {moves}", f"In 46 updates the parameters move by {moved:.2f}."


def ends_as_usual(order: Order) -> bool:
    """True if a loop ends where the usual one does, to the last bit."""
    try:
        return torch.equal(after(order), after(USUAL))
    except RuntimeError:
        return False


@lesson.question(
    "Twelve orders have `forward` before `backward`. How many of them end exactly where the usual "
    "one ends?",
    {
        "1": "Clearing later, but still before `backward()`, comes to the same. So does clearing "
        "right after the step.",
        "3": "`zero_grad()` may stand first, between forward and backward, or last.",
        "6": "Some more orders learn, but they end one update behind.",
        "12": "You have just met one that does not move at all.",
    },
)
def same_end() -> tuple[str, str]:
    """Run all twelve loops and compare their last parameters."""
    same = sum(map(ends_as_usual, ORDERS))
    return str(same), f"{same} of {len(ORDERS)} orders are equal to the last bit."


def head_step(clip: str, seed: int = 0, epochs: int = 10) -> float:
    """Mean step of the last layer, which alone is held by the optimizer."""
    model, lengths = new_model(seed=seed), []
    head = model[2]
    optimizer = torch.optim.SGD(head.parameters(), lr=0.5)
    for x, y in batches() * epochs:
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_((model if clip == "all" else head).parameters(), max_norm=0.5)
        before = flat(head)
        optimizer.step()
        lengths.append((flat(head) - before).norm().item())
    return float(np.mean(lengths))


@lesson.question(
    "The optimizer holds only the head, but all gradients are clipped together. How long are the "
    "head's steps, compared with clipping the head's gradients alone?",
    {
        "just as long": "The optimizer never looks at the first layer, but the clip does: its "
        "gradients count in the norm.",
        "shorter": "A larger norm means a smaller factor, and the head's gradients get it, too.",
        "longer": "More numbers make the norm larger. Clipping then shrinks more.",
    },
)
def clip_everything() -> tuple[str, str]:
    """Train the head with either clip and compare the mean steps."""
    everything, alone = head_step("all"), head_step("head")
    share = everything / alone
    answer = "just as long" if 0.9 < share < 1.1 else "shorter" if share < 1 else "longer"
    return (answer, f"Mean step: {everything:.2f}, with the head alone {alone:.2f}.")


def clipped_step(unscale: bool) -> float:
    """Length of one step at lr 0.1, clipped to norm 1 while the loss is scaled."""
    model, (x, y) = new_model(), batches()[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(cross_entropy(10 * model(x), y)).backward()
    if unscale:
        scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    before = flat(model)
    scaler.step(optimizer)
    return float((flat(model) - before).norm())


@lesson.question(
    "The gradient norm is above 1, lr is 0.1, so a step clipped to norm 1 goes 0.1 far. How far "
    "does it go if you clip right after `scaler.scale(loss).backward()`?",
    {
        "0.1, as without a scaler": "It would, if `.grad` held the true gradients at that moment.",
        "next to nothing": "Clipping cuts the scaled gradients to norm 1. Then `scaler.step` "
        "divides by 65536.",
        "65536 times 0.1": "`scaler.step` divides by the scale in any case, clipped or not.",
    },
)
def clip_scaled() -> tuple[str, str]:
    """Clip scaled gradients and see how far the step goes."""
    length = clipped_step(unscale=False)
    answer = "0.1, as without a scaler" if abs(length - 0.1) < 0.01 else "next to nothing"
    return "65536 times 0.1" if length > 1 else answer, f"It goes {length:.6f} far."


def skipped_steps(each_epoch: bool, seed: int = 0, epochs: int = 20) -> tuple[int, int]:
    """(skipped, all) steps of a run in float16."""
    images, labels = problems.digits.batches()
    data = list(zip((255 * images).split(288), labels.float()[:, None].split(288), strict=True))
    model, skipped = new_model(outputs=1, seed=seed), 0
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    scaler = torch.amp.GradScaler("cpu")
    for _ in range(epochs):
        if each_epoch:
            scaler = torch.amp.GradScaler("cpu")
        for x, y in data:
            optimizer.zero_grad()
            with torch.amp.autocast("cpu", dtype=torch.float16):
                loss = mse_loss(model(x), y)
            scaler.scale(loss).backward()
            before = scaler.get_scale()
            scaler.step(optimizer)
            scaler.update()
            skipped += scaler.get_scale() < before
    return skipped, epochs * len(data)


@lesson.question(
    "A new `GradScaler` at the start of each epoch of 5 updates. How many of the 100 updates are "
    "skipped?",
    {
        "a few at the start": "So it is with one scaler for the whole run.",
        "about half": "The scale needs more than ten halvings here, and an epoch has five updates.",
        "all": "Each epoch starts again at 65536, and ends before the scale fits.",
    },
)
def scaler_each_epoch() -> tuple[str, str]:
    """Train in float16 with a scaler made inside the loop over epochs."""
    skipped, updates = skipped_steps(each_epoch=True)
    answer = "a few at the start" if skipped < updates / 4 else "about half"
    return "all" if skipped == updates else answer, f"{skipped} of {updates} are skipped."


def truly_moves(order: Order) -> bool:
    """Run three rounds of a loop on one number."""
    p, loss = nn.Parameter(torch.tensor(2.0)), torch.tensor(0.0)
    optimizer = torch.optim.SGD([p], lr=0.1)
    for _ in range(3):
        for line in order:
            if line == "forward":
                loss = 3 * p
            else:
                getattr(loss if line == "backward" else optimizer, line)()
    return bool(p != 2.0)


@lesson.exercise
def check_moves(moves: Callable[[Order], object]) -> str:
    """Check a function that says of an order whether the loop moves the model."""
    for order in ORDERS:
        if order == RAISES:
            continue
        answer, truth = moves(order), truly_moves(order)
        if not isinstance(answer, bool | np.bool_):
            return f"Not yet: it returns {kind_of(answer)}. Return True or False."
        if bool(answer) != truth:
            does = "moves" if truth else "does not move"
            return f"Not yet: with {', '.join(order)} the model {does}."
    return "Right. All eleven loops do what you say."


@lesson.exercise
def check_clip_held(clip_held: Callable[..., object]) -> str:
    """Check a clip of what the optimizer holds, in two groups and with None here and there."""
    for seed in range(6):
        if problem := _clip_problem(clip_held, seed):
            return f"Not yet: {problem}"
    return "Right. Six optimizers with two groups each, and None here and there."


def _clip_problem(clip_held: Callable[..., object], seed: int) -> str:
    """A sentence on what is wrong with a clip of random gradients; empty if nothing is."""
    with seeded(seed):
        held = [nn.Parameter(torch.randn(n, dtype=torch.float64)) for n in (3, 5, 2)]
        foreign = nn.Parameter(torch.randn(4, dtype=torch.float64))
        for p in [*held, foreign]:
            p.grad = 3 * torch.randn_like(p.detach())
    if seed % 2:
        held[1].grad = None
    others = _copy(foreign)
    before = [_copy(p) for p in held]
    norm = sum(g.square().sum().item() for g in before if g is not None) ** 0.5
    max_norm = norm * (0.3 if seed < 4 else 2.0)
    optimizer = torch.optim.SGD([{"params": held[:2]}, {"params": held[2:]}], lr=0.1)
    answer = clip_held(optimizer, max_norm)
    if not isinstance(answer, float):
        return f"it returns {kind_of(answer)}. Return a float."
    if not _alike(foreign.grad, others):
        return "a gradient that the optimizer does not hold has changed."
    factor = min(1.0, max_norm / norm)
    if not all(_alike(p.grad, g, factor) for p, g in zip(held, before, strict=True)):
        if factor == 1.0:
            return "the norm is below max_norm, and yet a gradient has changed."
        return "each held gradient should be times max_norm / norm, the joint norm of all of them."
    if abs(answer - norm) > 1e-6 * norm:
        return f"the norm before clipping is {norm:.2f}, you return {answer:.2f}."
    return ""


def _alike(one: Tensor | None, other: Tensor | None, factor: float = 1.0) -> bool:
    if one is None or other is None:
        return one is other
    return torch.allclose(one, factor * other, rtol=1e-4)


def _copy(p: nn.Parameter) -> Tensor | None:
    return None if p.grad is None else p.grad.clone()
