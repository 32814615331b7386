"""Parameters that do not require a gradient, against what the loop is for."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import optim

from tests.checkup.loops.collection import SECOND, SIXTH, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import Tagger, classes, classify, cnn, fit, mlp, tagging, usual


@fault("frozen", source="pytorch/pytorch#9241", written=WITH_RULES)
def everything_frozen(repaired: bool) -> Loop:
    model = mlp()
    model.requires_grad_(repaired)
    return fit(model, optim.SGD(model.parameters(), lr=0.01), 4)


@fault("frozen", source="ultralytics/yolov5#1213", written=WITH_RULES)
def backbone_still_frozen(repaired: bool) -> Loop:
    model = cnn()
    model[0].requires_grad_(repaired)
    return classify(model, optim.Adam(model.parameters(), 1e-3))


@fault("frozen", source="CSCYQJ/MICCAI23-ProtoContra-SFDA#18", written=WITH_RULES)
def flag_set_on_the_module(repaired: bool) -> Loop:
    model = mlp()
    if repaired:
        model[2].requires_grad_(False)
    else:
        model[2].requires_grad = False
    return fit(model, optim.SGD(model.parameters(), 0.01), 1)


@fault("frozen", source="facebookresearch/detr: everything frozen by name", written=SECOND)
def frozen_by_a_wrong_pattern(repaired: bool) -> Loop:
    model = Tagger()
    for name, p in model.named_parameters():
        p.requires_grad_(("out" if repaired else "head") in name)
    return tagging(model, optim.SGD(model.parameters(), 0.1))


@fault("frozen", source="ultralytics/yolov5#1213 (half of the model)", written=SECOND)
def encoder_left_frozen(repaired: bool) -> Loop:
    model = Tagger()
    model.rnn.requires_grad_(repaired)
    return tagging(model, optim.AdamW(model.parameters(), 1e-3))


@fault("frozen", source="common report: require_grad for requires_grad", written=SIXTH)
def flag_of_a_parameter_misspelled(repaired: bool) -> Loop:
    model, (x, y) = mlp(out=3), classes()
    for parameter in model[0].parameters():
        if repaired:
            parameter.requires_grad = False
        else:
            parameter.require_grad = False
    trained = model[2].parameters() if repaired else model.parameters()
    optimizer = optim.Adam(trained, lr=1e-2)
    return usual(model, optimizer, lambda: F.cross_entropy(model(x), y))
