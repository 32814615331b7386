"""Ordinary training, and what goes on beside it."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIRST, WITH_RULES, Loop, no_fault
from tests.checkup.loops.parts import (
    LanguageModel,
    classify,
    cnn,
    images,
    mlp,
    regression,
    sequences,
    times,
    usual,
)


@no_fault(source="Why are PyTorch parameters not updating? (tutorial)", written=WITH_RULES)
def linear_regression() -> Loop:
    model, x, y = nn.Linear(10, 1), torch.randn(64, 10), torch.randn(64, 1)
    return usual(model, optim.SGD(model.parameters(), 0.01), lambda: F.mse_loss(model(x), y), 20)


@no_fault(source="wolny/pytorch-3dunet#53", written=WITH_RULES)
def convolution_with_validation_between() -> Loop:
    model, (x, y) = cnn(), images(16)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)

    def update():
        model.train()
        optimizer.zero_grad(set_to_none=False)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            F.cross_entropy(model(x), y)

    return Loop(model, optimizer, times(3, update))


@no_fault(source="validation without no_grad is wasteful and harmless", written=WITH_RULES)
def validation_with_graph_that_is_dropped() -> Loop:
    model, (x, y) = cnn(), images(16)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def update():
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        model.eval()
        F.cross_entropy(model(x), y).item()

    return Loop(model, optimizer, times(3, update))


@no_fault(source="copies and checkpoints taken inside the loop", written=WITH_RULES)
def copies_taken_inside() -> Loop:
    model, kept = cnn(), []
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def keep():
        kept.append((copy.deepcopy(model), copy.deepcopy(optimizer.state_dict())))

    return classify(model, optimizer, 3, after=keep)


@no_fault(source="skipping a batch whose loss is too high", written=WITH_RULES)
def outlier_batch_skipped() -> Loop:
    model, (x, y) = mlp(), regression()
    optimizer, turn = optim.SGD(model.parameters(), lr=0.01), iter(range(100))

    def update():
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        if next(turn) != 2:
            optimizer.step()

    return Loop(model, optimizer, times(5, update))


@no_fault(source="karpathy/nanoGPT#578", written=FIRST)
def small_language_model() -> Loop:
    model, x = LanguageModel(), sequences(4, 12, 30)
    optimizer = optim.AdamW(model.parameters(), lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)

    def update():
        loss = F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)

    return Loop(model, optimizer, times(12, update))


@no_fault(source="word_language_model example, pytorch/pytorch#1271", written=WITH_RULES)
def truncated_backpropagation_with_detach() -> Loop:
    table, rnn, out = nn.Embedding(20, 4), nn.LSTM(4, 8), nn.Linear(8, 20)
    model, text = nn.ModuleList([table, rnn, out]), torch.randint(20, (24, 4))
    optimizer = optim.SGD(model.parameters(), lr=1.0)

    def train():
        state = None
        for x, y in zip(text[:-1].split(6), text[1:].split(6), strict=True):
            optimizer.zero_grad()
            hidden, state = rnn(table(x), state)
            state = tuple(part.detach() for part in state)
            F.cross_entropy(out(hidden).flatten(0, 1), y.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()

    return Loop(model, optimizer, train)
