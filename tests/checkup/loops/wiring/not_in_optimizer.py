"""Trainable parameters that no optimizer was given."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, FIRST, SECOND, THIRD, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import (
    LanguageModel,
    Tagger,
    classify,
    cnn,
    fit,
    mlp,
    optimizer_made,
    predict_themselves,
    regression,
    sequences,
    tagging,
    usual,
)


@fault("not-in-optimizer", source="zjunlp/HVPNeT#5", written=WITH_RULES)
def crf_and_head_left_out_of_the_groups(repaired: bool) -> Loop:
    model = mlp()
    groups = [{"params": (model if repaired else model[0]).parameters()}]
    return fit(model, optim.Adam(groups, lr=1e-3), 4)


class Shifted(nn.Module):
    """Own parameters come first, so slicing off the last drops the bias of the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(10, 5), nn.Linear(5, 1)
        self.shift = nn.Parameter(torch.randn(5))

    def forward(self, x):
        return self.linear2(self.linear1(x)) + self.shift


@fault(
    "not-in-optimizer",
    source="Why are PyTorch parameters not updating? (tutorial)",
    written=WITH_RULES,
)
def last_parameter_sliced_off(repaired: bool) -> Loop:
    model, x, y = Shifted(), torch.randn(64, 10), torch.randn(64, 5)
    given = list(model.parameters())[: None if repaired else -1]
    return usual(model, optim.SGD(given, lr=0.01), lambda: F.mse_loss(model(x), y))


@fault(
    "not-in-optimizer",
    source="Why are PyTorch parameters not updating? (tutorial)",
    written=WITH_RULES,
)
def parameter_sliced_off(repaired: bool) -> Loop:
    model = Shifted()
    given = list(model.parameters())[: None if repaired else -1]

    def loss():
        return F.mse_loss(model(torch.randn(64, 10)), torch.randn(64, 5))

    return usual(model, optim.SGD(given, lr=0.01), loss, 10)


@fault("not-in-optimizer", source="ronghuaiyang/arcface-pytorch#20", written=WITH_RULES)
def metric_head_not_given(repaired: bool) -> Loop:
    body, head = mlp(out=8), nn.Linear(8, 4, bias=False)
    x, y = torch.randn(16, 8), torch.randint(4, (16,))
    given = [*body.parameters(), *(head.parameters() if repaired else ())]
    optimizer = optim.SGD(given, lr=0.1)
    return usual([body, head], optimizer, lambda: F.cross_entropy(head(body(x)), y))


@fault("not-in-optimizer", source="KellerJordan/Muon#54", written=WITH_RULES)
def matrices_only_optimizer(repaired: bool) -> Loop:
    model = cnn()
    given = [p for p in model.parameters() if repaired or p.ndim >= 2]
    return classify(model, optim.SGD(given, lr=0.1))


@fault("not-in-optimizer", source="pytorch forum: class token added later", written=FIRST)
def positions_left_out(repaired: bool) -> Loop:
    model, x = LanguageModel(), sequences(3, 9, 30)
    given = [p for name, p in model.named_parameters() if repaired or "places" not in name]
    return usual(model, optim.AdamW(given, 1e-4), lambda: predict_themselves(model, x), 14)


@fault("not-in-optimizer", source="zjunlp/HVPNeT#5 (another head)", written=SECOND)
def head_added_after_the_optimizer(repaired: bool) -> Loop:
    model = mlp(out=4)
    optimizer = optimizer_made(
        lambda: optim.AdamW(model.parameters(), 1e-3),
        lambda: model.add_module("3", nn.Linear(4, 1)),
        after=repaired,
    )
    return fit(model, optimizer)


@fault(
    "not-in-optimizer",
    source="huggingface groups by name pattern that matches nothing",
    written=SECOND,
)
def name_pattern_misses_layers(repaired: bool) -> Loop:
    model = Tagger()
    patterns = ("rnn", "out", "table") if repaired else ("rnn", "hd")
    named = list(model.named_parameters())
    groups = [{"params": [p for name, p in named if part in name]} for part in patterns]
    return tagging(model, optim.Adam(groups, 1e-3))


@fault("not-in-optimizer", source="KellerJordan/Muon#54 (convolutions left out)", written=SECOND)
def only_two_dimensional_parameters(repaired: bool) -> Loop:
    model = cnn()
    given = [p for p in model.parameters() if repaired or p.ndim == 2]
    return classify(model, optim.Adam(given, 1e-3), 2)


@fault("not-in-optimizer", source="pytorch forum: learned loss weight never given", written=SECOND)
def loss_module_without_optimizer(repaired: bool) -> Loop:
    class Balance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.log = nn.Parameter(torch.zeros(1))

        def forward(self, loss):
            return (loss * torch.exp(-self.log) + self.log).sum()

    model, balance, (x, y) = mlp(), Balance(), regression()
    given = [*model.parameters(), *(balance.parameters() if repaired else ())]
    optimizer = optim.Adam(given, 1e-3)
    return usual([model, balance], optimizer, lambda: balance(F.mse_loss(model(x), y)))


@fault(
    "not-in-optimizer", "not-in-model", source="pytorch forum: layer made in forward", written=THIRD
)
def layer_made_in_every_forward(repaired: bool) -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 1)

        def forward(self, x):
            if not repaired:
                self.head = nn.Linear(8, 1)
            return self.head(torch.relu(self.body(x)))

    model = Net()
    return fit(model, optim.Adam(model.parameters(), 1e-3))


@fault("not-in-optimizer", source="pytorch forum: layer made in the first forward", written=THIRD)
def layer_made_in_the_first_forward(repaired: bool) -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), None

        def forward(self, x):
            hidden = torch.relu(self.body(x))
            if self.head is None:
                self.head = nn.Linear(hidden.shape[1], 1)
            return self.head(hidden)

    model = Net()
    if repaired:
        model(torch.zeros(1, 8))
    return fit(model, optim.SGD(model.parameters(), 0.01))


@fault("not-in-optimizer", source="common report: built in the first forward", written=FIFTH)
def parameter_made_in_the_first_forward(repaired: bool) -> Loop:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.gate = mlp(), None

        def forward(self, x):
            out = self.body(x)
            if self.gate is None:
                self.gate = nn.Parameter(torch.full(out.shape[1:], 0.5))
            return out * self.gate

    model = Gated()
    if repaired:
        model(torch.zeros(1, 8))
    return fit(model, optim.Adam(model.parameters(), 1e-3))


@fault("not-in-optimizer", source="common report: a list taken before lazy layers", written=FIFTH)
def lazy_layers_filtered_out(repaired: bool) -> Loop:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.LazyLinear(1))
    if repaired:
        model(torch.zeros(1, 8))
    given = [p for p in model.parameters() if not nn.parameter.is_lazy(p)]
    return fit(model, optim.SGD(given, 0.01))


class TaskWeights(nn.Module):
    """Weighs two losses by what it learns of their noise (Kendall and others, 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.log_vars = nn.Parameter(torch.zeros(2))

    def forward(self, *losses):
        weighed = zip(losses, self.log_vars, strict=True)
        return sum(torch.exp(-s) * loss + s for loss, s in weighed)


def two_tasks(model: nn.Module, criterion: nn.Module, optimizer: optim.Optimizer) -> Loop:
    x, y = regression()

    def loss():
        out = model(x)
        return criterion(F.mse_loss(out[:, :1], y), F.l1_loss(out[:, 1:], y.square()))

    return usual(model, optimizer, loss)


@fault("not-in-optimizer", source="common report: uncertainty weights stay at 0", written=FIFTH)
def task_weights_of_a_criterion(repaired: bool) -> Loop:
    model, criterion = mlp(out=2), TaskWeights()
    given = [*model.parameters(), *(criterion.parameters() if repaired else ())]
    return two_tasks(model, criterion, optim.Adam(given, 1e-3))


class Proxies(nn.Module):
    """Cross-entropy of the similarities to one learned proxy for each class."""

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.proxies = nn.Parameter(torch.randn(classes, features))

    def forward(self, out, y):
        return F.cross_entropy(8 * F.normalize(out) @ F.normalize(self.proxies).T, y)


@fault("not-in-optimizer", source="common report: proxies of a metric loss", written=FIFTH)
def proxies_of_a_criterion(repaired: bool) -> Loop:
    model, criterion = cnn(), Proxies(4, 4)
    given = [*model.parameters(), *(criterion.parameters() if repaired else ())]
    return classify(model, optim.SGD(given, lr=0.1), criterion=criterion)


class Centers(nn.Module):
    """Center loss: the distances to the center of one's class, kept in a table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4, 4)

    def forward(self, out, y):
        return F.cross_entropy(out, y) + 0.1 * F.mse_loss(out, self.table(y))


@fault("not-in-optimizer", source="KaiyangZhou/pytorch-center-loss", written=FIFTH)
def centers_of_a_criterion(repaired: bool) -> Loop:
    model, criterion = cnn(), Centers()
    given = [*model.parameters(), *(criterion.parameters() if repaired else ())]
    return classify(model, optim.SGD(given, lr=0.1), criterion=criterion)
