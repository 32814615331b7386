"""Updates larger than the parameters, after which things are worse."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import nn, optim

from tests.checkup.loops.collection import FIRST, SECOND, WITH_RULES, Loop, fault
from tests.checkup.loops.parts import classify, cnn, fit, mlp, regression, usual


@fault(
    "update-too-large", "exploding", "non-finite", source="YellowFin_Pytorch#1", written=WITH_RULES
)
def learning_rate_of_five(repaired: bool) -> Loop:
    model = mlp()
    return fit(model, optim.SGD(model.parameters(), 0.01 if repaired else 5.0), 4)


@fault("update-too-large", source="pytorch forum: Adam with lr 10", written=WITH_RULES)
def adam_with_a_huge_learning_rate(repaired: bool) -> Loop:
    model = cnn()
    return classify(model, optim.Adam(model.parameters(), 1e-3 if repaired else 10.0))


@fault(
    "update-too-large", source="pytorch forum: lr typed as 100 in a single step", written=WITH_RULES
)
def one_step_with_learning_rate_hundred(repaired: bool) -> Loop:
    model = mlp()
    return fit(model, optim.AdamW(model.parameters(), 1e-3 if repaired else 100.0), 1)


@fault(
    "update-too-large",
    "exploding",
    "non-finite",
    source="pytorch forum: lr 1 with RMSprop",
    written=FIRST,
)
def learning_rate_too_large_for_rmsprop(repaired: bool) -> Loop:
    model, (x, y) = nn.Sequential(nn.Linear(8, 50), nn.ReLU(), nn.Linear(50, 1)), regression(20)
    optimizer = optim.RMSprop(model.parameters(), 1e-3 if repaired else 3.0)
    return usual(model, optimizer, lambda: F.mse_loss(model(x), y), 7)


@fault(
    "update-too-large", "exploding", "non-finite", source="stackoverflow: SGD lr 50", written=SECOND
)
def rate_of_fifty(repaired: bool) -> Loop:
    model = cnn()
    return classify(model, optim.SGD(model.parameters(), 0.05 if repaired else 50.0))
