"""Lesson 12, "Beyond one process"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.functional import avg_pool2d, cross_entropy, mse_loss
from torch.nn.parallel import DistributedDataParallel

from gradwidgets.core import problems
from gradwidgets.course.measuring import flat, nearest, seeded
from gradwidgets.course.two_processes import TwoProcesses
from gradwidgets.lessons import Lesson

lesson = Lesson("beyond_one_process")
both = TwoProcesses()
"""The lesson's two processes; they start with the first call."""

Batch = tuple[Tensor, Tensor]
LIMIT = 10.0
"""Seconds that an exercise may take in the two processes."""


def batch() -> Batch:
    """The lesson's 64 digits, shrunk to 4 by 4 pixels, and their labels."""
    images, labels = problems.digits.batches()
    small = avg_pool2d(images.double().view(-1, 1, 8, 8), 2).flatten(1)
    return small[:64], labels[:64]


def new_model(seed: int = 0) -> nn.Sequential:
    """The lesson's network, the same each time."""
    with seeded(seed):
        return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10)).double()


def flat_grad(model: nn.Module) -> Tensor:
    """Every `.grad` in one row of numbers."""
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def large_gradient() -> Tensor:
    """The gradient of one process that sees all 64 images."""
    model, (x, y) = new_model(), batch()
    cross_entropy(model(x), y).backward()
    return flat_grad(model)


def times_as_long(gradient: Tensor) -> float:
    """Length of a gradient, compared with that of the large batch."""
    return float(gradient.norm() / large_gradient().norm())


def _summed_gradient(rank: int) -> Tensor:
    model, (x, y) = new_model(), batch()
    cross_entropy(model(x.chunk(2)[rank]), y.chunk(2)[rank]).backward()
    gradient = flat_grad(model)
    dist.all_reduce(gradient)
    return gradient


@lesson.question(
    "Two processes, 32 images each, `all_reduce` adds the two `.grad`. How long is the result, "
    "compared with the gradient of one process that sees all 64?",
    {
        "half as long": "Each loss is a mean over its own images, so nothing has been halved.",
        "just as long": "It would be, if the losses were sums. They are means.",
        "twice as long": "Two means over halves are added, as in accumulation without division.",
    },
)
def summed() -> tuple[str, str]:
    """Add the gradients of the two halves."""
    gradient, _ = both(_summed_gradient)
    ratio = times_as_long(gradient)
    choices = {0.5: "half as long", 1.0: "just as long", 2.0: "twice as long"}
    return nearest(ratio, choices), f"It is {ratio:.2f} times as long."


def _weight_of_an_image(rank: int, sizes: Sequence[int]) -> float:
    """Find how much one image's own loss counts in the average over the processes."""
    x, y = (part.split(list(sizes))[rank] for part in batch())
    losses = cross_entropy(new_model()(x), y, reduction="none")
    (weights,) = torch.autograd.grad(losses.mean() / dist.get_world_size(), losses)
    return float(weights[0]) * 64


@lesson.question(
    "Rank 0 has 48 images, rank 1 has 16. The sum of the two gradients is divided by 2. How much "
    "does an image of rank 1 count, compared with one of rank 0?",
    {
        "a third": "The other way round: fewer images share the weight of their process.",
        "the same": "Each process weighs the same. Its images share that.",
        "three times as much": "16 images share what 48 share on rank 0.",
    },
)
def uneven() -> tuple[str, str]:
    """Compare the weights of two images in the average."""
    first, second = both(_weight_of_an_image, [48, 16])
    choices = {1 / 3: "a third", 1.0: "the same", 3.0: "three times as much"}
    answer = nearest(second / first, choices)
    return answer, f"An image counts {first:.2f} on rank 0 and {second:.2f} on rank 1."


def _way(rank: int) -> tuple[Tensor, Tensor]:
    """The parameters before and after 50 updates, from a start of this process's own."""
    model, (x, y) = new_model(seed=rank), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    start = flat(model)
    for _ in range(50):
        optimizer.zero_grad()
        cross_entropy(model(x.chunk(2)[rank]), y.chunk(2)[rank]).backward()
        for p in model.parameters():
            assert p.grad is not None
            dist.all_reduce(p.grad)
            p.grad /= dist.get_world_size()
        optimizer.step()
    return start, flat(model)


@lesson.question(
    "Two different starts, gradients averaged, 50 updates with plain SGD. How far apart are the "
    "two models then?",
    {
        "nearer than at the start": "Gradients are averaged, parameters are not. Nothing in plain "
        "SGD pulls the two together.",
        "as far apart as at the start": "Both make the same step, so the gap between them stays.",
        "farther than at the start": "For that their steps would have to differ. Both make the "
        "same step.",
    },
)
def apart_after_updates() -> tuple[str, str]:
    """Train from two starts and compare the gaps."""
    (start_0, end_0), (start_1, end_1) = both(_way)
    before, after = (start_0 - start_1).norm().item(), (end_0 - end_1).norm().item()
    near = "nearer than at the start" if after < before else "farther than at the start"
    answer = "as far apart as at the start" if abs(after - before) < 1e-6 else near
    return answer, f"They are {before:.3f} apart at the start and {after:.3f} at the end."


@contextmanager
def _exchanges_of(ddp: DistributedDataParallel) -> Iterator[list[Tensor]]:
    """The tensors that are handed to `all_reduce` inside, by DDP or by hand."""
    exchanged: list[Tensor] = []
    all_reduce = dist.all_reduce

    def noted(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        exchanged.append(tensor)
        return all_reduce(tensor, *args, **kwargs)

    ddp.register_comm_hook(None, allreduce_hook)  # what DDP does, by way of dist.all_reduce
    with mock.patch.object(dist, "all_reduce", noted):
        yield exchanged


def _four_parts(rank: int) -> tuple[int, Tensor]:
    """The exchanges of four micro-batches with plain DDP, and the gradient at the end."""
    ddp, (x, y) = DistributedDataParallel(new_model()), batch()
    with _exchanges_of(ddp) as exchanged:
        for part_x, part_y in zip(*(z.chunk(2)[rank].chunk(4) for z in (x, y)), strict=True):
            (cross_entropy(ddp(part_x), part_y) / 4).backward()
    return len(exchanged), flat_grad(ddp)


@lesson.question(
    "Two processes, four micro-batches each, `loss / 4`, plain DDP. How long is `.grad` at the "
    "end, compared with the gradient of all 64 images?",
    {
        "too short": "The early parts are averaged again and again. But the average of two equal "
        "gradients is that gradient.",
        "just right": "A second average does not change what both processes hold alike.",
        "too long": "Every loss was divided by 4, and DDP divides by the number of processes.",
    },
)
def averaged_again() -> tuple[str, str]:
    """Accumulate with an exchange in each backward."""
    (calls, gradient), _ = both(_four_parts)
    ratio = times_as_long(gradient)
    if torch.allclose(gradient, large_gradient()):
        answer = "just right"
    else:
        answer = "too short" if ratio < 1 else "too long"
    return answer, f"It is {ratio:.2f} times as long, after {calls} exchanges."


def _mean_gradient(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    """The gradients of the mean squared error of a linear layer, by its formula."""
    error = x @ weight.T + bias - y
    return [2 * (error.T @ x) / len(error), 2 * error.mean(0)]


def _shares(seed: int) -> tuple[list[int], Tensor, Tensor]:
    """Two numbers of samples, and all samples."""
    torch.manual_seed(seed)
    sizes = [4, 4] if seed == 0 else [seed, 9 - 2 * seed]
    total = sum(sizes)
    return sizes, torch.randn(total, 3).double(), torch.randn(total, 1).double()


def _try_average(rank: int, average_gradients: Callable[..., object], seed: int) -> Any:
    """The parameters, the gradients, and whether one was changed unseen by autograd."""
    sizes, x, y = _shares(seed)
    model = nn.Linear(3, 1).double()
    mse_loss(model(x.split(sizes)[rank]), y.split(sizes)[rank]).backward()
    parameters = list(model.parameters())
    noted = [(p.grad, p.grad.clone(), p.grad._version) for p in parameters if p.grad is not None]
    average_gradients(model, sizes[rank])
    hidden = any(
        p.grad is grad and grad._version == version and not torch.equal(grad, before)
        for p, (grad, before, version) in zip(parameters, noted, strict=True)
    )
    return [p.detach() for p in parameters], [p.grad for p in parameters], hidden


@lesson.exercise
def check_average_gradients(average_gradients: Callable[..., object]) -> str:
    """Check an average over processes with unequal shares, against the formula."""
    for seed in range(5):
        try:
            results = both(_try_average, average_gradients, seed, limit=LIMIT)
        except RuntimeError as problem:
            return f"Not yet: {problem}"
        sizes, x, y = _shares(seed)
        for rank, (parameters, gradients, hidden) in enumerate(results):
            wanted = _mean_gradient(x, y, *parameters)
            if said := _average_problem(rank, gradients, wanted, results):
                return f"Not yet: {sizes[0]} samples and {sizes[1]} samples: {said}"
            if hidden:
                return "Not yet: the numbers are right, but .data hides the change from PyTorch."
    return "Right. Both processes hold the gradient of all samples, in five cases."


def _average_problem(
    rank: int, gradients: list[Tensor | None], wanted: list[Tensor], results: Any
) -> str:
    found = [gradient for gradient in gradients if gradient is not None]
    if len(found) < len(wanted):
        return f"in rank {rank} a .grad is None at the end."
    if all(map(_near, found, wanted)):
        return ""
    alike = all(map(torch.equal, results[0][1], results[1][1]))
    ratio = (found[0].norm() / wanted[0].norm()).item()
    return (
        f".grad is {'the same' if alike else 'not the same'} in both ranks, and in rank {rank} the "
        f"weight's is {ratio:.2f} times as long as it should be."
    )


def _near(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one.double(), other, rtol=1e-9)


CUTS = ([2, 2, 2], [3, 2, 1], [1, 5], [4, 1, 1], [6])
"""How each process's six samples are cut into parts; in the other process the other way round."""


def _parts(seed: int, rank: int) -> tuple[Tensor, Tensor, list[Batch]]:
    """All samples of both processes, and the parts of one."""
    torch.manual_seed(10 + seed)
    x, y = torch.randn(12, 3).double(), torch.randn(12, 1).double()
    cuts = CUTS[seed][:: 1 - 2 * rank]
    own_x, own_y = (part.chunk(2)[rank].split(cuts) for part in (x, y))
    return x, y, list(zip(own_x, own_y, strict=True))


def _try_accumulate(rank: int, accumulate: Callable[..., object], seed: int) -> Any:
    """The exchanges, the sizes that the model was called with, parameters and gradients."""
    torch.manual_seed(seed)
    ddp, sizes = DistributedDataParallel(nn.Linear(3, 1).double()), list[int]()
    ddp.module.register_forward_hook(lambda _, args, __: sizes.append(len(args[0])))
    with _exchanges_of(ddp) as exchanged:
        accumulate(ddp, _parts(seed, rank)[2])
    parameters = list(ddp.parameters())
    return len(exchanged), sizes, [p.detach() for p in parameters], [p.grad for p in parameters]


@lesson.exercise
def check_accumulate(accumulate: Callable[..., object]) -> str:
    """Check accumulation in two processes: its gradient, its parts and its exchanges."""
    for seed, _ in enumerate(CUTS):
        try:
            results = both(_try_accumulate, accumulate, seed, limit=LIMIT)
        except RuntimeError as problem:
            return f"Not yet: {problem}"
        for rank, result in enumerate(results):
            if said := _accumulate_problem(result, *_parts(seed, rank)):
                return f"Not yet: {said}"
    return "Right. One exchange, and both processes hold the gradient of all samples."


def _accumulate_problem(result: Any, x: Tensor, y: Tensor, parts: list[Batch]) -> str:
    exchanges, sizes, parameters, gradients = result
    given = [len(part) for part, _ in parts]
    case = f"{len(parts)} part{'s' if len(parts) > 1 else ''}"
    if not sizes:
        return "the model was not called."
    if sorted(sizes) != sorted(given):
        return f"the parts have {given} samples, but the model was called with {sizes}."
    if exchanges != 1:
        return f"{case}: {exchanges} exchanges. There should be one."
    if any(gradient is None for gradient in gradients):
        return f"{case}: a .grad is None at the end."
    wanted = _mean_gradient(x, y, *parameters)
    if all(map(_near, gradients, wanted)):
        return ""
    ratio = (gradients[0].norm() / wanted[0].norm()).item()
    return f"{case}, one exchange, but .grad is {ratio:.2f} times as long as it should be."
