"""Frozen parts whose running statistics move on."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, Loop, fault
from tests.checkup.loops.parts import classes, cnn, images, usual


@fault("frozen-statistics", source="lightly-ai/lightly#1438", written=FIFTH)
def backbone_frozen_by_its_flags(repaired: bool) -> Loop:
    backbone = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU())
    model, (x, y) = nn.Sequential(backbone, nn.Linear(16, 3)), classes()
    backbone.requires_grad_(False)
    model.train()
    if repaired:
        backbone.eval()
    optimizer = optim.Adam(model[1].parameters(), lr=0.01)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))


@fault("frozen-statistics", source="common report: features under no_grad", written=FIFTH)
def features_under_no_grad_in_training_mode(repaired: bool) -> Loop:
    backbone, head, (x, y) = cnn(), nn.Linear(4, 4), images()
    for p in backbone.parameters():
        p.requires_grad = False
    backbone.train(not repaired)
    optimizer = optim.SGD(head.parameters(), lr=0.05)

    def loss():
        with torch.no_grad():
            features = backbone(x)
        return F.cross_entropy(head(features), y)

    return usual([backbone, head], optimizer, loss)
