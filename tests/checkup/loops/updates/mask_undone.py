"""Masked elements that momentum or weight decay moves all the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.optim import Optimizer

from tests.checkup.loops.collection import FIFTH, Loop, fault
from tests.checkup.loops.parts import fit, mlp, regression


def _pruned_after(steps: int, model: nn.Module, optimizer: Optimizer, reapply: bool) -> Loop:
    (x, y), masks = regression(), dict[nn.Parameter, torch.Tensor]()

    def train():
        for index in range(16):
            if index == steps:
                masks.update(
                    {p: p.abs() > p.abs().median() for p in model.parameters() if p.dim() > 1}
                )
                for p, mask in masks.items():
                    p.data.mul_(mask)
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            for p, mask in masks.items():
                p.grad.mul_(mask)
            optimizer.step()
            if reapply:
                for p, mask in masks.items():
                    p.data.mul_(mask)

    return Loop(model, optimizer, train)


@fault("mask-undone", source="ruihangdu/PyTorch-Deep-Compression#2", written=FIFTH)
def pruned_weights_revived_by_momentum(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return _pruned_after(6, model, optimizer, repaired)


@fault("mask-undone", source="the same with Adam", written=FIFTH)
def pruned_weights_revived_by_adam(repaired: bool) -> Loop:
    model = nn.Sequential(
        nn.Linear(8, 80), nn.Tanh(), nn.Linear(80, 70), nn.Tanh(), nn.Linear(70, 1)
    )
    return _pruned_after(5, model, optim.Adam(model.parameters(), lr=1e-3), repaired)


@fault("mask-undone", source="pytorch forum: rows frozen by zeroing their gradient", written=FIFTH)
def frozen_rows_shrink_by_weight_decay(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0 if repaired else 0.1)

    def edit():
        model[0].weight.grad[:6] = 0

    return fit(model, optimizer, 6, edit=edit)


@fault("mask-undone", source="common report: a mask in a tensor hook", written=FIFTH)
def mask_in_a_hook(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), lr=0.01, weight_decay=0.0 if repaired else 0.1)
    mask = (torch.rand(16, 8) > 0.5).float()
    model[0].weight.register_hook(lambda gradient: gradient * mask)
    return fit(model, optimizer, 6)


@fault("mask-undone", source="pytorch forum: a layer frozen by zeroing its gradient", written=FIFTH)
def layer_frozen_by_zeroing(repaired: bool) -> Loop:
    model = mlp()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    index = iter(range(100))

    def edit():
        if next(index) > 2:
            if repaired:
                model[0].weight.grad = None
            else:
                model[0].weight.grad.zero_()

    return fit(model, optimizer, 10, edit=edit)
