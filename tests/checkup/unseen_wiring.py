"""Second set out of sample: parameters that model and optimizer do not share, or frozen ones."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops import (
    Loop,
    Tagger,
    broken,
    cnn,
    fit,
    images,
    mlp,
    regression,
    tagging,
    usual,
)


@broken("unregistered", source="pytorch/pytorch#715")
def unseen_layers_appended_to_a_list() -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hids = []
            for _ in range(2):
                self.hids.append([nn.Linear(8, 8), nn.Tanh()])
            self.classifier = nn.Linear(8, 1)

        def forward(self, x):
            for linear, act in self.hids:
                x = act(linear(x))
            return self.classifier(x)

    model = Net()
    return fit(model, optim.Adam(model.parameters(), 1e-3), 1)


@broken("unregistered", source="asyml/texar-pytorch#72")
def unseen_branches_in_a_tuple() -> Loop:
    class Merge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branches, self.out = (nn.Linear(8, 4), mlp(8, 8, 4)), nn.Linear(4, 1)

        def forward(self, x):
            return self.out(sum(branch(x) for branch in self.branches))

    model = Merge()
    return fit(model, optim.RMSprop(model.parameters(), 1e-3))


@broken(
    "unregistered",
    source="stackoverflow 50463975: parameter moved with .to is no leaf",
    single_precision="a tensor becomes another one where its dtype is not the default",
)
def unseen_parameter_converted_on_creation() -> Loop:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 1).double()
            self.scale = nn.Parameter(torch.ones(1)).to(torch.float64)

        def forward(self, x):
            return self.linear(x) * self.scale

    model, (x, y) = Scaled(), regression()
    optimizer = optim.SGD(model.parameters(), 0.01)

    def loss():
        return F.mse_loss(model(x.double()), y.double())

    return usual(model, optimizer, loss, 1)


@broken("not-in-optimizer", source="zjunlp/HVPNeT#5 (another head)")
def unseen_head_added_after_the_optimizer() -> Loop:
    model = mlp(out=4)
    optimizer = optim.AdamW(model.parameters(), 1e-3)
    model.add_module("3", nn.Linear(4, 1))
    return fit(model, optimizer)


@broken("not-in-optimizer", source="huggingface groups by name pattern that matches nothing")
def unseen_name_pattern_misses_layers() -> Loop:
    model = Tagger()
    groups = [{"params": [p for n, p in model.named_parameters() if k in n]} for k in ("rnn", "hd")]
    return tagging(model, optim.Adam(groups, 1e-3))


@broken("not-in-optimizer", source="KellerJordan/Muon#54 (convolutions left out)")
def unseen_only_two_dimensional_parameters() -> Loop:
    model, (x, y) = cnn(), images()
    optimizer = optim.Adam([p for p in model.parameters() if p.ndim == 2], 1e-3)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y), 2)


@broken("not-in-optimizer", source="pytorch forum: learned loss weight never given")
def unseen_loss_module_without_optimizer() -> Loop:
    class Balance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.log = nn.Parameter(torch.zeros(1))

        def forward(self, loss):
            return (loss * torch.exp(-self.log) + self.log).sum()

    model, balance, (x, y) = mlp(), Balance(), regression()
    optimizer = optim.Adam(model.parameters(), 1e-3)
    return usual([model, balance], optimizer, lambda: balance(F.mse_loss(model(x), y)))


@broken("not-in-model", source="huggingface resize_token_embeddings after the optimizer")
def unseen_embedding_resized() -> Loop:
    model = Tagger()
    optimizer = optim.AdamW(model.parameters(), 1e-3)
    table = nn.Embedding(25, 8)
    table.weight.data[:20] = model.table.weight.data
    model.table = table
    return tagging(model, optimizer)


@broken("not-in-model", source="pytorch forum: parametrization registered late")
def unseen_spectral_norm_after_the_optimizer() -> Loop:
    model = mlp()
    optimizer = optim.SGD(model.parameters(), 0.01)
    nn.utils.parametrizations.weight_norm(model[0])
    return fit(model, optimizer)


@broken("not-in-model", source="pytorch forum: EMA copy trained instead of the model")
def unseen_best_model_reloaded_by_copy() -> Loop:
    holder = nn.ModuleDict({"net": mlp()})
    optimizer = optim.Adam(holder.parameters(), 1e-3)
    holder["net"] = copy.deepcopy(holder["net"])
    x, y = regression()
    return usual(holder, optimizer, lambda: F.l1_loss(holder["net"](x), y), 1)


@broken("frozen", source="facebookresearch/detr: everything frozen by name")
def unseen_frozen_by_a_wrong_pattern() -> Loop:
    model = Tagger()
    for name, p in model.named_parameters():
        p.requires_grad_("head" in name)
    return tagging(model, optim.SGD(model.parameters(), 0.1))


@broken("frozen", source="ultralytics/yolov5#1213 (half of the model)")
def unseen_encoder_left_frozen() -> Loop:
    model = Tagger()
    model.rnn.requires_grad_(False)
    return tagging(model, optim.AdamW(model.parameters(), 1e-3))
