"""Lesson 07, "Inside the optimizer"."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import problems
from gradwidgets.course.measuring import flat, nearest
from gradwidgets.lessons import Lesson

lesson = Lesson("inside_the_optimizer")


@lesson.question(
    "Momentum with beta 0.9, lr 0.1, and always gradient 1. How long are the steps in the end?",
    {
        "0.1, as without momentum": "Only the first step is that long: there is no velocity yet.",
        "0.19": "That is the second step: 0.1 times (0.9 + 1). The velocity goes on growing.",
        "1.0": "The velocity settles where fading and adding balance: v = 0.9 * v + 1 at v = 10.",
        "they grow without end": "They would with beta 1, when nothing fades.",
    },
)
def momentum_steps() -> tuple[str, str]:
    """Give SGD with momentum the same gradient 200 times."""
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([p], lr=0.1, momentum=0.9)
    lengths = []
    for _ in range(200):
        before, p.grad = p.item(), torch.ones_like(p)
        optimizer.step()
        lengths.append(abs(p.item() - before))
    if lengths[-1] > 1.01 * lengths[-50]:
        answer = "they grow without end"
    else:
        answer = nearest(lengths[-1], {0.1: "0.1, as without momentum", 0.19: "0.19", 1.0: "1.0"})
    return answer, f"Steps 1, 2 and 200: {lengths[0]:.2f}, {lengths[1]:.2f}, {lengths[-1]:.2f}."


def first_printed_step(gradient: float, lr: float) -> float:
    """Length of the first step of Adam without bias correction."""
    m, v = 0.1 * gradient, 0.001 * gradient**2
    return float(lr * m / (v**0.5 + 1e-8))


def first_adam_step(gradient: float, lr: float) -> float:
    """Length of the first step of `torch.optim.Adam`."""
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    p.grad = torch.full_like(p, gradient)
    torch.optim.Adam([p], lr=lr).step()
    return abs(p.item())


@lesson.question(
    "Both get the same gradient. How long is the first step of `printed`, compared with that of "
    "`torch.optim.Adam`?",
    {
        "a tenth as long": "m is a tenth of the gradient, true. But it is divided by a sqrt(v) "
        "that is too small, too.",
        "just as long": "Something is missing in the printed rule.",
        "about three times as long": "m is 0.1 of the gradient, sqrt(v) about 0.032 of it. Their "
        "quotient is 3.16.",
        "ten times as long": "That is RMSprop with alpha 0.99. Here both memories are young.",
    },
)
def printed_adam() -> tuple[str, str]:
    """Compare the first steps for one gradient."""
    ratio = first_printed_step(3.0, lr=0.001) / first_adam_step(3.0, lr=0.001)
    choices = {
        0.1: "a tenth as long",
        1.0: "just as long",
        3.16: "about three times as long",
        10.0: "ten times as long",
    }
    return nearest(ratio, choices), f"The ratio is {ratio:.2f}."


def losses_of(
    model: nn.Module, optimizer: torch.optim.Optimizer, first: int, updates: int
) -> list[float]:
    """Train on the digits from one update on, 64 images at each."""
    data = problems.digits.batches()
    assert isinstance(data, tuple)
    images, labels = data
    batches = list(zip(images.double().split(64), labels.split(64), strict=True))
    losses = []
    for update in range(first, first + updates):
        x, y = batches[update % len(batches)]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@lesson.question(
    "RMSprop, only the model was saved. What happens when you go on?",
    {
        "it goes on as if there had been no break": "The weights are the same. The sizes that "
        "RMSprop had learned are gone.",
        "it goes on a little slower": "A new memory is too small, and RMSprop divides by it. That "
        "makes steps longer, not shorter.",
        "the loss leaps up": "The memory starts from zero again: the first step is ten times `lr` "
        "for every weight, in a model that was nearly done.",
    },
)
def model_only() -> tuple[str, str]:
    """Train for 100 updates, and go on with the same model, with the old and a new RMSprop."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).double()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    losses_of(model, optimizer, first=0, updates=100)
    saved = copy.deepcopy(model.state_dict())
    straight = losses_of(model, optimizer, first=100, updates=3)
    model.load_state_dict(saved)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    later = losses_of(model, optimizer, first=100, updates=3)
    if later == straight:
        answer = "it goes on as if there had been no break"
    elif later[1] > 3 * straight[1]:
        answer = "the loss leaps up"
    else:
        answer = "it goes on a little slower"
    return answer, f"The next losses: {_listed(later)}. Without a break: {_listed(straight)}."


def lbfgs_move(edited: bool) -> Tensor:
    """The move by one step of LBFGS, with all gradients set to zero before it or not."""
    torch.manual_seed(0)
    data = problems.digits.batches()
    assert isinstance(data, tuple)
    x, y = data[0][:256].double(), data[1][:256]
    model = nn.Linear(64, 10).double()
    start = flat(model)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss.item()

    closure()
    if edited:
        optimizer.zero_grad(set_to_none=False)
    optimizer.step(closure)
    return flat(model) - start


@lesson.question(
    "Every gradient is set to zero before `step(closure)`. How far does LBFGS move the model?",
    {
        "not at all": "So it would be with SGD. LBFGS makes its own gradients.",
        "less far than without the edit": "Not even its first direction uses your edited gradient.",
        "exactly as far as without the edit": "The first thing that step does is to call the "
        "closure, and the closure clears `.grad`.",
    },
)
def edited_before() -> tuple[str, str]:
    """Make one step with the edit and one without."""
    plain, edited = lbfgs_move(edited=False), lbfgs_move(edited=True)
    if torch.equal(plain, edited):
        answer = "exactly as far as without the edit"
    else:
        answer = "less far than without the edit" if edited.any() else "not at all"
    same = torch.equal(plain, edited)
    return answer, f"It moves by {edited.norm():.2f}; equal to the last bit without: {same}."


@lesson.exercise
def check_nesterov(nesterov: Callable[..., object]) -> str:
    """Check a rule on two parameters in turn, against sums of all earlier gradients."""
    for seed in range(5):
        torch.manual_seed(seed)
        lr, beta = 0.1 * (seed + 1), 0.5 + 0.1 * seed
        tracks = [_Track(lr, beta), _Track(lr, beta)]
        for update in (1, 2, 3):
            for track in tracks:
                if complaint := track.complaint(nesterov, update):
                    return f"Not yet: {complaint}"
    return "Right. Thirty steps with five settings are what they should be."


class _Track:
    """One parameter with its gradient and state, and the velocity worked out beside it."""

    def __init__(self, lr: float, beta: float) -> None:
        self.lr, self.beta = lr, beta
        self.p = nn.Parameter(torch.randn(3, dtype=torch.float64))
        self.g = torch.zeros(3, dtype=torch.float64)
        self.state: dict[str, Any] = {}
        self.v = torch.zeros(3, dtype=torch.float64)

    def complaint(self, rule: Callable[..., object], update: int) -> str:
        """Let the rule make one step; say what is wrong with it, or ""."""
        self.g.copy_(torch.randn(3, dtype=torch.float64))  # as zero_grad(set_to_none=False) allows
        g, before, version = self.g.clone(), self.p.detach().clone(), self.p._version
        with torch.no_grad():
            rule(self.p, self.g, self.state, self.lr, self.beta)
        self.v = self.beta * self.v + g
        move = (before - self.p.detach()) / self.lr
        if not torch.equal(self.g, g):
            return "your rule changes g. It is the parameter's .grad; leave it alone."
        if not move.any():
            return "p has not moved. Change it in place: p.add_(...) or p -= ..."
        if self.p._version == version:
            return "you write to p.data, which hides the change from autograd. Write to p itself."
        return "" if torch.allclose(move, g + self.beta * self.v) else self._why(move, g, update)

    def _why(self, move: Tensor, g: Tensor, update: int) -> str:
        if torch.allclose(move, self.v):
            return "p moves by the velocity alone, without the look ahead."
        if torch.allclose(move, -g - self.beta * self.v):
            return "p goes the wrong way: a step goes against the gradient."
        if torch.allclose(move, self.v + self.beta * g):
            return "you move by v + beta * g. Asked for is beta * v + g."
        if update == 1:
            return "the first step is wrong. By how much does p move?"
        return (
            f"the first step is right, step {update} is not. What is in state? (If g itself is "
            "kept there, it changes with the next gradient: keep a copy.)"
        )


@lesson.exercise
def check_resume(save: Callable[..., object], resume: Callable[..., object]) -> str:
    """Check that a new model goes on as the old one did, with four optimizers."""
    tried: list[tuple[str, dict[str, Any]]] = [
        ("SGD", {"momentum": 0.9}),
        ("RMSprop", {}),
        ("Adam", {}),
        ("AdamW", {}),
    ]
    for seed, (name, options) in enumerate(tried):
        if complaint := _wrong_resume(save, resume, seed, name, options):
            return f"Not yet: with {name}, {complaint}"
    return "Right. Four optimizers go on to the last bit."


def _wrong_resume(
    save: Callable[..., object],
    resume: Callable[..., object],
    seed: int,
    name: str,
    options: dict[str, Any],
) -> str:
    model, optimizer = _fresh(seed, name, options)
    _train(model, optimizer, first=0)
    optimizer.param_groups[0]["lr"] = 0.02  # as a scheduler does
    there = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    checkpoint = save(model, optimizer)
    if checkpoint is None:
        return "save returns nothing. Return a dictionary, for example."
    if _differs((model.state_dict(), optimizer.state_dict()), there):
        return "save changes the model or the optimizer."
    _train(model, optimizer, first=4)
    new, new_optimizer = _fresh(seed + 100, name, options)
    resume(checkpoint, new, new_optimizer)
    found = new.state_dict(), new_optimizer.state_dict()
    if why := _wrong_state(found, there, (model.state_dict(), optimizer.state_dict())):
        return why
    _train(new, new_optimizer, first=4)
    return "" if torch.equal(flat(new), flat(model)) else "the new model takes another path."


States = tuple[dict[str, Any], dict[str, Any]]


def _wrong_state(found: States, there: States, later: States) -> str:
    """Say what a model and an optimizer have not got of what was there when it was saved."""
    for index, whose in enumerate(("the model's parameters", "the optimizer's state")):
        if _differs(found[index], there[index]):
            if not _differs(found[index], later[index]):
                return f"{whose} went on training with the old ones after save. Copy them."
            if index and not found[index]["state"]:
                return f"{whose} has not come along: it begins with an empty memory."
            if index and not _differs(found[index]["state"], there[index]["state"]):
                return "the memory is there, but lr is not what it was when it was saved."
            return f"{whose} are not those that were there when it was saved."
    return ""


def _differs(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return not torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() != other.keys() or any(_differs(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) != len(other) or any(map(_differs, one, other))
    return bool(one != other)


def _fresh(
    seed: int, name: str, options: dict[str, Any]
) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Linear(5, 3).double()
    return model, getattr(torch.optim, name)(model.parameters(), lr=0.05, **options)


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int) -> None:
    for update in range(first, first + 4):
        draw = torch.Generator().manual_seed(update)
        x = torch.randn(6, 5, generator=draw, dtype=torch.float64)
        optimizer.zero_grad()
        (model(x) - x[:, :3].sin()).square().mean().backward()
        optimizer.step()


def _listed(losses: list[float]) -> str:
    return ", ".join(f"{loss:.2f}" for loss in losses)
