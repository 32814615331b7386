"""Criteria that get probabilities where they take logits, or the like."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.distributions import Categorical

from tests.checkup.loops.collection import FIFTH, SIXTH, Loop, fault
from tests.checkup.loops.parts import classes, cnn, images, mlp, usual


def _ending_in(activation: nn.Module, repaired: bool, out: int = 3) -> nn.Sequential:
    model = mlp(out=out)
    return model if repaired else model.append(activation)


@fault("loss-input", source="illiterate/BertClassifier#2", written=FIFTH)
def softmax_before_cross_entropy(repaired: bool) -> Loop:
    (x, y), model = classes(), _ending_in(nn.Softmax(dim=1), repaired)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    return usual(model, optimizer, lambda: criterion(model(x), y))


@fault("loss-input", source="pytorch forum: softmax in a segmentation network", written=FIFTH)
def softmax_of_every_pixel(repaired: bool) -> Loop:
    model, x, y = (
        nn.Conv2d(1, 4, 3, padding=1),
        torch.randn(4, 1, 6, 6),
        torch.randint(4, (4, 6, 6)),
    )

    def loss():
        out = model(x)
        return F.cross_entropy(out if repaired else out.softmax(1), y) / 2

    return usual(model, optim.AdamW(model.parameters(), lr=1e-2), loss)


@fault("loss-input", source="pytorch forum: sigmoid before BCEWithLogitsLoss", written=FIFTH)
def sigmoid_twice(repaired: bool) -> Loop:
    (x, _), model = classes(), _ending_in(nn.Sigmoid(), repaired, out=1)
    optimizer, y = optim.Adam(model.parameters(), lr=1e-2), (x[:, 0] > 0).float()
    criterion = nn.BCEWithLogitsLoss()
    return usual(model, optimizer, lambda: criterion(model(x).squeeze(1), y))


@fault("loss-input", source="AnubhavGupta3377/Text-Classification-Models-Pytorch#9", written=FIFTH)
def likelihood_of_probabilities(repaired: bool) -> Loop:
    (x, y), model = classes(), mlp(out=3).append(nn.LogSoftmax(dim=1))
    if not repaired:
        model[-1] = nn.Softmax(dim=1)
    return usual(model, optim.SGD(model.parameters(), lr=0.05), lambda: F.nll_loss(model(x), y))


@fault("loss-input", source="pytorch forum: NLLLoss is negative", written=FIFTH)
def likelihood_of_logits(repaired: bool) -> Loop:
    model, (x, y) = cnn(), images()

    def loss():
        out = model(x)
        return F.nll_loss(out.log_softmax(1) if repaired else out, y)

    return usual(model, optim.SGD(model.parameters(), lr=0.01), loss)


@fault("loss-input", source="pytorch forum: KLDivLoss is negative", written=FIFTH)
def divergence_of_probabilities(repaired: bool) -> Loop:
    (x, _), model, teacher = classes(), mlp(out=3), torch.randn(32, 3).softmax(1)

    def loss():
        out = model(x)
        return F.kl_div(
            out.log_softmax(1) if repaired else out.softmax(1), teacher, reduction="batchmean"
        )

    return usual(model, optim.SGD(model.parameters(), lr=0.05), loss)


@fault("loss-input", source="common report: a policy's softmax given as logits", written=FIFTH)
def policy_of_probabilities_as_logits(repaired: bool) -> Loop:
    (x, _), model = classes(), _ending_in(nn.Softmax(dim=1), repaired)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    weight = torch.randn(32)

    def loss():
        policy = Categorical(logits=model(x))
        return -(policy.log_prob(policy.sample()) * weight).mean()

    return usual(model, optimizer, loss)


@fault("loss-input", source="pytorch forum: F.relu(self.fc3(x)) as the last layer", written=SIXTH)
def rectified_logits(repaired: bool) -> Loop:
    (x, y), model = classes(), _ending_in(nn.ReLU(), repaired)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))


@fault("loss-input", source="pytorch forum: log_softmax with dim=0", written=SIXTH)
def log_softmax_over_the_batch(repaired: bool) -> Loop:
    (x, y), model = classes(), mlp(out=3)
    optimizer, axis = optim.Adam(model.parameters(), lr=1e-2), -1 if repaired else 0
    return usual(model, optimizer, lambda: F.nll_loss(F.log_softmax(model(x), axis), y))
