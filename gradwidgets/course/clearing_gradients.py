"""Lesson 02, "Clearing gradients"."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gradwidgets.course.measuring import flat, seeded
from gradwidgets.lessons import Lesson

lesson = Lesson("clearing_gradients")


@lesson.question(
    "After five batches without clearing: how much does the oldest batch count?",
    {
        "in full, like the newest": "`.grad` is a plain sum: 1 of each.",
        "less: older ones fade": "Nothing makes them fade. Adding leaves what is there untouched.",
        "a fifth": "That would be an average. Nobody divides by five.",
    },
)
def oldest_batch() -> tuple[str, str]:
    """Add up the gradients of five batches, each 1 in an element of its own."""
    p = nn.Parameter(torch.zeros(5))
    for batch in range(5):
        p[batch].backward()
    assert p.grad is not None
    first, last = p.grad[0].item(), p.grad[-1].item()
    if first < last:
        answer = "less: older ones fade"
    else:
        answer = "a fifth" if first < 1 else "in full, like the newest"
    return answer, f"The oldest has weight {first:.1f}, the newest {last:.1f}."


def bowl_data() -> tuple[Tensor, Tensor]:
    """Ten inputs and a noisy target, 64 samples."""
    with seeded(0):
        x = torch.randn(64, 10, dtype=torch.float64)
        y = x @ torch.randn(10, 1, dtype=torch.float64)
        return x, y + 0.1 * torch.randn(64, 1, dtype=torch.float64)


def run(
    lr: float = 0.01, clear: bool = True, updates: int = 60, average: bool = False, **options: Any
) -> tuple[Tensor, list[float]]:
    """The parameters and the loss after each update of SGD on all data.

    Args:
        lr: the learning rate.
        clear: call `zero_grad()` before each update.
        updates: how many.
        average: divide the step of update n by n: with `clear=False`, the mean of all gradients.
        options: of SGD.
    """
    x, y = bowl_data()
    with seeded(1):
        model = nn.Linear(10, 1).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **options)
    path, losses = [], []
    for update in range(updates):
        if clear:
            optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        if average:
            optimizer.param_groups[0]["lr"] = lr / (update + 1)
        optimizer.step()
        path.append(flat(model))
        losses.append(nn.functional.mse_loss(model(x), y).item())
    return torch.stack(path), losses


@lesson.question(
    "There is a loop that does clear, and makes the very same steps as SGD without "
    "`zero_grad()`. What is special about it?",
    {
        "it averages all gradients so far": "It adds them up. But nobody divides.",
        "it has a ten times larger `lr`": "The steps are longer, but not by a fixed factor, "
        "and they do not always point along the fresh gradient.",
        "it has momentum 0.9": "Nearly the idea. But 0.9 lets old gradients fade.",
        "it has momentum 1.0": "Momentum 1.0 keeps all of its old direction: a running sum.",
    },
)
def same_loop() -> tuple[str, str]:
    """Compare the path without clearing with four others."""
    never = run(clear=False)[0]
    loops = {
        "it averages all gradients so far": run(clear=False, average=True),
        "it has a ten times larger `lr`": run(lr=0.1),
        "it has momentum 0.9": run(momentum=0.9),
        "it has momentum 1.0": run(momentum=1.0),
    }
    gaps = {label: (never - path).abs().max().item() for label, (path, _) in loops.items()}
    closest, second = sorted(gaps, key=gaps.__getitem__)[:2]
    return closest, (
        f"The largest distance of a parameter is {gaps[closest]:.3f}; in the others at least "
        f"{gaps[second]:.2f}."
    )


def steepness() -> float:
    """The largest steepness of the problem's bowl: of its second derivatives the largest."""
    x, _ = bowl_data()
    inputs = torch.cat([x, torch.ones(64, 1, dtype=torch.float64)], dim=1)
    return 2 * float(torch.linalg.eigvalsh(inputs.T @ inputs / 64)[-1])


def fate(losses: list[float]) -> str:
    """The end of a run in words, from its last 100 losses."""
    highest = max(losses[-100:])
    if not highest < 1e9:
        return "runs away"
    return "settles" if highest < 0.1 else "goes on swinging"


@lesson.question(
    "`lr * steepness` is 2.1, all data, 400 updates. What does the loop without `zero_grad()` do?",
    {
        "runs away": "Forgetting does not make the same motion larger. It makes another motion.",
        "goes on swinging": "A ball without friction rolls up the other side, and back. It "
        "neither rests nor escapes.",
        "settles": "To settle, something must take its speed away.",
    },
)
def above_the_limit() -> tuple[str, str]:
    """Run both loops just above the limit of the one that clears."""
    lr = 2.1 / steepness()
    cleared, never = (fate(run(lr, clear, updates=400)[1]) for clear in (True, False))
    return never, f"With clearing the loop {cleared}, without it {never}."


def idle_moves(name: str, set_to_none: bool, **options: Any) -> float:
    """Largest move of a second head in ten updates whose loss leaves it out.

    Args:
        name: of a class of `torch.optim`.
        set_to_none: of `zero_grad`.
        options: of the optimizer.
    """
    x, y = bowl_data()
    with seeded(0):
        first, second = nn.Linear(10, 1).double(), nn.Linear(10, 1).double()
    optimizer = getattr(torch.optim, name)([*first.parameters(), *second.parameters()], **options)
    before = flat(second)
    for update in range(30):
        if update == 20:
            before = flat(second)
        optimizer.zero_grad(set_to_none)
        loss = nn.functional.mse_loss(first(x), y)
        if update < 20:
            loss = loss + nn.functional.mse_loss(second(x), -y)
        loss.backward()
        optimizer.step()
    return (flat(second) - before).abs().max().item()


@lesson.question(
    "Adam, and ten updates in which the second head has no part. Does that head move?",
    {
        "with neither": "A zero gradient is not the same as none: Adam's memory still moves it.",
        "only with zeros": "`None` says: leave this one out. Zero says: here is a gradient, "
        "take your step, and Adam's step comes from its memory.",
        "only with `None`": "The other way round. `step()` skips what has no gradient.",
        "with both": "Adam's `step()` skips every parameter whose `.grad` is `None`.",
    },
)
def idle_head() -> tuple[str, str]:
    """Train two heads, leave one out of the loss, and see if it moves."""
    none, zeros = (idle_moves("Adam", set_to_none, lr=0.01) for set_to_none in (True, False))
    answer = {
        (False, False): "with neither",
        (False, True): "only with zeros",
        (True, False): "only with `None`",
        (True, True): "with both",
    }[none > 0, zeros > 0]
    return answer, f"It moves by {none:.3f} with `None`, and by {zeros:.3f} with zeros."


def batches_kept(habit: str, updates: int) -> int:
    """Number of batches that are still in memory after so many updates.

    Args:
        habit: "cleared", "zeros", "never", "notes" (losses kept in a list), "create_graph" (as an
            option of `backward`, never cleared) or "create_graph, cleared".
        updates: how many.
    """
    x, y = bowl_data()
    model = nn.Linear(10, 1).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    notes = []
    for _ in range(updates):
        if habit not in ("never", "create_graph"):
            optimizer.zero_grad(set_to_none=habit != "zeros")
        batch = x.clone()
        alive.add(batch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch says that it keeps the graph
            loss = nn.functional.mse_loss(model(batch), y)
            loss.backward(create_graph=habit.startswith("create_graph"))
        optimizer.step()
        if habit == "notes":
            notes.append(nn.functional.mse_loss(model(batch), y))
    del batch, loss
    kept = len(alive)
    model.zero_grad()  # what has a graph would stay for good
    return kept


@lesson.question(
    "In which of these loops does the memory in use grow with each update?",
    {
        "`zero_grad()` is never called": "`backward()` adds to the tensor that is there. It is "
        "one tensor per parameter, after one update as after a thousand.",
        "gradients are cleared with zeros": "The same tensors are filled again and again.",
        "losses that only measure are kept in a list": "Such a loss holds on to its whole graph, "
        "until `backward()` has used it up. Nobody calls `backward()` on these.",
        "none of these": "Look for what stays reachable: a list holds all that is put into it.",
    },
)
def what_grows() -> tuple[str, str]:
    """Count the batches in memory after 20 and after 60 updates."""
    loops = {
        "`zero_grad()` is never called": "never",
        "gradients are cleared with zeros": "zeros",
        "losses that only measure are kept in a list": "notes",
    }
    growth = {
        label: batches_kept(habit, 60) - batches_kept(habit, 20) for label, habit in loops.items()
    }
    worst = max(growth, key=growth.__getitem__)
    answer = worst if growth[worst] > 0 else "none of these"
    return answer, f"After 40 more updates {growth[worst]} more batches are still in memory."


@lesson.exercise
def check_remembering_step(remembering_step: Callable[..., object]) -> str:
    """Check momentum 1.0 written by hand against sums of gradients computed by hand."""
    for seed in range(5):
        if fault := _fault_in_remembering(remembering_step, seed):
            return f"Not yet: {fault}"
    return "Right. Fifteen steps are those of a loop that never clears."


def _fault_in_remembering(remembering_step: Callable[..., object], seed: int) -> str:
    """The fault found in three steps of a random model; empty if there is none."""
    model, x, y = _random_regression(seed, 6)
    memory, lr = [torch.zeros_like(p) for p in model.parameters()], 0.02 * (seed + 1)
    expected, total = flat(model), torch.zeros(4).double()
    for update in (1, 2, 3):
        total += _slope(expected, x, y)
        expected = expected - lr * total
        before, versions = flat(model), [p._version for p in model.parameters()]
        model.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        try:
            remembering_step(model, memory, lr)
        except RuntimeError as error:
            return f"PyTorch says: {error} Parameters are edited in torch.no_grad()."
        after = flat(model)
        if after.equal(before):
            return _nothing_moved(memory)
        if not torch.allclose(after, expected, rtol=1e-9):
            return (
                "the first step should be lr times the gradient, downhill."
                if update == 1
                else f"step {update} is wrong. What should memory hold by then?"
            )
        if versions == [p._version for p in model.parameters()]:
            return "it writes behind autograd's back. Use torch.no_grad() in place of .data."
    return ""


def _nothing_moved(memory: list[Tensor]) -> str:
    if any(bool(each.any()) for each in memory):
        return (
            "memory has changed, but no parameter has moved. Memory is zero at first: does the "
            "gradient go into it before the step? And is the parameter edited in place?"
        )
    return "neither a parameter nor memory has changed. Edit both in place, or put new into memory."


@lesson.exercise
def check_one_round(one_round: Callable[..., object]) -> str:
    """Check training that measures on held-out data, against updates computed by hand."""
    for seed in range(4):
        if fault := _fault_in_round(one_round, seed):
            return f"Not yet: {fault}"
    return "Right. Sixteen updates, sixteen measurements, and nothing left behind."


def _fault_in_round(one_round: Callable[..., object], seed: int) -> str:
    """The fault found with one random model; empty if there is none."""
    (model, *held_out), *others = (_random_regression(seed + 10 * n, 5) for n in range(5))
    batches = [(x, y) for _, x, y in others]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weights, right = flat(model), []
    for x, y in batches:
        weights = weights - 0.1 * _slope(weights, x, y)
        right.append(_error(weights, *held_out).square().mean().item())
    values = one_round(model, optimizer, list(batches), tuple(held_out))
    if not isinstance(values, list) or len(values) != len(batches):
        return "return a list with one measurement for each batch."
    if any(isinstance(value, Tensor) and value.grad_fn is not None for value in values):
        return "your measurements still hold their graphs."
    if not all(isinstance(value, float) for value in values):
        return "each measurement should be a plain float."
    wrong = [n for n, (v, r) in enumerate(zip(values, right, strict=True), 1) if abs(v - r) > 1e-9]
    if wrong == []:
        return ""
    if wrong[0] == 1:
        return "the first measurement is wrong. It is made on held_out, after the first update."
    return f"the first is right, measurement {wrong[0]} is not. What is still in .grad?"


def _random_regression(seed: int, samples: int) -> tuple[nn.Linear, Tensor, Tensor]:
    with seeded(seed):
        model = nn.Linear(3, 1).double()
        return model, torch.randn(samples, 3).double(), torch.randn(samples, 1).double()


def _error(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return x @ weights[:3, None] + weights[3] - y


def _slope(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of the mean squared error, by hand."""
    error = _error(weights, x, y)
    return torch.cat([2 * x.T @ error / len(x), 2 * error.mean(0, keepdim=True)]).flatten()
