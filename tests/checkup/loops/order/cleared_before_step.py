"""Gradients that are cleared before a step has read them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, THIRD, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import (
    LanguageModel,
    cnn,
    images,
    in_order,
    predict_themselves,
    sequences,
    simple,
    times,
)


@fault("cleared-before-step", source="sacmehta/EdgeNets#14", written=WITH_RULES)
def cleared_between_backward_and_step(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def update():
        loss = F.mse_loss(model(x), y)
        in_order(optimizer.zero_grad, loss.backward, reverse=not repaired)
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault("cleared-before-step", source="bytetriper/RAE#67", written=WITH_RULES)
def cleared_in_every_micro_batch(repaired: bool) -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def update():
        for index, (a, b) in enumerate(zip(x.split(2), y.split(2), strict=True)):
            if index == 0 or not repaired:
                optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(a), b).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault("cleared-before-step", source="rosinality in tatsu-lab/alpaca_farm#57", written=WITH_RULES)
def cleared_through_the_model_while_accumulating(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def train():
        for index, (a, b) in enumerate(zip(x.split(8), y.split(8), strict=True)):
            if index % 2 == 0 or not repaired:
                model.zero_grad(set_to_none=False)
            F.mse_loss(model(a), b).backward()
            if index % 2:
                optimizer.step()

    return Loop(model, optimizer, train)


@fault("cleared-before-step", source="pytorch forum: p.grad = None before step", written=WITH_RULES)
def set_to_none_by_hand_before_step(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def clear():
        for p in model.parameters():
            p.grad = None

    def update():
        F.mse_loss(model(x), y).backward()
        in_order(optimizer.step, clear, reverse=not repaired)

    return Loop(model, optimizer, update)


@fault("cleared-before-step", source="baofff in huggingface/accelerate#1299", written=FIRST)
def clear_at_the_top_of_accumulation(repaired: bool) -> Loop:
    model, x = LanguageModel(), sequences(8, 6, 30)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def train():
        for index, row in enumerate(x.split(1)):
            if index % 2 == 0 or not repaired:
                optimizer.zero_grad()
            (predict_themselves(model, row) / 2).backward()
            if index % 2:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()

    return Loop(model, optimizer, train)


@fault("cleared-before-step", source="ZiqiaoPeng/DualTalk#9", written=SECOND)
def cleared_before_every_backward(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.Adam, 1e-3)

    def train():
        for i in range(8):
            if not repaired:
                optimizer.zero_grad()
            F.mse_loss(model(x[i : i + 4]), y[i : i + 4]).backward()
            if i % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@fault("cleared-before-step", source="gaozhihan/PreDiff#32", written=SECOND)
def clear_outside_of_the_condition(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()

    def train():
        for i in range(9):
            (F.mse_loss(model(x), y) / 3).backward()
            if i % 3 == 2:
                nn.utils.clip_grad_value_(model.parameters(), 0.5)
                optimizer.step()
            if i % 3 == 2 or not repaired:
                optimizer.zero_grad(set_to_none=False)

    return Loop(model, optimizer, train)


@fault(
    "cleared-before-step", source="pytorch/torchtitan#3575 (clipped before the step)", written=THIRD
)
def micro_batches_cleared_then_clipped(repaired: bool) -> Loop:
    model, optimizer, x, y = simple(optim.AdamW, 1e-3)

    def update():
        for index, (a, b) in enumerate(zip(x.split(8), y.split(8), strict=True)):
            if index == 0 or not repaired:
                model.zero_grad()
            (F.mse_loss(model(a), b) / 4).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    return Loop(model, optimizer, times(2, update))


@fault("cleared-before-step", source="davda54/sam: the second backward left out", written=FIFTH)
def second_step_without_a_second_backward(repaired: bool) -> Loop:
    model, optimizer, x, y = simple()
    kept: list[torch.Tensor] = []

    def climb():
        kept[:] = [p.detach().clone() for p in model.parameters()]
        with torch.no_grad():
            for p in model.parameters():
                p.add_(p.grad, alpha=0.05)
        optimizer.zero_grad()

    def update():
        F.mse_loss(model(x), y).backward()
        climb()
        if repaired:
            F.mse_loss(model(x), y).backward()
        with torch.no_grad():
            for p, before in zip(model.parameters(), kept, strict=True):
                p.copy_(before)
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(4, update))
