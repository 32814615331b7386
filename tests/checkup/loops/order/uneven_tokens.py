"""Means over very different numbers of tokens, added with the same weight."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, Loop, fault
from tests.checkup.loops.parts import times


def padded(*lengths: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches (4, 20) of tokens and their successors, those behind a length ignored."""
    batches = []
    for length in lengths:
        x = torch.randint(12, (4, 20))
        y = (x + 1) % 12
        y[:, length:] = -100
        batches.append((x, y))
    return batches


@fault("uneven-tokens", source="karpathy/nanochat#59", written=FIFTH)
def means_over_tokens_added(repaired: bool) -> Loop:
    model, micro = nn.Sequential(nn.Embedding(12, 16), nn.Linear(16, 12)), padded(2, 18, 3, 20)
    optimizer, count = (
        optim.SGD(model.parameters(), lr=0.5),
        sum(int((y >= 0).sum()) for _, y in micro),
    )

    def update():
        optimizer.zero_grad()
        for x, y in micro:
            how = "sum" if repaired else "mean"
            loss = F.cross_entropy(model(x).transpose(1, 2), y, reduction=how)
            (loss / (count if repaired else len(micro))).backward()
        optimizer.step()

    return Loop(model, optimizer, times(3, update))


@fault("uneven-tokens", source="huggingface/transformers#34191, with a mask by hand", written=FIFTH)
def masked_means_added(repaired: bool) -> Loop:
    model, micro = nn.Sequential(nn.Embedding(12, 16), nn.Linear(16, 12)), padded(4, 20)
    optimizer, count = (
        optim.AdamW(model.parameters(), lr=1e-2),
        sum(int((y >= 0).sum()) for _, y in micro),
    )

    def update():
        for x, y in micro:
            mask = (y >= 0).float()
            losses = F.cross_entropy(model(x).transpose(1, 2), y.clamp(0), reduction="none")
            total = (losses * mask).sum()
            (total / count if repaired else total / mask.sum() / 2).backward()
        optimizer.step()
        optimizer.zero_grad()

    return Loop(model, optimizer, times(3, update))
