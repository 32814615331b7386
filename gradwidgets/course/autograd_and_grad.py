"""Lesson 01, "Autograd and `.grad`"."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradwidgets.lessons import Lesson

lesson = Lesson("autograd_and_grad")


def doubling() -> tuple[Tensor, Tensor]:
    """Three inputs, and twice as much as the target."""
    x = torch.tensor([[1.0], [2.0], [3.0]])
    return x, 2 * x


@lesson.question(
    "What does `backward()` do with this loss?",
    {
        "`.grad` says which way to go": "A comparison says yes or no. It has no slope to follow.",
        "`.grad` is 0": "A fair guess: a small step changes nothing. But a comparison leaves no "
        "node, so there is no way back at all.",
        "it raises an error": "A comparison leaves no node, so the loss hangs on nothing.",
    },
)
def share_of_bad() -> tuple[str, str]:
    """Call `backward()` on the share of answers that are off by 2 or more."""
    x, y = doubling()
    weight = torch.tensor(0.5, requires_grad=True)
    loss = 1 - ((weight * x - y).abs() < 2).float().mean()
    measured = f"The share of bad answers is {loss.item():.2f}."
    try:
        loss.backward()
    except RuntimeError:
        return "it raises an error", measured
    flat = weight.grad is None or weight.grad.item() == 0
    return "`.grad` is 0" if flat else "`.grad` says which way to go", measured


@lesson.question(
    "Which of them have a `.grad` after `loss.backward()`?",
    {
        "the parameters": "They ask for a gradient, and they are where the graph ends.",
        "parameters and output": "The gradient passes through the output, but is not kept there.",
        "parameters, output and loss": "The gradient starts at the loss and passes through the "
        "output. Neither keeps it.",
        "all four": "The inputs did not ask, and what lies on the way is not kept.",
    },
)
def who() -> tuple[str, str]:
    """Look for `.grad` in four kinds of tensors after one `backward()`."""
    x, y = doubling()
    net = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    output = net(x)
    loss = nn.functional.mse_loss(output, y)
    loss.backward()
    tensors = {"inputs": x, "parameters": net[0].weight, "output": output, "loss": loss}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that output and loss are no leaves
        holders = tuple(name for name, tensor in tensors.items() if tensor.grad is not None)
    answer = {
        ("parameters",): "the parameters",
        ("parameters", "output"): "parameters and output",
        ("parameters", "output", "loss"): "parameters, output and loss",
        tuple(tensors): "all four",
    }[holders]
    return answer, f"A `.grad` was found in: {', '.join(holders)}."


@lesson.question(
    "One call gives -14. `loss.backward()`, and once more `loss.backward()`: what comes of the "
    "second?",
    {
        "-28, it adds": "It would add, if it still could walk the graph.",
        "-14, nothing is left to add": "It does not pass over this in silence.",
        "an error": "The first pass has let go what the nodes had kept.",
    },
)
def twice() -> tuple[str, str]:
    """Call `backward()` twice on one loss."""
    x, y = doubling()
    weight = torch.tensor(0.5, requires_grad=True)
    loss = ((weight * x - y) ** 2).mean()
    loss.backward()
    try:
        loss.backward()
    except RuntimeError as error:
        return "an error", f"PyTorch says: {str(error).split(' (')[0]}."
    assert weight.grad is not None
    total = weight.grad.item()
    answer = "-28, it adds" if total < -20 else "-14, nothing is left to add"
    return answer, f"Afterwards `.grad` is {total:.0f}."


@lesson.question(
    "The step moves the weight from 0.5 to 1.2. Which of them still say 0.5?",
    {
        "all of them": "`step()` writes into the tensor that is there; its other names see that.",
        "all but `p`": "`p.data` and `p.detach()` are without the graph, but in the same memory.",
        "`model.state_dict()` and `p.detach().clone()`": "A state dict holds the parameters' own "
        "memory. What you save to a file is a copy; what you keep in a variable is not.",
        "`p.detach().clone()` alone": "Only a copy has memory of its own.",
    },
)
def snapshots() -> tuple[str, str]:
    """Keep a weight in five ways, make a step, and see which have not moved."""
    x, y = doubling()
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.5)
    p = model.weight
    kept = {
        "p": p,
        "p.data": p.data,
        "p.detach()": p.detach(),
        "model.state_dict()": model.state_dict()["weight"],
        "p.detach().clone()": p.detach().clone(),
    }
    nn.functional.mse_loss(model(x), y).backward()
    torch.optim.SGD(model.parameters(), lr=0.05).step()
    old = tuple(way for way, value in kept.items() if value.item() == 0.5)
    answer = {
        tuple(kept): "all of them",
        tuple(kept)[1:]: "all but `p`",
        tuple(kept)[3:]: "`model.state_dict()` and `p.detach().clone()`",
        tuple(kept)[4:]: "`p.detach().clone()` alone",
    }[old]
    return answer, f"The weight has moved to {p.item():.1f}; {len(old)} of 5 still say 0.5."


@lesson.question(
    "What does `power.backward()` leave in `weight.grad`?",
    {
        "1.6, the right gradient": "The node of `exp` has kept its result for the way back, and "
        "that is the tensor which you changed.",
        "16.5, ten times too much": "The node of `exp` uses the changed tensor, and no count "
        "tells it that something is wrong.",
        "it raises an error": "It would, if the change had been counted.",
    },
)
def behind() -> tuple[str, str]:
    """Change the result of `exp` through `.data` before `backward()`."""
    weight = torch.tensor(0.5, requires_grad=True)
    power = weight.exp()
    power.data.mul_(10)
    try:
        power.backward()
    except RuntimeError:
        return "it raises an error", "The change was noticed."
    assert weight.grad is not None
    found = weight.grad.item()
    answer = "1.6, the right gradient" if found < 10 else "16.5, ten times too much"
    return answer, f"The version of `power` is {power._version}, the gradient {found:.1f}."


Node = torch.autograd.graph.Node


def depth(node: Node | None) -> int:
    """The number of nodes on the longest way down from a node, itself included; 0 for None."""
    if node is None:
        return 0
    return 1 + max([depth(below) for below, _ in node.next_functions], default=0)


def has_cycle(node: Node | None, above: tuple[Node, ...] = ()) -> bool:
    """True if some way down from a node comes back to a node that it has passed."""
    if node is None:
        return False
    return node in above or any(has_cycle(n, (*above, node)) for n, _ in node.next_functions)


class WrongSquare(torch.autograd.Function):
    """Squares; its derivative, written by hand, lacks a factor of 2."""

    @staticmethod
    def forward(context: Any, a: Tensor) -> Tensor:
        """The square."""
        context.save_for_backward(a)
        return a**2

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> Tensor:
        """Half of what it should be."""
        a: Tensor = context.saved_tensors[0]
        return slopes[0] * a


@lesson.exercise
def check_best_state(best_state: Callable[..., object]) -> str:
    """Check the best state against a run of SGD with momentum written by hand."""
    for seed in range(5):
        if fault := _fault_in_best(best_state, seed):
            return f"Not yet: {fault}"
    return "Right. Five runs overshoot, and you hold the best state of each."


def _fault_in_best(best_state: Callable[..., object], seed: int) -> str:
    """The fault found in a run of one random problem; empty if there is none."""
    updates = 12 + seed
    torch.manual_seed(seed)
    x, y = torch.randn(16, 2).double(), torch.randn(16, 1).double()
    model = nn.Linear(2, 1, bias=False).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.95)
    losses, right = _by_hand(model.weight.detach().clone(), x, y, updates)
    path = [model.weight.detach().clone()]
    optimizer.register_step_post_hook(lambda *_: path.append(model.weight.detach().clone()))
    state = best_state(model, optimizer, x, y, updates)
    if len(path) != len(right):
        return f"asked for {updates} updates, it makes {len(path) - 1}."
    for update, (found, expected) in enumerate(zip(path, right, strict=True)):
        if not torch.allclose(found, expected, rtol=1e-6):
            return f"update {update} does not land where the four lines land."
    return _fault_in_state(state, model, right, losses)


def _by_hand(
    weights: Tensor, x: Tensor, y: Tensor, updates: int
) -> tuple[list[float], list[Tensor]]:
    """The loss before each update, and the weights before the first and after each."""
    velocity, losses, path = torch.zeros_like(weights), [], [weights]
    for _ in range(updates):
        error = x @ weights.T - y
        losses.append(error.square().mean().item())
        velocity = 0.95 * velocity + 2 * error.T @ x / len(x)
        weights = weights - 0.1 * velocity
        path.append(weights)
    return losses, path


def _fault_in_state(
    state: object, model: nn.Linear, path: list[Tensor], losses: list[float]
) -> str:
    """The fault in what `best_state` returns; empty if there is none."""
    weight: Any = state.get("weight") if isinstance(state, Mapping) else None
    if not isinstance(weight, Tensor):
        return (
            f"it returns an object of type {type(state).__name__}. Return a dict, as state_dict() "
            "does, with the tensor under 'weight'."
        )
    if weight.data_ptr() == model.weight.data_ptr():
        return "what you return are the model's own tensors. They change with its next update."
    if torch.allclose(weight, path[losses.index(min(losses))], rtol=1e-6):
        return ""
    if torch.allclose(weight, path[-1], rtol=1e-6):
        return "you hold the last weights, not the best ones."
    return "another measured state has a lower loss. Is yours from before step(), or after?"


@lesson.exercise
def check_add_penalty(add_penalty: Callable[..., object]) -> str:
    """Check a penalty that is added to gradients in place, counted and not tracked."""
    for seed in range(5):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 2 + seed), nn.Tanh(), nn.Linear(2 + seed, 1)).double()
        model(torch.randn(6, 3).double()).square().mean().backward()
        model.add_module("forgotten", nn.Linear(2, 2).double())
        if fault := _fault_in_penalty(add_penalty, model, lam=0.1 * (seed + 1)):
            return f"Not yet: {fault}"
    return "Right. The same numbers, nothing tracked, and every change is counted."


def _fault_in_penalty(add_penalty: Callable[..., object], model: nn.Module, lam: float) -> str:
    """The fault found with one model; empty if there is none."""
    parameters = dict(model.named_parameters())
    before = {name: (p.detach().clone(), p.grad, *_noted(p.grad)) for name, p in parameters.items()}
    try:
        add_penalty(model, lam)
    except (AttributeError, TypeError) as error:
        return f"{error}. One layer took no part: its .grad is None."
    for name, p in parameters.items():
        value, tensor, old, version = before[name]
        if not p.equal(value):
            return f"the parameter {name} itself has changed."
        right = None if old is None else old + lam * value
        if fault := _fault_in_grad(p.grad, right) or _fault_in_edit(p.grad, tensor, version):
            return f"the .grad of {name} {fault}"
    return ""


def _fault_in_grad(grad: Tensor | None, right: Tensor | None) -> str:
    """The fault in a gradient's values; empty if there is none."""
    if right is None:
        return "" if grad is None else "was None, and now it is not."
    if grad is None or not torch.allclose(grad, right, rtol=1e-9):
        return "is not the old one plus lam * p."
    return ""


def _noted(grad: Tensor | None) -> tuple[Tensor | None, int]:
    """A copy of a gradient, and its version."""
    return (None, 0) if grad is None else (grad.clone(), grad._version)


def _fault_in_edit(grad: Tensor | None, tensor: Tensor | None, version: int) -> str:
    """The fault in the way that a gradient was edited; empty if there is none."""
    if grad is None:
        return ""
    if grad.requires_grad:
        return "is tracked now: its requires_grad is True."
    if grad is not tensor:
        return "is a new tensor. Edit the one that is there, in place."
    if grad._version == version:
        return "has changed, but its version has not. Is there a .data?"
    return ""
