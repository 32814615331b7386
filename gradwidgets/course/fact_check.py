"""Lesson 11, "The fact check"."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

from gradwidgets.course.measuring import nearest
from gradwidgets.lessons import VERDICTS, FactCheck, Lesson

lesson = Lesson("fact_check")

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

SHARES = {
    0.9: "nine in ten",
    0.55: "a little more than half",
    0.3: "three in ten",
    0.1: "one in ten",
}


@lesson.question(
    "How many of the sentences hold as they were said?",
    {
        "nine in ten": "Most of them sound right. That is why it takes an experiment.",
        "a little more than half": "Many say “can” or “often”, or name an exception themselves. "
        "Taken at their word, they hold.",
        "three in ten": "So few it would be if each “can” were taken for a “does”. That is unfair.",
        "one in ten": "Tutorials are better than that.",
    },
)
def held_as_said() -> tuple[str, str]:
    """Count the verdicts."""
    facts = FactCheck()
    count, all_of_them = facts.count("true"), len(facts.claims)
    share = count / all_of_them
    return nearest(share, SHARES), f"{count} of {all_of_them} are true as they were said."


SUBJECTS = {
    "what autograd does": "01",
    "when and how to clear": "02",
    "why parameters do not update": "09",
}


def wrong_share(facts: FactCheck, lesson_number: str) -> float:
    """The share of the sentences settled by a lesson that are false or outdated."""
    verdicts = [
        claim.verdict
        for claim in facts.claims
        if claim.experiment and claim.experiment.notebook.startswith(lesson_number)
    ]
    return sum(verdict in ("false", "outdated") for verdict in verdicts) / len(verdicts)


@lesson.question(
    "On which subject are most sentences false or outdated?",
    {
        "what autograd does": "Mostly right, and where not, often a question of wording.",
        "when and how to clear": "Some are outdated, since `zero_grad()` has changed. But the main "
        "point, that you must clear, is right.",
        "why parameters do not update": "A cause that sounds right is soon written down. To run it "
        "takes longer.",
    },
)
def worst_subject() -> tuple[str, str]:
    """Compare the subjects of three lessons."""
    facts = FactCheck()
    worst = max(SUBJECTS, key=lambda name: wrong_share(facts, SUBJECTS[name]))
    tenths = 10 * wrong_share(facts, SUBJECTS[worst])
    return worst, f"There about {tenths:.0f} in ten are false or outdated."


def last_loss(name: str, scale: float) -> float:
    """The loss of a small regression after 50 updates with scaled gradients, over its first."""
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    y = x.sum(1, keepdim=True) + 0.5 * torch.randn(64, 1)
    model = nn.Linear(4, 1)
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1)
    first = nn.functional.mse_loss(model(x), y).item()
    for _ in range(50):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        for p in model.parameters():
            assert p.grad is not None
            p.grad.mul_(scale)
        optimizer.step()
    return nn.functional.mse_loss(model(x), y).item() / first


@lesson.question(
    "SGD and Adam train the same model, each with all gradients times 100. Which sentence holds?",
    {
        "“A wrong scale can cause instability.”": "One run that blows up proves a “can”.",
        "“A wrong scale causes instability.”": "One run that trains as before refutes this one.",
        "both": "Is there a run that the scale does not harm?",
        "neither": "Is there a run that the scale harms?",
    },
)
def can_or_does() -> tuple[str, str]:
    """Train with SGD and with Adam, their gradients multiplied by 100."""
    worse = [not last_loss(name, 100.0) < 1 for name in ("SGD", "Adam")]
    can = "“A wrong scale can cause instability.”"
    answer = "both" if all(worse) else can if any(worse) else "neither"
    told = ["blows up" if each else "trains" for each in worse]
    return answer, f"SGD {told[0]}, Adam {told[1]}."


@lesson.question(
    "A tutorial: forgetting to clear leads to “effectively averaging gradients across multiple "
    "steps”. What is your verdict?",
    {
        "true": "Then the gradient would stay as long as it was.",
        "true if": "No condition makes it an average.",
        "outdated": "It has never been otherwise.",
        "false": "`backward()` adds. An average would need a division, and nobody divides.",
    },
)
def averaged() -> tuple[str, str]:
    """Make three passes over the same data without clearing."""
    torch.manual_seed(0)
    model, x = nn.Linear(4, 1), torch.randn(8, 4)
    lengths = []
    for _ in range(3):
        model(x).square().mean().backward()
        assert model.weight.grad is not None
        lengths.append(model.weight.grad.norm().item())
    ratio = lengths[-1] / lengths[0]
    averages = abs(ratio - 1) < 1e-3
    verdict = VERDICTS[0] if averages else VERDICTS[-1]
    return verdict, f"After three passes the gradient is {ratio:.1f} times as long as after one."


class Sign(torch.optim.Optimizer):
    """Steps of length lr, whatever the gradient."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move each parameter by lr against the sign of its gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * self.direction(p.grad)

    def direction(self, grad: torch.Tensor) -> torch.Tensor:
        """The direction to go against."""
        return grad.sign()


class Plain(Sign):
    """SGD under another name."""

    def direction(self, grad: torch.Tensor) -> torch.Tensor:
        """The gradient itself."""
        return grad


HALVING: list[tuple[str, bool, MakeOptimizer]] = [
    ("SGD", True, lambda ps: torch.optim.SGD(ps, lr=0.1)),
    ("SGD with momentum", True, lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9)),
    ("an optimizer of my own", True, Plain),
    ("SGD with maximize", True, lambda ps: torch.optim.SGD(ps, lr=0.1, maximize=True)),
    ("Adam", False, lambda ps: torch.optim.Adam(ps, lr=0.1)),
    ("RMSprop", False, lambda ps: torch.optim.RMSprop(ps, lr=0.1)),
    ("Adagrad", False, lambda ps: torch.optim.Adagrad(ps, lr=0.1)),
    ("another optimizer of my own", False, Sign),
    ("SGD with weight decay", False, lambda ps: torch.optim.SGD(ps, lr=0.1, weight_decay=0.5)),
]
"""Optimizers, and whether halving the gradient halves their first step."""


@lesson.exercise
def check_halves(halves: Callable[[MakeOptimizer], object]) -> str:
    """Check a test for "halving the gradient halves the step" on nine optimizers."""
    for name, expected, make_optimizer in HALVING:
        answer = halves(make_optimizer)
        if isinstance(answer, torch.Tensor) and answer.dtype == torch.bool and answer.numel() == 1:
            answer = answer.item()
        if not isinstance(answer, bool | np.bool_):
            return f"Not yet: it returns {answer!r}. Return True or False."
        if bool(answer) != expected:
            return f"Not yet: for {name} it says {answer}. Measure both steps from the same start."
    return f"Right. {len(HALVING)} optimizers, two of them unheard of, are told apart."


@lesson.exercise
def check_counterexample(make_optimizer: object) -> str:
    """Check an optimizer that moves elements whose gradient is set to zero."""
    if not callable(make_optimizer):
        return f"Not yet: {make_optimizer!r} cannot be called with a list of parameters."
    p = nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
    optimizer = make_optimizer([p])
    if not isinstance(optimizer, torch.optim.Optimizer):
        return f"Not yet: it returns {optimizer!r}. Return an optimizer."
    if isinstance(optimizer, torch.optim.LBFGS):
        return "Not yet: LBFGS computes the gradients again in every step. Try another one."
    first, masked = (_moved(optimizer, p, zeroed) for zeroed in (False, True))
    if not first > 0:
        return "Not yet: it does not even move the parameter when it has a gradient."
    if not 0 < masked < float("inf"):
        return f"Not yet: after its gradient is set to zero the first row moves by {masked:.3g}."
    return f"Right. Its gradient is zero, and the first row moves by {masked:.3g}."


def _moved(optimizer: torch.optim.Optimizer, p: nn.Parameter, zeroed: bool) -> float:
    """Return how far a step moves the first row of `p`, its gradients one or zero."""
    before = p.detach().clone()
    p.grad = torch.ones_like(p)
    if zeroed:
        p.grad[0] = 0
    optimizer.step()
    return (p.detach() - before)[0].abs().max().item()
