"""Loops that put the old weights back after each step."""

from __future__ import annotations

import copy

import torch
from torch import optim

from tests.checkup.loops.collection import FIFTH, Loop, fault
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
