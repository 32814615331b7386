"""Lesson 13, "The learning rate over time"."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from gradwidgets.core import History, end_level, problems, train
from gradwidgets.course.measuring import nearest
from gradwidgets.lessons import Lesson

lesson = Lesson("schedules")

Batch = tuple[torch.Tensor, torch.Tensor]


@lesson.question(
    "LinearLR lowers lr from 0.1 in four equal steps. By mistake `scheduler.step()` stands before "
    "`optimizer.step()`. With which lr is the first update made?",
    {
        "0.1, the first value": "It would be, if the scheduler moved on after the update.",
        "0.075, the second value": "The scheduler has moved on before the first update. PyTorch "
        "warns once, and goes on.",
        "none: PyTorch raises an error": "It only warns, and warnings are easily overlooked.",
    },
)
def scheduler_first() -> tuple[str, str]:
    """Make one update of one weight with the two lines in the wrong order."""
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scheduler = lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=4)
    weight.grad = torch.ones(1, dtype=torch.float64)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        scheduler.step()
        optimizer.step()
    moved = round(-weight.item(), 3)
    answers = {0.1: "0.1, the first value", 0.075: "0.075, the second value"}
    warned = "PyTorch warns" if said else "PyTorch does not warn"
    return answers[moved], f"With a gradient of 1 the weight moves by {moved}. {warned}."


@lesson.question(
    "StepLR(step_size=8, gamma=0.1) is meant to lower lr every 8 epochs. Here it is stepped after "
    "each batch, 23 in an epoch. For how long is lr above a twentieth of its start?",
    {
        "for 16 epochs": "It would be, if the scheduler were stepped once an epoch.",
        "for about half of the training": "A scheduler counts its own steps. It knows of no epoch.",
        "for less than one epoch": "After 16 batches lr has been divided by 10 twice.",
    },
)
def stepped_per_batch() -> tuple[str, str]:
    """Count the updates of 20 epochs that are made with a useful learning rate."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.1)
    useful = 0
    for _ in range(20 * 23):
        useful += optimizer.param_groups[0]["lr"] > 0.5 / 20
        optimizer.step()
        scheduler.step()
    if useful < 23:
        answer = "for less than one epoch"
    else:
        answer = "for 16 epochs" if useful == 16 * 23 else "for about half of the training"
    return answer, f"{useful} of {20 * 23} updates have an lr above 0.025."


def per_micro_batch() -> History:
    """A run on digits, four micro-batches an update, lr falling in a line to 0 at each of them."""
    recipe = problems.digits.recipe.replace(
        updates=200, accumulation_steps=4, schedule="linear", schedule_per="micro-batch"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of steps of the scheduler that come first
        return train(problems.digits, recipe)


@lesson.question(
    "lr falls in a line to 0 over 200 updates. Each update accumulates 4 micro-batches, and "
    "`scheduler.step()` follows each micro-batch. When is lr 0?",
    {
        "after about 50 updates": "Four steps of the scheduler for each update.",
        "after 200 updates": "It would be, if the scheduler were stepped once an update.",
        "after about 800 updates": "It is stepped four times as often as planned, not a quarter.",
    },
)
def stepped_per_micro_batch() -> tuple[str, str]:
    """Find the first update that is made with a learning rate of 0."""
    lr = per_micro_batch().lr
    moving = int((lr > 0).sum())
    over: dict[float, str] = {
        50: "after about 50 updates",
        200: "after 200 updates",
        800: "after about 800 updates",
    }
    return nearest(moving, over), f"{moving} of {len(lr)} updates have an lr above 0."


def chars_end(**settings: Any) -> float:
    """The loss at the end of a run of the small transformer with these settings."""
    history = train(problems.chars, problems.chars.recipe.replace(**settings))
    return end_level(history.loss, history.stopped)


@lesson.question(
    "The small transformer, AdamW at lr 0.03, 200 updates. In the first 50 lr rises from near 0 to "
    "0.03. Where does the loss end, compared with 0.03 from the first update on?",
    {
        "lower": "The first updates of Adam are its most careless ones. Small, they do no harm.",
        "about the same": "Both have 150 updates at the full lr. But they start from other places.",
        "higher": "A quarter of the updates is made with smaller steps, and yet it pays.",
    },
)
def with_warm_up() -> tuple[str, str]:
    """Train with and without warm-up, with three seeds each."""
    gains = [
        chars_end(optimizer="AdamW", lr=0.03, seed=seed)
        - chars_end(optimizer="AdamW", lr=0.03, seed=seed, warmup_steps=50)
        for seed in range(3)
    ]
    lower, higher = (sum(sign * gain > 0.1 for gain in gains) for sign in (1, -1))
    answer = "lower" if lower > 1 else "higher" if higher > 1 else "about the same"
    return answer, f"With {lower} of 3 seeds it ends lower by more than 0.1."


@lesson.exercise
def check_factor(factor: Callable[[int, int, int], float]) -> str:
    """Check a warm-up followed by a cosine against the formula."""
    for warmup, total in ((4, 20), (1, 10), (10, 11), (50, 200)):
        for update in range(total + 1):
            try:
                value = float(factor(update, warmup, total))
            except TypeError:
                return "Not yet: it does not return a number."
            if not abs(value - _factor(update, warmup, total)) < 1e-6:
                return (
                    f"Not yet: factor({update}, {warmup}, {total}) is {value:.4f}. It should be "
                    f"{_factor(update, warmup, total):.4f}."
                )
    return "Right. Warm-up and cosine are what the formula says, at all updates."


def _factor(update: int, warmup: int, total: int) -> float:
    if update < warmup:
        return (update + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (update - warmup) / (total - warmup)))


LRS = (0.2, 0.1, 0.05, 0.02, 0.01)
"""The learning rates of the check's schedule, update by update."""


@lesson.exercise
def check_train_epoch(train_epoch: Callable[..., object]) -> str:
    """Check an epoch with accumulation and a scheduler, against updates computed by hand."""
    torch.manual_seed(0)
    batches = [(torch.randn(4, 3).double(), torch.randn(4, 1).double()) for _ in range(7)]
    model = nn.Linear(3, 1).double()
    rows: list[int] = []
    model.register_forward_hook(lambda _, args, __: rows.append(len(args[0])))
    by_hand = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: LRS[min(step, len(LRS) - 1)])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        train_epoch(model, optimizer, scheduler, batches, 3)
    if any(size != 4 for size in rows):
        return f"Not yet: the model was called with {max(rows)} samples. Hand it batch by batch."
    if said:
        return f"Not yet: PyTorch warns: {str(said[0].message).split('.')[0]}."
    if scheduler.last_epoch != 3:
        return (
            f"Not yet: 7 batches in threes make 3 updates, but the scheduler was stepped "
            f"{scheduler.last_epoch} times."
        )
    return _compared(model, _epoch_by_hand(by_hand, batches, 3))


def _epoch_by_hand(model: nn.Linear, batches: Sequence[Batch], k: int) -> nn.Linear:
    """The epoch that `check_train_epoch` asks for, with the mean of each group's losses."""
    for update, first in enumerate(range(0, len(batches), k)):
        group = batches[first : first + k]
        losses = [nn.functional.mse_loss(model(x), y) for x, y in group]
        gradients = torch.autograd.grad(torch.stack(losses).mean(), list(model.parameters()))
        with torch.no_grad():
            for p, gradient in zip(model.parameters(), gradients, strict=True):
                p.sub_(LRS[update] * gradient)
    return model


def _compared(model: nn.Linear, by_hand: nn.Linear) -> str:
    for ours, theirs in zip(model.parameters(), by_hand.parameters(), strict=True):
        if not torch.allclose(ours, theirs, atol=1e-9):
            return (
                "Not yet: the scheduler is right, but the parameters end in another place. What is "
                "cleared, what is each loss divided by, and what about the last, shorter group?"
            )
    return "Right. Three updates with their own learning rates, the last from one batch."
