"""Several backward calls on purpose before a step."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, SECOND, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import classes, mlp, regression, simple, times


@no_fault(source="Gradient tutorial: accumulation template", written=WITH_RULES)
def accumulation_over_four_batches() -> Loop:
    model, (x, y) = mlp(), regression(64)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)

    def train():
        optimizer.zero_grad()
        for index, (a, b) in enumerate(zip(x.split(8), y.split(8), strict=True)):
            (F.mse_loss(model(a), b) / 4).backward()
            if (index + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@no_fault(source="accumulation with the leftover batches stepped at the end", written=SECOND)
def accumulation_with_leftover() -> Loop:
    model, (x, y) = mlp(), regression(44)
    optimizer = optim.SGD(model.parameters(), 0.01)

    def train():
        batches = list(zip(x.split(4), y.split(4), strict=True))
        for i, (a, b) in enumerate(batches, 1):
            (F.mse_loss(model(a), b) / 4).backward()
            if i % 4 == 0 or i == len(batches):
                optimizer.step()
                optimizer.zero_grad()

    return Loop(model, optimizer, train)


@no_fault(source="two losses on one graph with retain_graph", written=SECOND)
def two_losses_retained() -> Loop:
    model, (x, y) = mlp(out=2), regression()
    optimizer = optim.AdamW(model.parameters(), 1e-3)

    def update():
        optimizer.zero_grad()
        out = model(x)
        F.mse_loss(out[:, :1], y).backward(retain_graph=True)
        F.l1_loss(out[:, 1:], y).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="a trunk adds up what the losses of two heads leave in it", written=FIFTH)
def trunk_steps_after_both_heads() -> Loop:
    trunk, heads, (x, y) = mlp(out=4), [nn.Linear(4, 1), nn.Linear(4, 1)], regression()
    slow = optim.SGD(trunk.parameters(), lr=0.01)
    fast = [optim.SGD(head.parameters(), lr=0.01) for head in heads]

    def update():
        slow.zero_grad()
        for head, optimizer in zip(heads, fast, strict=True):
            optimizer.zero_grad()
            F.mse_loss(head(trunk(x)), y).backward()
            optimizer.step()
        slow.step()

    return Loop([trunk, *heads], [slow, *fast], times(4, update))


@no_fault(source="one optimizer steps for every batch, another for every second", written=FIFTH)
def optimizers_of_different_accumulation() -> Loop:
    body, head, (x, y) = mlp(out=4), nn.Linear(4, 1), regression()
    often, seldom = optim.SGD(body.parameters(), lr=0.01), optim.SGD(head.parameters(), lr=0.01)
    index = iter(range(100))

    def update():
        F.mse_loss(head(body(x)), y).backward()
        often.step()
        often.zero_grad()
        if next(index) % 2:
            seldom.step()
            seldom.zero_grad()

    return Loop([body, head], [often, seldom], times(8, update))


@no_fault(source="StyleGAN2: a penalty at every fourth step only", written=FIFTH)
def lazy_penalty() -> Loop:
    model, optimizer, x, y = simple()
    index = iter(range(100))

    def update():
        optimizer.zero_grad()
        (0.5 * F.mse_loss(model(x), y)).backward()
        if next(index) % 4 == 3:
            (sum(p.square().sum() for p in model.parameters()) * 1e-3).backward()
        optimizer.step()

    return Loop(model, optimizer, times(16, update))


@no_fault(source="groups of a bounded number of tokens", written=FIFTH)
def groups_of_different_size() -> Loop:
    model, optimizer, x, y = simple()

    def train():
        for size in (1, 2, 1, 1, 2, 3, 1, 2, 2):
            for _ in range(size):
                (F.mse_loss(model(x), y, reduction="sum") / (32 * size)).backward()
            optimizer.step()
            optimizer.zero_grad()

    return Loop(model, optimizer, train)


@no_fault(source="means over tokens, weighted by their numbers", written=FIFTH)
def token_means_weighted() -> Loop:
    model = nn.Sequential(nn.Embedding(12, 16), nn.Linear(16, 12))
    optimizer, micro = optim.SGD(model.parameters(), lr=0.5), []
    for length in (3, 20):
        x = torch.randint(12, (4, 20))
        micro.append((x, torch.where(torch.arange(20) < length, x, -100)))
    count = sum(int((y >= 0).sum()) for _, y in micro)

    def update():
        optimizer.zero_grad()
        for x, y in micro:
            weight = int((y >= 0).sum()) / count
            (F.cross_entropy(model(x).transpose(1, 2), y) * weight).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="the last micro-batch of an epoch is smaller", written=FIFTH)
def last_micro_batch_smaller() -> Loop:
    (x, y), model = classes(28), mlp(out=3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def update():
        optimizer.zero_grad()
        for a, b in zip(x.split(8), y.split(8), strict=True):
            (F.cross_entropy(model(a), b) / 4).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))
