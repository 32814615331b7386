"""Lesson 05, "Penalties"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gradwidgets.lessons import Lesson

lesson = Lesson("penalties")

Edit = Callable[[torch.Tensor, torch.Tensor], object]
Term = Callable[[torch.Tensor], torch.Tensor]

STRENGTH = 0.05


def problem() -> tuple[torch.Tensor, torch.Tensor]:
    """The lesson's 64 samples of 8 inputs, and their targets."""
    torch.manual_seed(0)
    x = torch.randn(64, 8, dtype=torch.float64)
    y = x @ torch.randn(8, 1, dtype=torch.float64)
    return x, y + 0.1 * torch.randn(64, 1, dtype=torch.float64)


def end(
    name: str,
    lr: float,
    edit: Edit | None = None,
    term: Term | None = None,
    updates: int = 50,
    **options: Any,
) -> torch.Tensor:
    """Where the weights end; `edit(w, grad)` changes the gradient, `term` is added to the loss."""
    x, y = problem()
    torch.manual_seed(1)
    w = nn.Parameter(torch.randn(8, 1, dtype=torch.float64))
    optimizer = getattr(torch.optim, name)([w], lr=lr, **options)
    for _ in range(updates):
        optimizer.zero_grad()
        loss = ((x @ w - y) ** 2).mean()
        (loss + term(w) if term else loss).backward()
        if edit and w.grad is not None:
            with torch.no_grad():
                edit(w, w.grad)
        optimizer.step()
    return w.detach()


def l2_line(w: torch.Tensor, grad: torch.Tensor) -> None:
    """Add the L2 penalty to a gradient."""
    grad.add_(STRENGTH * w)


def _gap(one: torch.Tensor, other: torch.Tensor) -> float:
    return (one - other).abs().max().item()


TERMS: dict[str, Term] = {
    "strength * sum of p²": lambda p: STRENGTH * (p**2).sum(),
    "strength / 2 * sum of p²": lambda p: STRENGTH / 2 * (p**2).sum(),
    "strength * root of the sum of p²": lambda p: STRENGTH * (p**2).sum().sqrt(),
}


@lesson.question(
    "`p.grad.add_(strength * p)` at every update: which term in the loss gives the same run?",
    {
        "strength * sum of p²": "The derivative of p² is 2p: this term pulls twice as hard.",
        "strength / 2 * sum of p²": "The derivative of p² / 2 is p.",
        "strength * root of the sum of p²": "Its gradient has the same length however small the "
        "weights are. The line fades with the weights.",
    },
)
def which_term() -> tuple[str, str]:
    """Compare the run with the line with a run with each term."""
    line = end("SGD", 0.05, l2_line)
    gaps = {name: _gap(line, end("SGD", 0.05, term=term)) for name, term in TERMS.items()}
    figures = ", ".join(f"{gap:.3f}" for gap in gaps.values())
    closest = min(gaps, key=lambda name: gaps[name])
    return closest, f"The gaps to the three terms, in their order, are {figures}."


EDITS: dict[str, Edit] = {
    "times 0.5": lambda _, grad: grad.mul_(0.5),
    "each element times a positive factor of its own": lambda _, grad: grad.mul_(
        torch.linspace(0.2, 2.0, 8, dtype=torch.float64)[:, None]
    ),
    "clipped to norm 0.1": lambda w, _: nn.utils.clip_grad_norm_(w, 0.1),
    "plus 0.05 times the weight": l2_line,
}


@lesson.question(
    "Three of these four edits end in the least squares solution all the same. Which one does not?",
    {
        "times 0.5": "Half of zero is zero: where the gradient vanishes the run still rests.",
        "each element times a positive factor of its own": "The path bends. But a factor above "
        "zero makes zero only out of zero.",
        "clipped to norm 0.1": "Clipping shortens long gradients. Near the solution all are short.",
        "plus 0.05 times the weight": "At the solution the gradient is zero, but 0.05 times the "
        "weight is not. It moves on.",
    },
)
def ends_elsewhere() -> tuple[str, str]:
    """Measure how far from the least squares solution each run ends."""
    best = torch.linalg.lstsq(*problem()).solution
    far = {name: _gap(end("SGD", 0.05, edit, updates=3000), best) for name, edit in EDITS.items()}
    farthest = max(far, key=lambda name: far[name])
    others = max(gap for name, gap in far.items() if name != farthest)
    return farthest, f"It ends {far[farthest]:.3f} away, the others at most {others:.3f}."


DECAYING = {"SGD": 0.05, "Adam": 0.01, "AdamW": 0.01, "RMSprop": 0.01, "Adagrad": 0.1}
"""Learning rates."""


@lesson.question(
    "For plain SGD the two are the same. For which optimizers are they not?",
    {
        "none: they are always the same": "One of them does something else, and is named after it.",
        "AdamW": "It takes the decay out of the gradient: the W stands for weight decay.",
        "Adam and AdamW": "Adam adds `weight_decay * p` to the gradient, as your line does.",
        "all but SGD": "RMSprop, Adagrad and Adam all begin by adding it to the gradient.",
    },
)
def who_differs() -> tuple[str, str]:
    """Compare the line with `weight_decay` of the same strength."""
    gaps = {
        name: _gap(end(name, lr, l2_line, weight_decay=0.0), end(name, lr, weight_decay=STRENGTH))
        for name, lr in DECAYING.items()
    }
    choices = {
        (): "none: they are always the same",
        ("AdamW",): "AdamW",
        ("Adam", "AdamW"): "Adam and AdamW",
        ("Adam", "AdamW", "RMSprop", "Adagrad"): "all but SGD",
    }
    differing = tuple(name for name, gap in gaps.items() if gap > 1e-9)
    return choices[
        differing
    ], f"The gap of AdamW is {gaps['AdamW']:.3f}, of Adam {gaps['Adam']:.3f}."


@lesson.question(
    "Adam with `weight_decay`, no other gradient: how far does the 10 move, compared with the 1?",
    {
        "just as far": "Adam divides what it reads by its usual size. The decay of the 10 is ten "
        "times as large, and is divided by ten times as much.",
        "ten times as far": "That is what SGD and AdamW do.",
        "a hundred times as far": "Nothing here is squared.",
    },
)
def one_and_ten() -> tuple[str, str]:
    """Make one step of Adam with decay alone."""
    p = nn.Parameter(torch.tensor([1.0, 10.0], dtype=torch.float64))
    p.grad = torch.zeros_like(p)
    torch.optim.Adam([p], lr=0.01, weight_decay=0.1).step()
    small, large = 1 - p[0].item(), 10 - p[1].item()
    choices = {1: "just as far", 10: "ten times as far", 100: "a hundred times as far"}
    return choices[round(large / small)], f"They move by {small:.3f} and {large:.3f}."


@lesson.question(
    "SGD with the L1 line, strength 0.1, 2000 updates: how many of the 20 weights end at exactly "
    "zero?",
    {
        "none": "The push of the line does not fade near zero. It carries the weight across.",
        "some of the 17": "To hit zero exactly a step would need just the right length.",
        "17: all that do not matter": "They come near. But a weight jumps across zero, and back "
        "again, rather than land on it.",
    },
)
def exact_zeros() -> tuple[str, str]:
    """Train the 20 weights with the L1 line and count zeros."""
    torch.manual_seed(1)
    x = torch.randn(128, 20, dtype=torch.float64)
    truth = torch.zeros(20, 1, dtype=torch.float64)
    truth[:3, 0] = torch.tensor([2.0, -1.0, 1.5])
    y = x @ truth + 0.1 * torch.randn(128, 1, dtype=torch.float64)
    w = torch.full((20, 1), 0.5, dtype=torch.float64)
    for _ in range(2000):
        w -= 0.05 * (2 / 128 * x.T @ (x @ w - y) + 0.1 * w.sign())
    count, small = int((w == 0).sum()), int((w.abs() < 0.01).sum())
    choices = {0: "none", 17: "17: all that do not matter"}
    figures = f"{count} are exactly zero; {small} are smaller than 0.01."
    return choices.get(count, "some of the 17"), figures


@lesson.exercise
def check_add_penalty(add_penalty: Callable[..., object]) -> str:
    """Check a function that adds both penalties to each gradient."""
    for seed in range(5):
        torch.manual_seed(seed)
        ps = [nn.Parameter(torch.randn(shape).double()) for shape in [(3, 2), (4,), (2,)]]
        with torch.no_grad():
            ps[1][:2] = 0
        for p in ps[:2]:
            p.grad = torch.randn_like(p)
        values, held = [p.detach().clone() for p in ps], _grads(ps)
        versions = [grad._version for grad in held]
        l1, l2 = torch.rand(2).tolist()
        wanted = [g + l1 * w.sign() + l2 * w for g, w in zip(held, values, strict=False)]
        try:
            add_penalty(ps, l1, l2)
        except (AttributeError, TypeError) as error:
            return f"Not yet: {error}. One of the parameters has no gradient: its .grad is None."
        if not all(map(torch.equal, ps, values)):
            return "Not yet: the parameters themselves have changed. Only .grad should."
        if said := _wrong_gradients(ps, held, wanted):
            return f"Not yet: {said}."
        if [grad._version for grad in held] == versions:
            return "Not yet: the numbers are right, but .data hides the change from PyTorch."
    return "Right. Five random cases, with zeros and with a missing gradient."


def _wrong_gradients(
    parameters: list[nn.Parameter], held: list[torch.Tensor], wanted: list[torch.Tensor]
) -> str:
    """The fault of the gradients after the call; "" if they have none."""
    found = _grads(parameters)
    if len(found) != len(held):
        return "where .grad was None it should stay None, and nowhere else"
    if not all(map(torch.allclose, found, wanted)):
        return ".grad should be itself + l1 * sign of the weight + l2 * weight"
    if any(grad.requires_grad for grad in found):
        return "the numbers are right, but .grad is now tracked"
    if any(one is not other for one, other in zip(found, held, strict=True)):
        return "the numbers are right, but .grad is another tensor now: change it in place"
    return ""


def _grads(parameters: list[nn.Parameter]) -> list[torch.Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


class Twin:
    """An optimizer for the learner's step, and a copy that makes the steps wanted.

    Args:
        name: of the optimizer.
        seed: of the starts and gradients.
    """

    def __init__(self, name: str, seed: int) -> None:
        torch.manual_seed(seed)
        self.starts = [torch.randn(4).double() for _ in range(3)]
        self.yours, self.wanted = ([nn.Parameter(p.clone()) for p in self.starts] for _ in range(2))
        self.optimizer, self.other = (
            getattr(torch.optim, name)([{"params": ps[:1], "lr": 0.2}, {"params": ps[1:]}], lr=0.05)
            for ps in (self.yours, self.wanted)
        )

    def wanted_step(self, decay: float) -> None:
        """Give both the same gradients, and make the step that is asked for."""
        for p, q in zip(self.yours[:2], self.wanted, strict=False):
            p.grad = torch.randn(4).double()
            q.grad = p.grad.clone()
        with torch.no_grad():
            self.wanted[0].mul_(1 - 0.2 * decay)
            self.wanted[1].mul_(1 - 0.05 * decay)
        self.other.step()


@lesson.exercise
def check_decoupled_step(decoupled_step: Callable[..., object]) -> str:
    """Check a step with decoupled decay for three optimizers."""
    for seed, name in enumerate(("Adam", "SGD", "RMSprop")):
        twin, decay = Twin(name, seed), 0.1 + 0.1 * seed
        for update in (1, 2, 3):
            before = [p.detach().clone() for p in twin.yours]
            twin.wanted_step(decay)
            try:
                decoupled_step(twin.optimizer, decay)
            except RuntimeError as error:
                return f"Not yet: PyTorch says: {str(error).splitlines()[0]}"
            if all(map(torch.equal, twin.yours, before)):
                return "Not yet: nothing has moved. Is there a step()?"
            if not torch.equal(twin.yours[2], twin.starts[2]):
                return "Not yet: a parameter whose .grad is None has moved."
            right = list(map(torch.allclose, twin.yours, twin.wanted))
            if not any(right[:2]):
                return f"Not yet: update {update} of {name} is not what it should be."
            if not all(right):
                return "Not yet: one group is right, another one is not. Each has its own lr."
    return "Right. It works for Adam, which is AdamW then, and for SGD and RMSprop."


@lesson.exercise
def check_shrink(shrink: Callable[..., object]) -> str:
    """Check a proximal step number by number."""
    for seed in range(5):
        torch.manual_seed(seed)
        w, amount = nn.Parameter(torch.randn(3, 4).double()), 0.2 + 0.2 * seed
        with torch.no_grad():
            w[0, 0] = 0
        old, place, version = w.flatten().tolist(), w.data_ptr(), w._version
        try:
            shrink(w, amount)
        except RuntimeError as error:
            return f"Not yet: PyTorch says: {str(error).splitlines()[0]}"
        new = w.flatten().tolist()
        if new == old:
            return "Not yet: w has not changed. It should be changed in place."
        for before, after in zip(old, new, strict=True):
            wanted = max(abs(before) - amount, 0.0) * (1 if before > 0 else -1)
            if abs(after - wanted) > 1e-12 or (wanted == 0 and after != 0):
                text = "exactly 0" if wanted == 0 else f"{wanted:.2f}"
                return (
                    f"Not yet: {before:.2f} shrunk by {amount:.1f} should be {text}, "
                    f"not {after:.2g}."
                )
        if w.data_ptr() != place or w._version == version:
            return "Not yet: the numbers are right, but .data hides the change from PyTorch."
    return "Right. Sixty numbers, on both sides of zero, and zero itself."
