"""Optimizers that a person might write, and functions that build some."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

HAS_MUON = hasattr(torch.optim, "Muon")


class Lion(Optimizer):
    """Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            (beta1, beta2), lr = group["betas"], group["lr"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                p.mul_(1 - lr * group["weight_decay"])
                p.add_(average.lerp(p.grad, 1 - beta1).sign(), alpha=-lr)
                average.lerp_(p.grad, 1 - beta2)


class Replacing(Optimizer):
    """Puts a new tensor into `p.data`, zeroes `.grad` itself, and counts in its own attribute."""

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        super().__init__(params, {})
        self.lr, self.count = lr, 0

    def step(self) -> None:
        self.count += 1
        for p in self.param_groups[0]["params"]:
            if p.grad is not None:
                p.data = p.data - self.lr / self.count * p.grad
                p.grad.zero_()


class Twice(Optimizer):
    """Evaluates at a look-ahead point, as an extragradient method does: needs a closure."""

    def __init__(self, params: Iterable[Tensor], lr: float, ahead: float) -> None:
        super().__init__(params, {"lr": lr, "ahead": ahead})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:
        with torch.enable_grad():
            loss = closure()
        group = self.param_groups[0]
        held = [p for p in group["params"] if p.grad is not None]
        before = [p.clone() for p in held]
        for p in held:
            p.sub_(p.grad, alpha=group["ahead"])
        with torch.enable_grad():
            closure()
        for p, start in zip(held, before, strict=True):
            p.copy_(start - group["lr"] * p.grad)
        return loss


FASTER = 3.0


def split(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Matrices, and all other parameters."""
    parameters = list(model.parameters())
    return [p for p in parameters if p.ndim == 2], [p for p in parameters if p.ndim != 2]


def muon_and_adamw(model: nn.Module, lr: float, weight_decay: float = 0.1) -> list[Optimizer]:
    """Muon for matrices, AdamW for the rest."""
    matrices, rest = split(model)
    muon = torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay)
    return [muon, torch.optim.AdamW(rest, lr=FASTER * lr)]


def lion_and_sgd(model: nn.Module, lr: float, momentum: float = 0.0) -> list[Optimizer]:
    """Lion for matrices, SGD for the rest."""
    matrices, rest = split(model)
    return [Lion(matrices, lr=lr), torch.optim.SGD(rest, lr=FASTER * lr, momentum=momentum)]


def head_only(model: nn.Module, lr: float) -> Optimizer:
    """Freezes all but the last two parameters, and leaves them out."""
    *frozen, weight, bias = model.parameters()
    for p in frozen:
        p.requires_grad_(False)
    return torch.optim.Adam([weight, bias], lr=lr)


def last_left_out(model: nn.Module, lr: float) -> Optimizer:
    """Leaves a parameter out, whose gradient nothing clears."""
    return torch.optim.SGD(list(model.parameters())[:-1], lr=lr)
