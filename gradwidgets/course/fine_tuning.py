"""Lesson 15, "Fine-tuning"."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from gradwidgets.core import problems
from gradwidgets.course.measuring import flat, kind_of, seeded
from gradwidgets.lessons import Lesson

lesson = Lesson("fine_tuning")


def pretrained_body() -> nn.Sequential:
    """A layer of 32 units out of a network that has learned to read all ten digits."""
    body = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
    body.load_state_dict(_learned())
    return body


@cache
def _learned() -> dict[str, Tensor]:
    x, y = problems.digits.batches()
    with seeded(0):
        body = nn.Sequential(nn.Linear(64, 32), nn.ReLU()).double()
        model = nn.Sequential(body, nn.Linear(32, 10).double())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(300):
        optimizer.zero_grad()
        cross_entropy(model(x.double()), y).backward()
        optimizer.step()
    return body.state_dict()


def _two_layers(first: int = 8) -> tuple[nn.Linear, nn.Linear]:
    with seeded(0):
        return nn.Linear(first, 5).double(), nn.Linear(5, 2).double()


def _data(rows: int, columns: int) -> Tensor:
    with seeded(1):
        return torch.randn(rows, columns, dtype=torch.float64)


@lesson.question(
    "The optimizer was given the parameters with `requires_grad`: the head. After 10 updates the "
    "body gets `requires_grad_(True)`. What does the body do in the next 10 updates?",
    {
        "it learns, like the head": "It gets gradients. Who reads them?",
        "it stands still": "It gets gradients, but no optimizer holds it.",
        "PyTorch raises an error": "Nothing is wrong for PyTorch: somebody else might use the "
        "gradients.",
    },
)
def unfrozen_later() -> tuple[str, str]:
    """Unfreeze the first of two layers that the optimizer was made without."""
    body, head = _two_layers()
    body.requires_grad_(False)
    model, x = nn.Sequential(body, nn.Tanh(), head), _data(16, 8)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    start = flat(body)
    for update in range(20):
        if update == 10:
            body.requires_grad_(True)
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimizer.step()
    moved = (flat(body) - start).norm().item()
    answer = "it learns, like the head" if moved else "it stands still"
    return answer, f"It has moved by {moved:.1f}. It has gradients: {body.weight.grad is not None}."


@lesson.question(
    "All parameters of a body with BatchNorm are frozen, `body.eval()` was called before the loop, "
    "and each epoch begins with `model.train()`. What in the body changes?",
    {
        "nothing": "`model.train()` undoes the `eval()`.",
        "the buffers of BatchNorm": "The running mean and variance and the number of batches "
        "change in training mode, and need no gradient.",
        "the weight and bias of BatchNorm": "These are parameters, and they are frozen.",
    },
)
def frozen_body_in_a_loop() -> tuple[str, str]:
    """Train a head for three epochs and compare the body's state."""
    with seeded(0):
        body = nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5)).double().requires_grad_(False)
        head = nn.Linear(5, 2).double()
    model, x = nn.Sequential(body, head), _data(16, 8)
    before = copy.deepcopy(body.state_dict())
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    body.eval()
    for _ in range(3):
        model.train()
        optimizer.zero_grad()
        (model(x) - 1).square().mean().backward()
        optimizer.step()
    changed = [name for name, value in body.state_dict().items() if not value.equal(before[name])]
    parameters = [name for name, _ in body.named_parameters() if name in changed]
    if parameters:
        answer = "the weight and bias of BatchNorm"
    else:
        answer = "the buffers of BatchNorm" if changed else "nothing"
    return answer, f"Changed: {', '.join(changed)}."


@lesson.question(
    "`A` is random, `B` is 0, the optimizer is SGD. Which of the two moves in the first update?",
    {
        "both": "What is the gradient of `A` multiplied by, on its way back?",
        "only A": "It is the other way round: the gradient of `A` goes through `B`.",
        "only B": "The gradient of `A` goes through `B`, which is 0. That of `B` goes through `A`.",
        "neither": "The product of the two is 0, but its derivative is not.",
    },
)
def first_step_of_lora() -> tuple[str, str]:
    """Make one update."""
    with seeded(0):
        a = nn.Parameter(torch.randn(2, 8, dtype=torch.float64))
    b, x = nn.Parameter(torch.zeros(5, 2, dtype=torch.float64)), _data(16, 8)
    start = a.detach().clone()
    (x @ a.T @ b.T - 1).square().mean().backward()
    torch.optim.SGD([a, b], lr=0.1).step()
    moved = [(a - start).norm().item(), b.norm().item()]
    answer = ["neither", "only B", "only A", "both"][2 * (moved[0] > 0) + (moved[1] > 0)]
    return answer, f"A moves by {moved[0]:.2f}, B by {moved[1]:.2f}."


@lesson.question(
    "A block with parameters to train is checkpointed with `use_reentrant=True`. Its input comes "
    "from frozen layers, a head comes after it. What gradient do its parameters get?",
    {
        "the right one": "It would be, if one of the block's inputs needed a gradient.",
        "None": "No input of the block needs a gradient, so it is left out of the graph.",
        "zeros": "Zeros would be a gradient. There is none at all.",
    },
)
def checkpointed_after_frozen_layers() -> tuple[str, str]:
    """One backward through a head behind a checkpointed block."""
    block, head = _two_layers()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        output = head(checkpoint(block, _data(16, 8), use_reentrant=True))
        output.square().mean().backward()
    gradient = block.weight.grad
    warned = "PyTorch warns." if said else "PyTorch does not warn."
    if gradient is None:
        return "None", warned
    return "the right one" if gradient.any() else "zeros", warned


@lesson.question(
    "An embedding under AdamW. Word 0 occurs in the first batch, word 3 in none. Which of these "
    "two rows moves in the ten updates after the first?",
    {
        "neither": "Their gradient is 0. For AdamW that is not the same as none.",
        "that of word 0": "Adam remembers its gradient. But AdamW also decays.",
        "that of word 3": "It never had a gradient, but it shrinks. And word 0?",
        "both": "Word 0 goes on along its old gradient, and all rows shrink by weight decay.",
    },
)
def unused_rows() -> tuple[str, str]:
    """Ten updates with batches of other words."""
    with seeded(0):
        words = nn.Embedding(4, 2).double()
    optimizer = torch.optim.AdamW(words.parameters(), lr=0.1)
    start = flat(words).view(4, 2)
    for update, batch in enumerate([[0, 1], *[[1, 2]] * 10]):
        optimizer.zero_grad()
        words(torch.tensor(batch)).square().sum().backward()
        optimizer.step()
        if update == 0:
            start = flat(words).view(4, 2)
    first, last = ((words.weight - start)[row].norm().item() for row in (0, 3))
    answer = ["neither", "that of word 3", "that of word 0", "both"][2 * (first > 0) + (last > 0)]
    return answer, f"Word 0 moves by {first:.3f}, word 3 by {last:.3f}."


@lesson.exercise
def check_groups_for(groups_for: Callable[[nn.Module, float, float], Any]) -> str:
    """Build AdamW from the groups, and read what it holds for each parameter."""
    model = nn.ModuleDict(
        {
            "body": nn.Sequential(nn.Conv1d(2, 3, 2), nn.LayerNorm(4), nn.Linear(4, 4)),
            "overhead": nn.Linear(4, 4),
            "heads": nn.Linear(4, 4),
            "head": nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2)),
        }
    )
    frozen = ("body.2.weight", "body.2.bias", "head.0.bias")
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)
    try:
        groups = groups_for(model, 0.2, 0.05)
        if groups is None:
            return "Not yet: it returns nothing."
        optimizer = torch.optim.AdamW(groups, lr=7.0, weight_decay=7.0)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return f"Not yet: {type(error).__name__}: {error}"
    held = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    for name, p in model.named_parameters():
        if said := _wrong_group(name, p, held.get(id(p))):
            return said
    return "Right. Each parameter has the learning rate and the decay of its kind."


def _wrong_group(name: str, p: nn.Parameter, found: tuple[float, float] | None) -> str:
    """A sentence on what is wrong with a parameter's settings, or an empty one."""
    if found is None:
        return f"Not yet: {name!r} is in no group." if p.requires_grad else ""
    if not p.requires_grad:
        return f"Not yet: {name!r} is frozen, but in a group."
    settings = {
        "lr": (found[0], 0.2 if name.startswith("head.") else 0.02),
        "weight_decay": (found[1], 0.05 if p.dim() > 1 else 0.0),
    }
    for setting, (value, right) in settings.items():
        if not abs(float(value) - right) < 1e-9:
            return (
                f"Not yet: for lr 0.2 and decay 0.05, {name!r} has {setting} {value:g}. "
                f"It should be {right:g}."
            )
    return ""


@lesson.exercise
def check_lora(make: Callable[[nn.Linear, int], nn.Module]) -> str:
    """Check what a LoRA module trains, gives at first, and gives after some updates."""
    with seeded(0):
        linear = nn.Linear(7, 5).double()
    unchanged, x = copy.deepcopy(linear), _data(16, 7)
    try:
        module = make(linear, 2).double()
        start = module(x)
    except (AttributeError, TypeError, RuntimeError) as error:
        return f"Not yet: {type(error).__name__}: {str(error).splitlines()[0]}"
    if not isinstance(start, Tensor) or start.shape != (16, 5):
        return f"Not yet: it should give a table of (16, 5), not {kind_of(start)}."
    if not torch.allclose(start, unchanged(x), atol=1e-9):
        return "Not yet: at first it should give what `linear` gives."
    learning = [p for p in module.parameters() if p.requires_grad]
    numbers = sum(p.numel() for p in learning)
    if numbers != 2 * (7 + 5):
        return f"Not yet: for rank 2, 7 inputs and 5 outputs it trains {numbers} numbers, not 24."
    return _trained(module, learning, x) or _side_path(module, unchanged)


def _trained(module: nn.Module, learning: list[nn.Parameter], x: Tensor) -> str:
    before = [p.detach().clone() for p in learning]
    optimizer = torch.optim.SGD(learning, lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        loss = (module(x) - x[:, :5].cos()).square().mean()
        if not loss.requires_grad:
            return "Not yet: the outputs do not depend on what is to be trained."
        loss.backward()
        optimizer.step()
    if any(p.equal(old) for p, old in zip(learning, before, strict=True)):
        return "Not yet: after five updates A or B is where it was. Do both start at 0?"
    return ""


def _side_path(module: nn.Module, linear: nn.Linear) -> str:
    """Look at what training has added: a matrix of rank 2, and no constant."""
    with torch.no_grad():
        inputs = torch.cat([torch.zeros(1, 7), torch.eye(7), -2 * torch.eye(7)]).double()
        added = module(inputs) - linear(inputs)
    constant, once, twice = added[0], added[1:8], added[8:]
    if not torch.allclose(constant, torch.zeros(5).double(), atol=1e-9):
        return "Not yet: for an input of zeros it should still give what `linear` gives."
    if not torch.allclose(twice, -2 * once, atol=1e-9):
        return "Not yet: -2 times an input should add -2 times as much, as matrices do."
    if int(torch.linalg.matrix_rank(once)) != 2:
        return "Not yet: what is added is no product of two matrices of rank 2."
    return "Right. It starts as the layer, and learns a side path of rank 2 beside it."
