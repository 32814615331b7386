"""Two faults in one loop are both named, unless one hides the other."""

from __future__ import annotations

import contextlib
from collections.abc import Set
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim
from torch.nn.utils import clip_grad_norm_

from gradwidgets.checkup import Report, checkup


class Branches(nn.Module):
    """Branches that are added up: each fault of wiring spoils another one."""

    def __init__(self, faults: Set[str]) -> None:
        super().__init__()
        self.faults = faults
        self.stem = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1))
        self.inner, self.side, self.off, self.idle = (nn.Linear(n, 16) for n in (16, 8, 8, 8))
        self.fixed = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16)).requires_grad_(False)
        self.head = nn.Linear(16, 1)
        if "frozen" in faults:
            self.inner.requires_grad = False
        if "unregistered" in faults:
            self.scale = torch.ones(16, requires_grad=True)
        if "zero-gradient" in faults:
            nn.init.constant_(self.off.bias, -1e3)

    def train(self, mode=True):
        super().train(mode)
        self.fixed.train(mode and "frozen-statistics" in self.faults)
        return self

    def forward(self, x):
        hidden, side = self.stem(x), self.side(x)
        hidden = hidden + self.inner(hidden) + self.off(x).relu() + self.idle(x) + self.fixed(x)
        hidden = hidden + (side.detach() if "detached" in self.faults else side).tanh()
        return self.head(hidden * self.scale if "unregistered" in self.faults else hidden)

    def loss(self, x, y):
        out = self(x)
        if "grad-unused" in self.faults:
            torch.autograd.grad(out.sum(), self.head.weight, create_graph=True)
        if "loss-input" in self.faults:
            loss = F.binary_cross_entropy_with_logits(out.sigmoid(), y)
        else:
            loss = (out - (y.squeeze(1) if "broadcast-loss" in self.faults else y)).square().mean()
        return -loss if "ascending" in self.faults else loss


OF_NO_MODEL = nn.Parameter(torch.zeros(3, 3))


def optimizer_of(model: Branches) -> optim.Optimizer:
    faults = model.faults
    lr = 1e5 if "update-too-large" in faults else 0.01
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    given = [p for name, p in named if not name.startswith("idle")]
    if "not-in-optimizer" in faults:
        given = [p for p in given if all(p is not left for left in model.head.parameters())]
    given += given[:1] * ("duplicate" in faults)
    given += [OF_NO_MODEL] * ("not-in-model" in faults)
    idle = {"params": list(model.idle.parameters()), "lr": 0.0 if "zero-lr" in faults else lr}
    decay = 0.01 if "mask-undone" in faults else 0
    return optim.SGD([{"params": given}, idle], lr, momentum=0.9, weight_decay=decay)


def edit(model: Branches, mask: torch.Tensor) -> None:
    if "mask-undone" in model.faults:
        model.inner.weight.grad.mul_(mask)
    if "clipped-away" in model.faults:
        clip_grad_norm_(model.parameters(), 1e-8)


def update(model: Branches, optimizer: optim.Optimizer, loss: torch.Tensor) -> None:
    faults = model.faults
    if "not-cleared" not in faults:
        optimizer.zero_grad()
    loss.backward()
    edit(model, torch.eye(16) > 0)
    for _ in range(1 + ("step-twice" in faults)):
        optimizer.step()
    if "clip-misplaced" in faults:
        clip_grad_norm_(model.parameters(), 1.0)


def update_other(faults: Set[str], optimizer: optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    if "cleared-before-step" in faults:
        optimizer.zero_grad()
    if "no-step" not in faults:
        optimizer.step()


def watch(*of: str) -> Report:
    """The report on two models, each with its optimizer, that are trained in turn."""
    faults = frozenset(of)
    torch.manual_seed(0)
    model, other = Branches(faults), nn.Linear(8, 1)
    model.train("eval-mode" not in faults)
    x, y = torch.randn(32, 8), (torch.randn(32, 1) > 0).float()
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0, enabled="amp-scale" in faults)
    optimizer, second = optimizer_of(model), optim.SGD(other.parameters(), lr=0.01)
    watched = checkup([model, other], [optimizer, second])
    with contextlib.suppress(RuntimeError), watched as report:
        for index in range(8):
            if "optimizer-replaced" in faults and index % 2 == 0:
                optimizer = optimizer_of(model)
            factor = torch.nan if "non-finite" in faults and index == 7 else 1
            update(model, optimizer, scaler.scale(model.loss(factor * x, y)))
            update_other(faults, second, F.mse_loss(other(x), y))
    return report


FAULTS = [
    "amp-scale",
    "ascending",
    "broadcast-loss",
    "cleared-before-step",
    "clip-misplaced",
    "clipped-away",
    "detached",
    "duplicate",
    "eval-mode",
    "frozen",
    "frozen-statistics",
    "grad-unused",
    "loss-input",
    "mask-undone",
    "no-step",
    "non-finite",
    "not-cleared",
    "not-in-model",
    "not-in-optimizer",
    "optimizer-replaced",
    "step-twice",
    "unregistered",
    "update-too-large",
    "zero-gradient",
    "zero-lr",
]

ONE_HIDES_THE_OTHER = {
    ("amp-scale", "clipped-away"): "nothing of the scale is left",
    ("amp-scale", "non-finite"): "training has diverged before the data are NaN",
    ("amp-scale", "update-too-large"): "the scale alone would do",
    ("broadcast-loss", "loss-input"): "torch refuses these shapes",
    ("clip-misplaced", "clipped-away"): "the loop clips in the right place, too",
    ("clipped-away", "mask-undone"): "all elements are nearly masked",
    ("clipped-away", "update-too-large"): "nothing is left to update with",
    ("eval-mode", "frozen-statistics"): "in eval mode the statistics rest",
    ("mask-undone", "update-too-large"): "training has diverged",
    ("non-finite", "update-too-large"): "training has diverged before the data are NaN",
    ("not-in-model", "not-in-optimizer"): "one message names both: the model may be a copy",
}


def grave(report: Report) -> set[str]:
    assert not report.failures
    return {finding.code for finding in report.findings if finding.severity != "info"}


pytestmark = pytest.mark.filterwarnings(
    "ignore:optimizer contains a parameter group with duplicate"
)


def test_without_a_fault_nothing_is_named() -> None:
    assert grave(watch()) == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_named_alone(fault: str) -> None:
    assert grave(watch(fault)) == {fault}


@pytest.mark.parametrize("first", FAULTS)
def test_two_faults_are_both_named(first: str) -> None:
    for pair in combinations(FAULTS, 2):
        if pair[0] == first:
            missing = set(pair) - grave(watch(*pair))
            assert bool(missing) == (pair in ONE_HIDES_THE_OTHER), (pair, missing)
