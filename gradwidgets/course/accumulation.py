"""Lesson 06, "Gradient accumulation"."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, the field's own name

from gradwidgets.core import problems
from gradwidgets.course.measuring import flat, kind_of
from gradwidgets.lessons import Lesson

lesson = Lesson("accumulation")

Pairs = Sequence[tuple[Tensor, Tensor]]
RAGGED = [20, 20, 20, 4]


def first_images() -> tuple[Tensor, Tensor]:
    """The first 64 digits, in float64, and their labels."""
    data = problems.digits.batches()
    assert isinstance(data, tuple)
    images, labels = data
    return images[:64].double(), labels[:64]


def linear_model() -> nn.Module:
    """One layer that always starts from the same numbers."""
    torch.manual_seed(0)
    return nn.Linear(64, 10).double()


def gradient(model: nn.Module, sizes: Sequence[int], weights: Sequence[float]) -> Tensor:
    """The accumulated gradient of the first images, (elements,)."""
    x, y = first_images()
    model.zero_grad()
    parts = zip(x.split(list(sizes)), y.split(list(sizes)), weights, strict=True)
    for part_x, part_y, weight in parts:
        (F.cross_entropy(model(part_x), part_y) * weight).backward()
    return _gradients(model)


def distance(one: Tensor, other: Tensor) -> float:
    """Length of the difference as a share of the other's length."""
    return float((one - other).norm() / other.norm())


@lesson.question(
    "Four parts, no division. How long is the gradient in `.grad`, compared with that of the "
    "large batch?",
    {
        "a quarter as long": "Each part's loss is a mean over its own 16 images, so each gradient "
        "has full length already.",
        "just as long": "It would be, if `backward()` took the mean of what it finds. It adds.",
        "four times as long": "Each part's loss is a mean, so each gradient has about full length. "
        "Four of them are added.",
    },
)
def undivided() -> tuple[str, str]:
    """Compare four undivided parts with one batch."""
    large = gradient(linear_model(), [64], [1])
    ratio = (gradient(linear_model(), [16] * 4, [1] * 4).norm() / large.norm()).item()
    choices = {0.25: "a quarter as long", 1.0: "just as long", 4.0: "four times as long"}
    return choices[min(choices, key=lambda each: abs(each - ratio))], (
        f"It is {ratio:.2f} times as long."
    )


@lesson.question(
    "Parts of 20, 20, 20 and 4, each loss divided by 4. How much does an image of the last part "
    "count, compared with one of the first?",
    {
        "a fifth": "The other way round: the small part's mean is shared by fewer images.",
        "the same": "Each part counts the same. The images in it share that.",
        "five times as much": "Four images share what twenty share in the other parts.",
    },
)
def ragged() -> tuple[str, str]:
    """Differentiate the accumulated loss by each image's own loss."""
    x, y = first_images()
    losses = F.cross_entropy(linear_model()(x), y, reduction="none")
    total = sum((part.mean() / 4 for part in losses.split(RAGGED)), torch.zeros(()))
    counts = torch.autograd.grad(total, losses)[0] * len(losses)
    first, last = counts[0].item(), counts[-1].item()
    choices = {0.2: "a fifth", 1.0: "the same", 5.0: "five times as much"}
    return choices[min(choices, key=lambda each: abs(each - last / first))], (
        f"If each image counts 1 in the large batch, the first counts {first:.1f} here and the "
        f"last one {last:.1f}."
    )


@lesson.question(
    "With BatchNorm: is the accumulated gradient the large batch's?",
    {
        "yes, but for rounding": "That needs images that do not know of each other.",
        "no, but other weights for the parts would repair it": "Weights can repair what is "
        "counted wrongly. Here something else was calculated.",
        "no, and no weights repair it": "Each part is normalised with its own mean and spread, so "
        "the model gives other answers to the same image.",
    },
)
def batch_norm() -> tuple[str, str]:
    """Compare four equal parts with one batch, and look for the best weights."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)]
    model = nn.Sequential(*layers).double()
    whole = gradient(model, [64], [1])
    quarter = distance(gradient(model, [16] * 4, [1 / 4] * 4), whole)
    only = [[float(part == each) for part in range(4)] for each in range(4)]
    parts = torch.stack([gradient(model, [16] * 4, weights) for weights in only], dim=1)
    solution = torch.linalg.lstsq(parts, whole.unsqueeze(1)).solution
    best = distance((parts @ solution).flatten(), whole)
    if quarter < 1e-9:
        answer = "yes, but for rounding"
    elif best < 1e-9:
        answer = "no, but other weights for the parts would repair it"
    else:
        answer = "no, and no weights repair it"
    return answer, f"The distance is {quarter:.2f}, and {best:.2f} with the best possible weights."


def batches_in_steps(batches: int, k: int, epochs: int) -> list[tuple[int, list[int]]]:
    """Run the usual loop and list (epoch, the batches whose gradients are in the step)."""
    seen, steps = nn.Parameter(torch.zeros(batches)), []
    for epoch in range(epochs):
        for i in range(batches):
            seen[i].backward()
            if (i + 1) % k == 0 and seen.grad is not None:
                steps.append((epoch, [b + 1 for b in range(batches) if seen.grad[b]]))
                seen.grad = None
    return steps


@lesson.question(
    "Ten batches, `k = 4`, two epochs. What becomes of the batches 9 and 10?",
    {
        "they make a smaller step of their own": "That would need a line after the inner loop.",
        "they are lost": "They would be, if `zero_grad()` stood inside the outer loop.",
        "they go into the next epoch's first step": "Nobody clears them, so they wait in `.grad`.",
    },
)
def leftover() -> tuple[str, str]:
    """See in which step the batches 9 and 10 are."""
    steps = batches_in_steps(batches=10, k=4, epochs=2)
    with_nine = [epoch for epoch, used in steps if 9 in used]
    if not with_nine:
        answer = "they are lost"
    elif with_nine[0] == 0:
        answer = "they make a smaller step of their own"
    else:
        answer = "they go into the next epoch's first step"
    second = next(used for epoch, used in steps if epoch == 1)
    return answer, f"The second epoch's first step holds the batches {second}."


class Watch:
    """Counts a model's backward passes, and notes the most samples that went in at once."""

    def __init__(self, model: nn.Linear) -> None:
        self.passes = self.largest = 0
        model.weight.register_hook(self._passed)
        model.register_forward_pre_hook(self._entered)

    def _passed(self, _: Tensor) -> None:
        self.passes += 1

    def _entered(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.largest = max(self.largest, *(len(each) for each in inputs))

    def complaint(self, parts: Pairs) -> str:
        """Say what is wrong with the passes; "" if each part had one of its own."""
        most = max(len(y) for _, y in parts)
        if self.largest > most:
            return (
                f"Not yet: {self.largest} samples went through the model at once; the largest part "
                f"has {most}. Go through the parts one after the other."
            )
        if self.passes < len(parts):
            return (
                f"Not yet: for {len(parts)} parts the number of backward passes is {self.passes}. "
                "Until one comes, what forward has kept stays in memory: make one for each part."
            )
        return ""


@lesson.exercise
def check_accumulate(accumulate: Callable[..., object]) -> str:
    """Check a function that accumulates over parts of any size, against a gradient by hand."""
    for seed in range(5):
        torch.manual_seed(seed)
        sizes = [8, 8, 8] if seed == 0 else torch.randint(1, 9, (2 + seed,)).tolist()
        parts = _random_batches(sizes)
        if complaint := _wrong_accumulation(accumulate, parts, sizes):
            return complaint
    return "Right. Five random batches, cut evenly and unevenly, are what they should be."


def _wrong_accumulation(accumulate: Callable[..., object], parts: Pairs, sizes: list[int]) -> str:
    model = _model_with_ones()
    start, watch = flat(model), Watch(model)
    loss = accumulate(model, [(x.clone(), y.clone()) for x, y in parts])
    if isinstance(loss, bool) or not isinstance(loss, Real):
        return f"Not yet: it returns {kind_of(loss)}. Return a float."
    if not torch.equal(flat(model), start):
        return "Not yet: the parameters have moved. Only fill .grad; leave the step to others."
    return _wrong_gradient(model, start, parts, sizes) or (
        f"Not yet: parts of {sizes}: the gradient is right, the loss that it returns is not."
        if abs(float(loss) - _by_hand(start, parts)[1]) > 1e-6
        else watch.complaint(parts)
    )


def _wrong_gradient(model: nn.Module, start: Tensor, parts: Pairs, sizes: list[int]) -> str:
    slope, _ = _by_hand(start, parts)
    if any(p.grad is None for p in model.parameters()):
        return "Not yet: a .grad is None at the end."
    found = _gradients(model)
    if torch.allclose(found - 1, slope):
        return "Not yet: what was in .grad before is still in it."
    if not torch.allclose(found, slope):
        why = _mistake(found, start, parts, len(parts))
        why = why or ".grad is not the gradient of all of them as one batch."
        return f"Not yet: parts of {sizes}: {why}"
    return ""


@lesson.exercise
def check_train_epoch(train_epoch: Callable[..., object]) -> str:
    """Check one round through the data, also with a broken group, against steps by hand."""
    for seed, (count, k) in enumerate([(8, 4), (10, 4), (3, 4), (7, 1), (9, 2)]):
        torch.manual_seed(seed)
        batches = _random_batches([6] * (count - 1) + [6 if seed == 0 else 1 + seed])
        if complaint := _wrong_epoch(train_epoch, batches, k):
            return f"Not yet: {count} batches, k = {k}: {complaint}"
    return "Right. Five epochs are what they should be, with whole and broken groups."


def _wrong_epoch(train_epoch: Callable[..., object], batches: Pairs, k: int) -> str:
    model = _model_with_ones()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start, watch, taken = flat(model), Watch(model), []
    optimizer.register_step_post_hook(lambda *_: taken.append(flat(model)))
    answer = train_epoch(model, optimizer, [(x.clone(), y.clone()) for x, y in batches], k)
    groups = [batches[first : first + k] for first in range(0, len(batches), k)]
    steps = _whole_number(answer)
    if steps is None:
        return f"it returns {kind_of(answer)}. Return the number of steps, an int."
    if len(taken) != len(groups):
        return f"{len(taken)} steps were made; {len(groups)} are needed."
    if steps != len(groups):
        return f"{len(groups)} steps were made, and it returns {steps}."
    for number, (group, reached) in enumerate(zip(groups, taken, strict=True), 1):
        slope, _ = _by_hand(start, group)
        if not torch.allclose(reached, start - 0.1 * slope):
            return _wrong_step(number, group, k, start, (start - reached) / 0.1)
        start = reached
    if not torch.equal(flat(model), start):
        return "the parameters have moved after the last step."
    return watch.complaint(batches).removeprefix("Not yet: ")


def _wrong_step(number: int, group: Pairs, k: int, start: Tensor, used: Tensor) -> str:
    case = f"step {number}, batches of {[len(y) for _, y in group]}"
    if why := _mistake(used, start, group, k):
        return f"{case}: {why}"
    if number == 1:
        return f"{case}, uses another gradient than that of all samples together."
    return f"{case}, is wrong; those before are right. What is left in .grad?"


def _mistake(found: Tensor, at: Tensor, parts: Pairs, k: int) -> str:
    """Name the usual mistake that gives this gradient, or ""."""
    return next((why for each, why in _mistakes(at, parts, k) if torch.allclose(found, each)), "")


def _mistakes(at: Tensor, parts: Pairs, k: int) -> list[tuple[Tensor, str]]:
    """Gradients with the usual wrong weights, each with what is wrong about it."""
    slopes = torch.stack([_by_hand(at, [part])[0] for part in parts])
    total, mean = slopes.sum(0), slopes.mean(0)
    sums = torch.stack([slope * len(y) for slope, (_, y) in zip(slopes, parts, strict=True)])
    return [
        (total, "the losses are added without weights."),
        (
            mean,
            "each part counts the same, but each sample should: one of a small part counts more.",
        ),
        (total / k, f"each loss is divided by k = {k}, whatever the number and size of the parts."),
        (sums.sum(0), "the gradient is that of a sum over the samples, not of a mean."),
        (slopes[-1], "only the last part is in .grad: it was cleared in between."),
        (_by_hand(at, parts)[0] + 1, "what was in .grad before is still in it."),
    ]


def _by_hand(flat: Tensor, parts: Pairs) -> tuple[Tensor, float]:
    """Gradient and value of the mean squared error of x @ w + b over all samples."""
    x, y = (torch.cat(column) for column in zip(*parts, strict=True))
    error = x @ flat[:3, None] + flat[3] - y
    slope = torch.cat([2 * x.T @ error / len(x), 2 * error.mean(0, keepdim=True)])
    return slope.flatten(), error.square().mean().item()


def _random_batches(sizes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(n, 3).double(), torch.randn(n, 1).double()) for n in sizes]


def _model_with_ones() -> nn.Linear:
    """A model of three weights and a bias with ones left in `.grad`."""
    model = nn.Linear(3, 1).double()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    return model


def _gradients(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def _whole_number(value: object) -> int | None:
    try:
        return None if isinstance(value, bool | Tensor) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
