"""Lesson 10, "Watching convergence"."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import History, Recipe, problems, train
from gradwidgets.lessons import Lesson

lesson = Lesson("watching_convergence")

Record = dict[str, float]
CAUSES = {"loss": "data", "gradient": "gradients", "step": "learning rate"}
"""What to look at, by the first number of a record that jumps."""


def digits_data() -> tuple[Tensor, Tensor]:
    """The digits to train on, in float64, and their labels."""
    data = problems.digits.batches()
    assert isinstance(data, tuple)
    images, labels = data
    return images.double(), labels


def digits_model() -> nn.Sequential:
    """A perceptron that always starts from the same numbers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).double()


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    loss_of: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    scale: float = 1.0,
) -> Record:
    """One update; the loss, the joint length of the gradient and that of the step."""
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.zero_grad()
    loss = loss_of(model(x), y)
    loss.backward()
    for p in model.parameters():
        if p.grad is not None:
            p.grad.mul_(scale)
    optimizer.step()
    moves = [p.detach() - old for p, old in zip(model.parameters(), before, strict=True)]
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return {"loss": loss.item(), "gradient": _length(grads), "step": _length(moves)}


@lesson.question(
    "What is in the list `kept` after the four updates?",
    {
        "four different values, one per update": "That is what you want, and `.clone()` gives it.",
        "four times the first value": "The first value is overwritten by the first step.",
        "four times the last value": "`step()` changes the bias in place. The list holds the same "
        "tensor four times, and all four show what is in it now.",
    },
)
def kept_bias() -> tuple[str, str]:
    """Keep the bias without a copy."""
    (images, labels), model = digits_data(), digits_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    bias = dict(model.named_parameters())["2.bias"]
    kept, first = [], bias.detach().clone()
    for _ in range(4):
        kept.append(bias.data)
        update(model, optimizer, images, labels)
    different = len({tuple(each.tolist()) for each in kept})
    if different > 1:
        answer = "four different values, one per update"
    elif torch.equal(kept[0], first):
        answer = "four times the first value"
    else:
        answer = "four times the last value"
    return answer, f"Different values in the list: {different}."


def loss_at_stop(seed: int) -> float:
    """The loss over all images when the loss of 8 images is first below 0.3."""
    recipe = Recipe(lr=0.2, batch_size=8, updates=500, stop_below=0.3, seed=seed)
    history = train(problems.digits, recipe)
    return full_loss(history)


def full_loss(history: History) -> float:
    """The loss over all training images at the end of a run."""
    images, labels = digits_data()
    last = {name: torch.tensor(each[-1]).double() for name, each in history.parameters.items()}
    scores = torch.func.functional_call(digits_model(), last, (images,))
    return float(F.cross_entropy(scores, labels))


@lesson.question(
    "The loss of 8 images has fallen below 0.3. What is the loss over all images then?",
    {
        "clearly lower": "The run stops at its luckiest batch so far. Luck flatters.",
        "about 0.3": "It would be, if these 8 were like all the others.",
        "clearly higher": "Eight easy images came together, and the run took it for success.",
    },
)
def below_once() -> tuple[str, str]:
    """Stop five runs at a threshold, and measure all images."""
    losses = [loss_at_stop(seed) for seed in range(5)]
    if min(losses) > 1.2 * 0.3:
        answer = "clearly higher"
    else:
        answer = "clearly lower" if max(losses) < 0.8 * 0.3 else "about 0.3"
    listed = ", ".join(f"{loss:.2f}" for loss in losses)
    return answer, f"In five runs from other starts: {listed}."


def updates_made(style: str) -> int:
    """Updates of a loop whose loss becomes `nan`."""
    torch.manual_seed(0)
    x, y = noisy_targets()
    model, loss, made = nn.Linear(5, 1).double(), 1.0, 0
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    while made < 500 and (style == "break" or loss > 0.3):
        loss = update(model, optimizer, x, y, F.mse_loss)["loss"]
        made += 1
        if style == "break" and loss < 0.3:
            break
    return made


@lesson.question(
    "What do the two loops do when the loss is `nan`?",
    {
        "both end early": "Neither of them checks for `nan`. So look at what each of them asks.",
        "`while` ends early, `break` never comes": "`nan` is neither above nor below anything. "
        "`nan > 0.3` is False, so `while` ends as if all were well. `nan < 0.3` is False, too.",
        "`break` ends early, `while` runs on": "It is the other way round: `nan < 0.3` is False.",
        "both run on to 500": "That would need `nan > 0.3` to be True.",
    },
)
def not_a_number() -> tuple[str, str]:
    """Run both loops with a learning rate that is far too large."""
    early = updates_made("while") < 500, updates_made("break") < 500
    answers = {
        (True, True): "both end early",
        (True, False): "`while` ends early, `break` never comes",
        (False, True): "`break` ends early, `while` runs on",
        (False, False): "both run on to 500",
    }
    return answers[early], (
        f"Ended early: the first loop {_yes(early[0])}, the second {_yes(early[1])}."
    )


def with_jump(
    cause: str, factor: float = 10.0, at: int = 60, lr: float = 0.3
) -> tuple[Record, Record]:
    """The records before and at an update at which something happens."""
    (images, labels), model = digits_data(), digits_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    log = []
    for number in range(at + 1):
        now = cause if number == at else ""
        optimizer.param_groups[0]["lr"] = lr * factor if now == "learning rate" else lr
        data = 1 - images if now == "data" else images
        scale = factor if now == "gradients" else 1.0
        log.append(update(model, optimizer, data, labels, scale=scale))
    return log[-2], log[-1]


@lesson.question(
    "Only the step has jumped; loss and gradient are what they were. What has changed?",
    {
        "the learning rate": "The step is `lr` times the gradient. The gradient is what it was, so "
        "it is the other factor.",
        "the gradients": "Then the gradient that `step()` finds would be ten times as long.",
        "the data": "Then the loss would jump first: it is measured on the new data.",
        "one cannot know": "From the bias alone you cannot. From three numbers you can.",
    },
)
def quiet_loss() -> tuple[str, str]:
    """Look for the runs in which only the step jumps."""
    fits = []
    for cause in CAUSES.values():
        before, after = with_jump(cause)
        loss, gradient, step = (after[what] / before[what] for what in CAUSES)
        if step > 5 and loss < 1.1 and gradient < 1.1:
            fits.append(f"the {cause}")
    answer = fits[0] if len(fits) == 1 else "one cannot know"
    return answer, f"Runs in which only the step jumps: {', '.join(fits)}."


def noisy_targets() -> tuple[Tensor, Tensor]:
    """200 samples of five inputs; the target is their sum and noise of size 0.5."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=draw).double()
    return x, x.sum(1, keepdim=True) + 0.5 * torch.randn(200, 1, generator=draw).double()


def at_rest() -> dict[str, tuple[nn.Module, float, float]]:
    """By name a model, its learning rate, and the factor on that after each update."""
    torch.manual_seed(0)
    silent = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1)).double()
    nn.init.constant_(dict(silent.named_parameters())["0.bias"], -50.0)
    return {
        "arrived": (nn.Linear(5, 1).double(), 0.05, 1.0),
        "lr shrinks": (nn.Linear(5, 1).double(), 0.05, 0.8),
        "silent": (silent, 0.05, 1.0),
    }


@lesson.question(
    "Nothing moves any more. Is the loss about as low as it can get?",
    {
        "yes": "A step is `lr` times gradient. If `lr` has shrunk, nothing moves anywhere.",
        "only if the gradient is near zero, too": "A good thing to check. But the gradient is zero "
        "in other places as well: where units are silent, for one.",
        "not even then": "The gradient can vanish because the model is blocked.",
    },
)
def near_a_minimum() -> tuple[str, str]:
    """Compare the losses of runs that stand still with the lowest of them."""
    x, y = noisy_targets()
    last: dict[str, Record] = {}
    for name, (model, lr, factor) in at_rest().items():
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for _ in range(300):
            last[name] = update(model, optimizer, x, y, F.mse_loss)
            optimizer.param_groups[0]["lr"] *= factor
    still = [each for each in last.values() if each["step"] < 1e-4]
    lowest = min(each["loss"] for each in still)
    high = [each for each in still if each["loss"] > 1.1 * lowest]
    blocked = [each for each in high if each["gradient"] < 1e-3]
    if blocked:
        answer = "not even then"
    else:
        answer = "only if the gradient is near zero, too" if high else "yes"
    losses = ", ".join(f"{each['loss']:.2f}" for each in still)
    return (
        answer,
        f"Runs at rest end at {losses}; with a high loss and no gradient: {len(blocked)}.",
    )


@lesson.exercise
def check_stop(stop: Callable[..., object]) -> str:
    """Check where forty runs stop, some of them broken, against the mean written as a sum."""
    for seed in range(40):
        dice = random.Random(seed)
        losses = [math.exp(-n / 15) + 0.6 * dice.random() for n in range(60)]
        broken = dice.choice([None, dice.randrange(60)])
        if broken is not None:
            losses[broken:] = [dice.choice([math.inf, math.nan])] * (60 - broken)
        threshold, beta = dice.choice([0.1, 0.4, 0.6]), dice.choice([0.0, 0.8, 0.95])
        answer, expected = stop(list(losses), threshold, beta), _stops(losses, threshold, beta)
        if answer is not None and not (isinstance(answer, tuple | list) and len(answer) == 2):
            return f"Not yet: it returns {answer!r}. Return None, or a pair: (12, 'threshold')."
        pair = None if answer is None else tuple(answer)
        if pair != expected:
            case = f"threshold {threshold}, beta {beta}"
            return f"Not yet: {case}: {_wrong_stop(pair, expected, losses, threshold, beta)}"
    return "Right. Forty runs, some of them broken, stop where they should."


Stop = tuple[int, str] | None


def _stops(
    losses: Sequence[float], threshold: float, beta: float, first: float | None = None
) -> Stop:
    """Where a run stops; the mean starts with the first loss, or as if `first` came before it."""
    for n, loss in enumerate(losses):
        if not math.isfinite(loss):
            return n, "not finite"
        terms = [(1 - beta) * beta ** (n - k) * losses[k] for k in range(1, n + 1)]
        start = losses[0] if first is None else beta * first + (1 - beta) * losses[0]
        if beta**n * start + sum(terms) < threshold:
            return n, "threshold"
    return None


def _wrong_stop(
    answer: object, expected: Stop, losses: Sequence[float], threshold: float, beta: float
) -> str:
    if expected and expected[1] == "not finite":
        n = expected[0]
        return f"loss {n} is {losses[n]}, and nothing was below before. You say {answer}."
    if beta and answer == _stops(losses, threshold, 0.0):
        return f"at {answer} a single loss is below. Look at the running mean."
    if beta and answer == _stops(losses, threshold, beta, first=0.0):
        return f"you say {answer}. Does your mean begin at 0? It begins with the first loss."
    if expected is None:
        return f"this run never gets there, but you say {answer}."
    return f"a run should stop at {expected}. You say {answer}."


@lesson.exercise
def check_why_jump(why_jump: Callable[..., object]) -> str:
    """Check the place to look at for runs in which something happens, and for made-up records."""
    words = [*CAUSES.values(), "nothing"]
    for before, after in _pairs():
        answer = why_jump(dict(before), dict(after))
        jumped = [CAUSES[what] for what in CAUSES if after[what] / before[what] > 2]
        expected = jumped[0] if jumped else "nothing"
        if answer not in words:
            return f"Not yet: it returns {answer!r}. Return one of {words}."
        if answer != expected:
            times = [f"{what} times {after[what] / before[what]:.2f}" for what in CAUSES]
            return f"Not yet: {', '.join(times)}: look at {expected!r}. You say {answer!r}."
    return "Right. Forty pairs of records, each with the place to look at."


def _pairs() -> list[tuple[Mapping[str, float], Mapping[str, float]]]:
    found: list[tuple[Mapping[str, float], Mapping[str, float]]] = [
        with_jump(cause, factor=5.0, at=50) for cause in (*CAUSES.values(), "nothing")
    ]
    dice = random.Random(0)
    for _ in range(36):
        before = {what: dice.uniform(0.01, 3.0) for what in CAUSES}
        factors = {what: dice.choice([0.4, 1.0, 1.3, 1.95, 2.05, 2.6, 9.0]) for what in CAUSES}
        found.append((before, {what: before[what] * factors[what] for what in CAUSES}))
    return found


def _length(tensors: Sequence[Tensor]) -> float:
    return float(torch.cat([each.flatten() for each in tensors]).norm())


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
