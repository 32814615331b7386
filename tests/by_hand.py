"""The training loop written out by hand, with every switch: what `train` is held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


@dataclass
class Trace:
    """What a patient person writes down at every update."""

    losses: list[float] = field(default_factory=list)
    raw: list[list[Tensor | None]] = field(default_factory=list)
    edited: list[list[Tensor | None]] = field(default_factory=list)
    before: list[list[Tensor]] = field(default_factory=list)
    after: list[list[Tensor]] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)


def loop(
    make_model: Callable[[], nn.Module],
    groups: Iterator[list[Batch]],
    loss: Callable[[Any, Any], Tensor],
    make_optimizer: Callable[..., torch.optim.Optimizer],
    *,
    updates: int,
    seed: int = 0,
    accumulation_steps: int = 1,
    average: bool = True,
    clear: str = "none",
    make_scheduler: Callable[[torch.optim.Optimizer], Any] | None = None,
    per_micro_batch: bool = False,
    **edits: Any,
) -> Trace:
    """Train on one group of micro-batches per update, and write everything down."""
    torch.manual_seed(seed)
    model = make_model()
    optimizer = make_optimizer(model.parameters())
    scheduler = make_scheduler(optimizer) if make_scheduler else None
    parameters = list(model.parameters())
    edit = Edits(model, seed=seed, **edits)
    trace = Trace()
    for _, group in zip(range(updates), groups, strict=False):
        if clear != "never":
            optimizer.zero_grad(set_to_none=clear == "none")
        losses = []
        for x, y in group:
            value = loss(model(x), y)
            (value / accumulation_steps if average else value).backward()
            losses.append(value.item())
            if scheduler and per_micro_batch:
                scheduler.step()
        trace.losses.append(mean(losses, [len(y) for _, y in group]))
        trace.raw.append(copies(gradients(parameters)))
        edit()
        trace.edited.append(copies(gradients(parameters)))
        trace.before.append(copies(parameters))
        if scheduler:
            trace.lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler and not per_micro_batch:
            scheduler.step()
        trace.after.append(copies(parameters))
    return trace


def mean(losses: list[float], sizes: list[int]) -> float:
    """The mean over samples, from the mean of each micro-batch."""
    if len(losses) == 1:
        return losses[0]
    total = 0.0
    for loss, size in zip(losses, sizes, strict=True):
        total += loss * size  # from Python 3.12 on, `sum` rounds otherwise
    return total / sum(sizes)


def gradients(parameters: list[Tensor]) -> list[Tensor | None]:
    return [p.grad for p in parameters]


def copies(tensors: list[Any]) -> list[Any]:
    return [None if t is None else t.detach().clone() for t in tensors]


class Edits:
    """Scale, mask, L1, L2, clip: in this order, each as its definition says."""

    def __init__(
        self,
        model: nn.Module,
        seed: int,
        scale: float | None = None,
        mask: float = 0.0,
        mask_kind: str = "first",
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        self.parameters = list(model.parameters())
        self.hidden = hidden_elements(model, mask, mask_kind, seed)
        self.scale, self.l1, self.l2, self.max_norm = scale, l1, l2, max_norm

    def __call__(self) -> None:
        for p, hidden in zip(self.parameters, self.hidden, strict=True):
            if p.grad is None:
                continue
            if self.scale is not None:
                p.grad = p.grad * self.scale
            p.grad = torch.where(hidden, torch.zeros_like(p.grad), p.grad)
            if self.l1:
                p.grad = p.grad + self.l1 * p.detach().sign()
            if self.l2:
                p.grad = torch.add(p.grad, p.detach(), alpha=self.l2)  # one rounding, as in SGD
        if self.max_norm is not None:
            clip_by_hand(self.parameters, self.max_norm)


def hidden_elements(model: nn.Module, mask: float, kind: str, seed: int) -> list[Tensor]:
    """True where a gradient is to be zeroed."""
    draw = torch.Generator().manual_seed(seed)
    hidden = []
    for name, p in model.named_parameters():
        order = list(range(p.numel()))
        count = round(mask * p.numel())
        if kind == "random":
            order = torch.randperm(p.numel(), generator=draw).tolist()
        elif kind == "unit":
            count = round(mask * len(p)) * math.prod(p.shape[1:])
        elif kind != "first" and not fnmatchcase(name, kind):
            count = 0
        chosen = set(order[:count])
        flags = [position in chosen for position in range(p.numel())]
        hidden.append(torch.tensor(flags, dtype=torch.bool).reshape(p.shape))
    return hidden


def clip_by_hand(parameters: list[Tensor], max_norm: float) -> None:
    """Multiply by max_norm / norm where the norm is above it, as PyTorch documents it."""
    norms = [torch.linalg.vector_norm(p.grad) for p in parameters if p.grad is not None]
    joint = torch.linalg.vector_norm(torch.stack(norms))
    for p in parameters:
        if p.grad is not None:
            p.grad = p.grad * (max_norm / (joint + 1e-6)).clamp(max=1.0)


def whole(x: Tensor, y: Tensor, parts: int = 1) -> Iterator[list[Batch]]:
    """All samples at every update, cut into `parts`."""
    while True:
        yield list(zip(x.chunk(parts), y.chunk(parts), strict=True))


def shuffled(x: Tensor, y: Tensor, size: int, parts: int = 1, seed: int = 0) -> Iterator[Any]:
    """Mini-batches without replacement, epoch after epoch, each cut into `parts`."""
    draw = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(x), generator=draw)
        for start in range(0, len(x), size):
            chosen = order[start : start + size]
            yield next(whole(x[chosen], y[chosen], parts))
