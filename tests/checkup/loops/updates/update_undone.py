"""Loops that put the old weights back after each step."""

from __future__ import annotations

import copy

import torch
from torch import nn, optim

from tests.checkup.loops.collection import FIFTH, SIXTH, Loop, fault
from tests.checkup.loops.parts import classes, classify, cnn, fit, mlp, usual


@fault(
    "update-undone", source="common report: the best state_dict loaded in the loop", written=FIFTH
)
def best_weights_loaded_in_the_loop(repaired: bool) -> Loop:
    model = mlp()
    best = copy.deepcopy(model.state_dict())
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    return fit(model, optimizer, 5, after=lambda: repaired or model.load_state_dict(best))


@fault("update-undone", source="common report: shadow weights copied the wrong way", written=FIFTH)
def shadow_copied_the_wrong_way(repaired: bool) -> Loop:
    model = cnn()
    shadow = copy.deepcopy(model)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def after():
        pairs = zip(shadow.parameters(), model.parameters(), strict=True)
        for slow, fast in pairs:
            if repaired:
                slow.data.copy_(fast.data)
            else:
                fast.data.copy_(slow.data)

    return classify(model, optimizer, 7, after=after)


@fault(
    "update-undone", source="common report: perturbed for a test, restored too far", written=FIFTH
)
def restored_to_before_the_step(repaired: bool) -> Loop:
    (x, y), model = classes(), mlp(out=3)
    optimizer, kept = optim.Adam(model.parameters(), lr=1e-2), {}

    def loss():
        if not repaired:
            kept.update({k: v.clone() for k, v in model.state_dict().items()})
        return torch.nn.functional.cross_entropy(model(x), y)

    def after():
        if repaired:
            kept.update({k: v.clone() for k, v in model.state_dict().items()})
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.01 * torch.randn_like(p))
        model.load_state_dict(kept)

    return usual(model, optimizer, loss, 3, after=after)


@fault("update-undone", source="common report: nn.init in forward", written=SIXTH)
def initialised_in_forward(repaired: bool) -> Loop:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = nn.Linear(8, 16), nn.Linear(16, 1)

        def forward(self, x):
            if not repaired:
                nn.init.xavier_uniform_(self.hidden.weight)
            return self.out(self.hidden(x).relu())

    model = Net()
    return fit(model, optim.SGD(model.parameters(), lr=1e-2), 6)


@fault("update-undone", source="soft update with its networks exchanged", written=SIXTH)
def online_network_follows_its_target(repaired: bool) -> Loop:
    model = mlp()
    target = copy.deepcopy(model)

    @torch.no_grad()
    def follow():
        for slow, fast in zip(target.parameters(), model.parameters(), strict=True):
            if repaired:
                slow.lerp_(fast, 0.005)
            else:
                fast.lerp_(slow, 0.995)

    return fit(model, optim.Adam(model.parameters(), lr=1e-2), 6, after=follow)
